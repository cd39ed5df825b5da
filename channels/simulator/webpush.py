"""The simulated push service: `POST /push/<name>` by `webpush_rules`, opened by `webpush_keys`; keeps the ledger.

`GET /subscription/<name>` gives a browser's subscription as JSON, for whoever wants to register one. Names whose first
letters plan their end (`planned.py`), in validating mode: `dead` 410, `dead01d` 404, `badd` 400, `cafe` 403 as if
subscribed with another key, `feed` and `busy` 429 once, `fade` 503 once, `deaf` never answered.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import msgspec

from channels.simulator import webpush_rules as rules
from channels.simulator.answers import NO_ANSWER, Answer, Ready, ready
from channels.simulator.header_table import Field
from channels.simulator.ledger import Ledger, line, text_digest
from channels.simulator.planned import HEX_WORDS, PUSH_WORDS, Plan, Planned
from channels.simulator.service import Fate
from channels.simulator.shapes import Shape
from channels.simulator.webpush_keys import Browsers, Undecryptable, subscription

_PUSH = re.compile(rb"/push/([A-Za-z0-9_\-]{8,200})")
_SUBSCRIPTION = re.compile(rb"/subscription/([A-Za-z0-9_\-]{8,200})")
_CREDENTIALS_KEPT_MAX = 256

_PLANNED = {  # reason and Retry-After
    Plan.DEAD: ("Gone", ""),
    Plan.DEAD_BEFORE: ("NotFound", ""),
    Plan.BAD: ("BadEncoding", ""),
    Plan.STRANGER: ("OtherVapidKey", ""),
    Plan.FEED: ("TooManyRequests", "1"),
    Plan.FADE: ("Unavailable", "1"),
}


class _Voucher(NamedTuple):
    """A kind of request whose headers are right, until its token ends."""

    until: float
    ttl: bytes
    topic: bytes


class _Message(msgspec.Struct, frozen=True):
    """What the ledger wants of a message."""

    title: str = ""
    body: str = ""
    event: str = ""
    delivery: str = ""


_decode = msgspec.json.Decoder(_Message).decode


class WebPush:
    """Service of `python -m channels.simulator webpush`.

    Args:
        origins: our own, as a token's `aud` may name it; the first one stands in Location.
        validating: False takes everything (accept-all), and still keeps the ledger.
        key: the only application server key that is known, in base64url; empty takes any.
    """

    provider = "webpush"
    wanted: Sequence[bytes] = (b":path", b"content-length")

    def __init__(self, ledger: Ledger, *, origins: Sequence[str], validating: bool, key: str, streams: int) -> None:
        self._ledger, self._origins, self._key = ledger, tuple(origins), key
        self._validating = validating
        self.streams = self.streams_at_first = streams
        never = rb"(?i:(?!%b|busy))" % HEX_WORDS if validating else b""
        self.shapes: Mapping[bytes, Shape] = {
            b":path": Shape(b"/push/", rb"[A-Za-z0-9_\-]", 8, 200, never=never),
            b"content-length": Shape(each=rb"[0-9]", least=1, most=6),
        }
        self._planned = Planned(PUSH_WORDS)
        self._browsers = Browsers()
        self._credentials: dict[bytes, rules.Credential] = {}
        self._now = 0.0
        self._made = itertools.count(1)

    def begin(self, unix_seconds: float) -> None:
        self._now = unix_seconds

    def vouch(self, fields: Sequence[Field]) -> object | None:
        headers = dict(fields)
        if not self._validating:
            return _Voucher(float("inf"), headers.get(b"ttl", b"0"), headers.get(b"topic", b""))
        found = self._credential(headers)
        if headers.get(b":method") != b"POST" or found.reason or rules.judge_headers(headers):
            return None
        return _Voucher(found.until, headers[b"ttl"], headers.get(b"topic", b""))

    def quick(self, voucher: object, values: Sequence[bytes], body: bytes) -> Ready | None:
        """A 201 for a push of a known kind: about 60 us, nearly all of it decrypting."""
        assert type(voucher) is _Voucher
        name, length, _ = values
        if (length and int(length) != len(body)) or voucher.until <= self._now:
            return None
        message = _Message()
        if self._validating or self._ledger.is_kept:
            try:
                message = self._open(name, body)
            except Undecryptable:
                return None
            if self._validating and len(body) > rules.BODY_BYTES_MAX:
                return None
        self._note(name, message, voucher.topic, 201, "")
        return ready(self._accepted(voucher.ttl))

    def answer(self, fields: Sequence[Field], body: bytes, fate: Fate | None) -> Answer:
        headers = dict(fields)
        path = headers.get(b":path", b"")
        if headers.get(b":method") == b"GET" and (asked := _SUBSCRIPTION.fullmatch(path)):
            json = msgspec.json.encode(subscription(self._origins[0], asked[1].decode()))
            return Answer(200, ((b"content-type", b"application/json"),), json)
        found = _PUSH.fullmatch(path)
        name = found[1] if found else b""
        status, reason, retry_after = self._decide(headers, name, body, fate)
        try:
            message = self._open(name, body) if name else _Message()
        except Undecryptable:
            message = _Message()
        self._note(name, message, headers.get(b"topic", b""), status, reason)
        if status == 0:
            return NO_ANSWER
        if status == 201:
            return self._accepted(headers.get(b"ttl", b"0"))
        extra = ((b"retry-after", retry_after.encode()),) if retry_after else ()
        return Answer(status, (*extra, (b"content-type", b"text/plain")), reason.encode())

    def _decide(
        self, headers: Mapping[bytes, bytes], name: bytes, body: bytes, fate: Fate | None
    ) -> tuple[int, str, str]:
        """Status, reason and Retry-After: the script first, then the rules, then the plan of the name."""
        if fate is not None:
            status = 201 if fate.status == 200 else fate.status
            return status, fate.reason or rules.USUAL_REASON.get(status, ""), fate.retry_after
        if not self._validating:
            return 201, "", ""
        reason = self._judge(headers, name, body)
        if reason:
            return rules.STATUS[reason], reason, ""
        return self._by_plan(name.decode())

    def _judge(self, headers: Mapping[bytes, bytes], name: bytes, body: bytes) -> str:
        if not name:
            return "NotFound"
        if headers.get(b":method") != b"POST":
            return "MethodNotAllowed"
        reason = rules.judge_headers(headers) or self._credential(headers).reason
        if reason or len(body) > rules.BODY_BYTES_MAX:
            return reason or "TooLarge"
        try:
            self._browsers.open(name, body)
        except Undecryptable:
            return "Undecryptable"
        return ""

    def _by_plan(self, name: str) -> tuple[int, str, str]:
        plan = self._planned.of(name)
        if plan is Plan.DEAF:
            return 0, "Silent", ""
        planned = _PLANNED.get(plan) if plan else None
        if planned is None:
            return 201, "", ""
        reason, retry_after = planned
        return rules.STATUS[reason], reason, retry_after

    def _credential(self, headers: Mapping[bytes, bytes]) -> rules.Credential:
        """Check the VAPID token; verifying a signature costs 100 us, so a good one is remembered until it ends."""
        header = headers.get(b"authorization")
        known = self._credentials.get(header or b"")
        if known is not None and self._now < known.until:
            return known
        text = header.decode("latin-1") if header is not None else None
        fresh = rules.credential(text, self._origins.__contains__, self._key, self._now)
        if not fresh.reason and header is not None:
            if len(self._credentials) >= _CREDENTIALS_KEPT_MAX:
                self._credentials.clear()
            self._credentials[header] = fresh
        return fresh

    def _open(self, name: bytes, body: bytes) -> _Message:
        """Read a message; words that are not our JSON have no event and no text."""
        plain = self._browsers.open(name, body)
        try:
            return _decode(plain)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            return _Message()

    def _accepted(self, ttl: bytes) -> Answer:
        location = b"%b/message/%x" % (self._origins[0].encode(), next(self._made))
        return Answer(201, ((b"location", location), (b"ttl", ttl)))

    def _note(self, name: bytes, message: _Message, topic: bytes, status: int, reason: str) -> None:
        text = text_digest(message.title, message.body)
        delivery, event = (one.encode("utf-8", "replace") for one in (message.delivery, message.event))
        unix_ms = int(self._now * 1000)
        self._ledger.note(line(unix_ms, b"webpush", status, reason.encode(), name, delivery, event, topic, text))
