"""The way out to APNs: one lane's `Sender`."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

import msgspec
import trio

from channels.apns import answers, payload
from channels.apns.credential import ProviderToken
from channels.apns.payload import ApnsPayload
from channels.built_once import BuiltOnce
from channels.http2.connection import Origin
from channels.http2.jobs import OK, Answer, Failure, Requests, Result
from channels.http2.pool import Pool, PoolSettings
from channels.http2.tls import client_context
from channels.notification import batch_of_some, uuid_forms
from channels.wire_outcomes import failure_outcome
from engine.outcomes import ACCEPTED, Accepted, Outcome, Rejected, Unreachable
from engine.records.work import Batch, delivery_ids

_HEX = b"0123456789abcdefABCDEF"
_MALFORMED = Rejected(reason="malformed_token", endpoint_gone=True)
Bodies = bytes | Sequence[bytes]
_RESEND_SECONDS_MIN = 1.0  # with less time left, a second try would only end as unknown


class ApnsSettings(msgspec.Struct, frozen=True, kw_only=True):
    """One lane to APNs: one app (`topic`) of one team with one signing key."""

    topic: str  # the app's bundle id
    team_id: str  # 10 letters, from Apple's membership page
    key_id: str  # 10 letters, the name of the .p8 key
    private_key_pem: str | bytes  # the .p8 file's content
    base_url: str = "https://api.push.apple.com"  # sandbox: https://api.sandbox.push.apple.com
    ca_file: str | None = None  # trust these certificates instead of the system's
    connections_max: int = 16  # `channels/http2/growth.py` says what so many carry

    def __repr__(self) -> str:
        return f"ApnsSettings(topic={self.topic!r}, base_url={self.base_url!r}, ...)"  # the key stays out of logs


class ApnsSender:
    """Sends batches to APNs. Lanes that use the same key should be given the same `provider_token`.

    Raises ValueError at once when a setting is faulty; the message names it.
    """

    def __init__(
        self,
        settings: ApnsSettings,
        provider_token: ProviderToken | None = None,
        *,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._settings = settings
        self._now = now
        self._token = provider_token or ProviderToken(settings.private_key_pem, settings.key_id, settings.team_id, now)
        self._payload = BuiltOnce(payload.build)
        self._pool = Pool(
            PoolSettings(
                Origin.parse(settings.base_url),
                connections_max=settings.connections_max,
                starts_with_one=True,  # Apple allows one stream until a first valid token was accepted
                retires=answers.spoils_connection,
            ),
            client_context(settings.ca_file),
        )

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Keep connections until cancelled."""
        await self._pool.run(task_status=task_status)

    @property
    def connections(self) -> int:
        """How many connections are open."""
        return self._pool.connections

    async def send(self, batch: Batch) -> Sequence[Outcome]:
        """Send to all endpoints; outcomes in their order. Refused tokens or connections get one second try."""
        # Hot path: whole columns at a time; per push only the id is derived and spelled.
        tokens = [endpoint.address for endpoint in batch.endpoints]
        if b"".join(tokens).translate(None, _HEX) or not all(tokens):
            return await self._send_well_formed(batch, tokens)
        ids = uuid_forms(delivery_ids(batch))
        built = self._payload(batch.event, batch.language)
        body = built.body if batch.personal is None else built.bodies(batch.personal)
        stop_at = trio.current_time() + batch.deadline_seconds
        used = self._token.header()
        template = payload.template(batch.event, self._settings.topic, used)
        requests = Requests(template, len(tokens), tokens, ids, body)
        results = await self._pool.submit(requests, batch.deadline_seconds)
        if results.count(OK) == len(results):
            return [ACCEPTED] * len(results)
        return await self._judge(batch, requests, results, built, used, stop_at)

    async def _send_well_formed(self, batch: Batch, tokens: list[bytes]) -> list[Outcome]:
        """Some tokens are no hexadecimal: they cannot be sent, and never could be."""
        good = [bool(token) and not token.translate(None, _HEX) for token in tokens]
        sendable = batch_of_some(batch, good)
        sent = iter(await self.send(sendable) if sendable.endpoints else ())
        return [next(sent) if is_good else _MALFORMED for is_good in good]

    async def _judge(
        self,
        batch: Batch,
        requests: Requests,
        results: Sequence[Result],
        built: ApnsPayload,
        used: bytes,
        stop_at: float,
    ) -> list[Outcome]:
        now = self._now()
        outcomes: list[Outcome] = [ACCEPTED] * len(results)
        again: list[int] = []
        shorter: list[int] = []
        for index, result in enumerate(results):
            if result is OK:
                continue
            outcome = outcomes[index] = _outcome(result, now)
            if isinstance(result, Failure) or isinstance(outcome, Accepted):
                continue
            reason = outcome.reason
            if reason == answers.RENEW_TOKEN:
                if self._token.renew_refused(used):
                    again.append(index)
                    outcomes[index] = Unreachable(reason=reason)  # if no time is left to try the new one
            elif reason in answers.NEW_CONNECTION:
                again.append(index)
            elif reason == answers.TOO_LARGE:
                shorter.append(index)
        short = built.short if batch.personal is None else built.short_bodies(batch.personal)
        for indexes, body in ((again, requests.body), (shorter, short)):
            seconds_left = stop_at - trio.current_time()
            if indexes and seconds_left >= _RESEND_SECONDS_MIN:
                second = await self._pool.submit(self._some(batch, requests, indexes, body), seconds_left)
                for index, result in zip(indexes, second, strict=True):
                    outcomes[index] = _outcome(result, now)
        return outcomes

    def _some(self, batch: Batch, requests: Requests, indexes: list[int], body: Bodies) -> Requests:
        template = payload.template(batch.event, self._settings.topic, self._token.header())
        paths, values = requests.paths or (), requests.values or ()
        some = body if isinstance(body, bytes) else [body[i] for i in indexes]
        return Requests(template, len(indexes), [paths[i] for i in indexes], [values[i] for i in indexes], some)


def _outcome(result: Result, now_seconds: float) -> Outcome:
    if isinstance(result, Answer):
        return answers.outcome(result, now_seconds)
    return failure_outcome(result)
