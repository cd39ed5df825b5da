"""The way out to FCM: one lane's `Sender`."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Sequence

import msgspec
import trio

from channels.built_once import BuiltOnce
from channels.fcm import answers, payload
from channels.fcm.credential import AccessToken
from channels.http2.connection import Origin
from channels.http2.headers import Template
from channels.http2.jobs import Answer, Requests, Result
from channels.http2.pool import Pool, PoolSettings
from channels.http2.tls import client_context
from channels.notification import batch_of_some, uuid_forms
from channels.wire_outcomes import failure_outcome
from engine.outcomes import ACCEPTED, Outcome, Rejected, Unreachable
from engine.records.work import Batch, delivery_ids

_TOKEN_LETTERS = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-:"
_MALFORMED = Rejected(reason="malformed_token", endpoint_gone=True)
_RESEND_SECONDS_MIN = 1.0
_INDEXED_BYTES_MAX = 2_000  # a longer access token would push the other headers out of the table (4,096 bytes)


class FcmSettings(msgspec.Struct, frozen=True, kw_only=True):
    """One lane to FCM: one Firebase project with one service account."""

    project_id: str
    client_email: str  # of the service account
    private_key_pem: str | bytes  # `private_key` of the service account's JSON
    token_uri: str = "https://oauth2.googleapis.com/token"
    base_url: str = "https://fcm.googleapis.com"
    ca_file: str | None = None  # trust these certificates instead of the system's, for both URLs
    connections_max: int = 16  # `channels/http2/growth.py` says what so many carry

    def __repr__(self) -> str:
        return f"FcmSettings(project_id={self.project_id!r}, base_url={self.base_url!r}, ...)"  # the key stays out


class FcmSender:
    """Sends batches to FCM. Lanes of the same service account should be given the same `access_token`.

    Raises ValueError at once when a setting is faulty; the message names it.
    """

    def __init__(
        self,
        settings: FcmSettings,
        access_token: AccessToken | None = None,
        *,
        now: Callable[[], float] = time.time,
    ) -> None:
        if not re.fullmatch(r"[a-z0-9][a-z0-9.:\-]{3,62}", settings.project_id):
            raise ValueError("project_id: not a Google project id (lower-case letters, digits, hyphens)")
        self._settings = settings
        self._now = now
        self._path = f"/v1/projects/{settings.project_id}/messages:send".encode()
        self._payload = BuiltOnce(payload.build)
        self._token = access_token or AccessToken(
            settings.client_email, settings.private_key_pem, settings.token_uri, settings.ca_file, now
        )
        self._pool = Pool(
            PoolSettings(Origin.parse(settings.base_url), connections_max=settings.connections_max),
            client_context(settings.ca_file),
        )

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Keep connections and the access token until cancelled."""
        async with trio.open_nursery() as nursery:
            await nursery.start(self._pool.run)
            await nursery.start(self._token.run)
            task_status.started()

    @property
    def connections(self) -> int:
        """How many connections are open."""
        return self._pool.connections

    async def send(self, batch: Batch) -> Sequence[Outcome]:
        """Send to all endpoints; outcomes in their order. A refused access token gets one second try."""
        tokens = [endpoint.address for endpoint in batch.endpoints]
        if b"".join(tokens).translate(None, _TOKEN_LETTERS) or not all(tokens):
            return await self._send_well_formed(batch, tokens)
        stop_at = trio.current_time() + batch.deadline_seconds
        authorization: bytes | None = None
        with trio.move_on_after(batch.deadline_seconds / 2):
            authorization = await self._token.header()
        if authorization is None:
            return [self._no_token()] * len(tokens)
        ids = uuid_forms(delivery_ids(batch))
        ttl = payload.ttl_seconds(batch.event, int(self._now() * 1000))
        bodies = self._payload(batch.event, batch.language).bodies(tokens, ids, ttl, batch.personal)
        results = await self._post(bodies, authorization, stop_at)
        if all(result[0] == 200 for result in results):
            return [ACCEPTED] * len(results)
        return await self._judge(bodies, results, authorization, stop_at)

    async def _send_well_formed(self, batch: Batch, tokens: list[bytes]) -> list[Outcome]:
        """Some tokens hold letters that no FCM token has: they cannot be sent, and never could be."""
        good = [bool(token) and not token.translate(None, _TOKEN_LETTERS) for token in tokens]
        sendable = batch_of_some(batch, good)
        sent = iter(await self.send(sendable) if sendable.endpoints else ())
        return [next(sent) if is_good else _MALFORMED for is_good in good]

    def _no_token(self) -> Unreachable:
        reason = self._token.fault or "oauth_unreachable"
        return Unreachable(reason=reason, park=reason == "oauth_refused")

    async def _post(self, bodies: list[bytes], authorization: bytes, stop_at: float) -> list[Result]:
        secret, known = (b"authorization", authorization), (b"content-type", b"application/json")
        if len(authorization) <= _INDEXED_BYTES_MAX:
            template = Template(self._path, indexed=(known, secret))
        else:
            template = Template(self._path, indexed=(known,), literal=(secret,))
        requests = Requests(template, len(bodies), None, None, bodies)
        return await self._pool.submit(requests, max(0.0, stop_at - trio.current_time()))

    async def _judge(self, bodies: list[bytes], results: list[Result], used: bytes, stop_at: float) -> list[Outcome]:
        now = self._now()
        outcomes = [_outcome(result, now) for result in results]
        refused = [i for i, r in enumerate(results) if isinstance(r, Answer) and answers.wants_new_token(r)]
        if not refused or not self._token.may_renew(used):
            return outcomes
        renewed: bytes | None = None
        with trio.move_on_after(max(0.0, stop_at - trio.current_time() - _RESEND_SECONDS_MIN)):
            renewed = await self._token.renew_refused(used)
        if renewed is None:
            for index in refused:
                outcomes[index] = self._no_token()
            return outcomes
        second = await self._post([bodies[index] for index in refused], renewed, stop_at)
        for index, result in zip(refused, second, strict=True):
            outcomes[index] = _outcome(result, now)
        return outcomes


def _outcome(result: Result, now_seconds: float) -> Outcome:
    if isinstance(result, Answer):
        return answers.outcome(result, now_seconds)
    return failure_outcome(result)
