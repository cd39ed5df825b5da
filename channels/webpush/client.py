"""The way out to one push service: one lane's `Sender`."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import NamedTuple

import msgspec
import trio

from channels.built_once import BuiltOnce
from channels.http2.connection import Origin
from channels.http2.jobs import Answer, Requests, Result
from channels.http2.pool import Pool, PoolSettings
from channels.http2.tls import client_context
from channels.notification import uuid_forms
from channels.webpush import answers, payload
from channels.webpush.encryption import encrypt
from channels.webpush.payload import WebPayload
from channels.webpush.vapid import VapidToken
from channels.wire_outcomes import failure_outcome
from engine.outcomes import ACCEPTED, Outcome, Rejected
from engine.records.web_push import POINT_BYTES, SECRET_BYTES
from engine.records.work import Batch, delivery_ids

_MALFORMED = Rejected(reason="malformed_subscription", endpoint_gone=True)
_OTHER_ORIGIN = Rejected(reason="other_push_service", our_fault=True)  # the lane's origin was changed: keep the address
_RESEND_SECONDS_MIN = 1.0
_ENCRYPTED_WITHOUT_REST = 16  # about a millisecond, then other tasks get their turn
_KEYS_BYTES = POINT_BYTES + SECRET_BYTES
_URL_BYTES_MAX = 2_000  # what is taken in; a longer one could spoil the request of the whole batch
_VISIBLE = bytes(range(0x21, 0x7F))


class WebPushSettings(msgspec.Struct, frozen=True, kw_only=True):
    """One lane to one push service."""

    origin: str  # https://fcm.googleapis.com: the only place that is ever connected to
    private_key_pem: str | bytes  # the VAPID key: browsers subscribe with its public half
    subject: str  # mailto: or https:, whom the push service may write to about us
    ca_file: str | None = None  # trust these certificates instead of the system's
    allow_private: bool = False  # also where the name leads to loopback or a private network: simulators, tests
    connections_max: int = 2

    def __repr__(self) -> str:
        return f"WebPushSettings(origin={self.origin!r}, ...)"  # the key stays out of logs


class _Push(NamedTuple):
    """One message: its place in the batch, where it goes, for whom it is encrypted, what it says."""

    place: int
    path: bytes
    keys: bytes
    delivery: bytes
    payload: WebPayload


class WebPushSender:
    """Sends batches to one push service. Raises ValueError at once when a setting is faulty; the message names it."""

    def __init__(self, settings: WebPushSettings, *, now: Callable[[], float] = time.time) -> None:
        origin = Origin.parse(settings.origin)
        self._start = settings.origin.rstrip("/").encode() + b"/"
        self._now = now
        self._token = VapidToken(settings.private_key_pem, settings.origin.rstrip("/"), settings.subject, now)
        self._payload = BuiltOnce(payload.build)
        self._standing = answers.KeyStanding()
        self._pool = Pool(
            PoolSettings(
                origin._replace(is_public_only=not settings.allow_private), connections_max=settings.connections_max
            ),
            client_context(settings.ca_file),
        )

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Keep connections until cancelled."""
        await self._pool.run(task_status=task_status)

    async def send(self, batch: Batch) -> Sequence[Outcome]:
        """Send to all endpoints; outcomes in their order. A refused token or too large a text gets a second try."""
        stop_at = trio.current_time() + batch.deadline_seconds
        outcomes: list[Outcome] = [ACCEPTED] * len(batch.endpoints)
        pushes = self._pushes(batch, outcomes)
        if not pushes:
            return outcomes
        used = self._token.header()
        results = await self._post(batch, pushes, [push.payload.rest for push in pushes], used, stop_at)
        for some, is_short in self._judge(pushes, results, used, outcomes):
            if stop_at - trio.current_time() >= _RESEND_SECONDS_MIN:
                rests = [push.payload.short if is_short else push.payload.rest for push in some]
                second = await self._post(batch, some, rests, self._token.header(), stop_at)
                self._judge(some, second, None, outcomes)
        return outcomes

    def _pushes(self, batch: Batch, outcomes: list[Outcome]) -> list[_Push]:
        """Lay out what can be sent; what cannot gets its outcome here."""
        pushes: list[_Push] = []
        start, ids, payloads = self._start, uuid_forms(delivery_ids(batch)), self._payloads(batch)
        for place, (endpoint, one, told) in enumerate(zip(batch.endpoints, ids, payloads, strict=True)):
            address = endpoint.address
            _, space, url = address[_KEYS_BYTES:].partition(b" ")
            if not space or len(url) > _URL_BYTES_MAX or url.translate(None, _VISIBLE):
                outcomes[place] = _MALFORMED
            elif not url.startswith(start):
                outcomes[place] = _OTHER_ORIGIN
            else:
                path = url[len(start) - 1 :]
                pushes.append(_Push(place, path, address[:_KEYS_BYTES], one, told))
        return pushes

    def _payloads(self, batch: Batch) -> list[WebPayload]:
        if batch.personal is None:
            return [self._payload(batch.event, batch.language)] * len(batch.endpoints)
        alike = {one: payload.build_personal(batch.event, batch.language, one) for one in set(batch.personal)}
        return [alike[one] for one in batch.personal]

    async def _post(
        self, batch: Batch, pushes: list[_Push], rests: list[bytes], token: bytes, stop_at: float
    ) -> list[Result | None]:
        """Encrypt and send; None where the browser's key is none."""
        paths: list[bytes] = []
        bodies: list[bytes] = []
        is_sent: list[bool] = []
        plain = payload.messages(rests, [push.delivery for push in pushes])
        # Hot: 60 us a message, nearly all of it inside `encrypt`.
        for index, (text, push) in enumerate(zip(plain, pushes, strict=True)):
            try:
                bodies.append(encrypt(text, push.keys[:POINT_BYTES], push.keys[POINT_BYTES:]))
                paths.append(push.path)
                is_sent.append(True)
            except ValueError:  # no point of the curve
                is_sent.append(False)
            if not index % _ENCRYPTED_WITHOUT_REST:
                await trio.lowlevel.checkpoint()
        ttl = payload.ttl_seconds(batch.event, int(self._now() * 1000))
        requests = Requests(payload.template(batch.event, ttl, token), len(bodies), paths, None, bodies)
        results = iter(await self._pool.submit(requests, max(0.0, stop_at - trio.current_time())))
        return [next(results) if sent else None for sent in is_sent]

    def _judge(
        self, pushes: list[_Push], results: Sequence[Result | None], used: bytes | None, outcomes: list[Outcome]
    ) -> list[tuple[list[_Push], bool]]:
        """Write the outcomes down, and say what goes once more: under a new token, or (True) with the short text.

        `used` is the token of a first try; after the second nothing goes once more.
        """
        now = self._now()
        found = [_outcome(result, now) for result in results]
        accepted = found.count(ACCEPTED)
        doubted = [index for index, one in enumerate(found) if one in answers.DOUBTS]
        again: list[tuple[list[_Push], bool]] = []
        if doubted and used is not None and not accepted and self._token.renew_refused(used):
            again.append(([pushes[index] for index in doubted], False))  # doubted still, if no time is left for it
        elif accepted or doubted:
            verdict = self._standing.hear(accepted, len(doubted))
            for index in doubted:
                found[index] = answers.meant(found[index], verdict)
        large = [push for push, one in zip(pushes, found, strict=True) if one == answers.TOO_LARGE]
        if large and used is not None:
            again.append((large, True))
        for push, one in zip(pushes, found, strict=True):
            outcomes[push.place] = one
        return again


def _outcome(result: Result | None, now_seconds: float) -> Outcome:
    if result is None:
        return _MALFORMED
    if isinstance(result, Answer):
        return answers.outcome(result, now_seconds)
    return failure_outcome(result)
