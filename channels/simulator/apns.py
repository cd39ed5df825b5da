"""The simulated APNs: judges pushes by `apns_rules`, plans some by their token, keeps the ledger."""

from __future__ import annotations

import itertools
import uuid
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import msgspec

from channels.simulator import apns_rules as rules
from channels.simulator.answers import NO_ANSWER, Answer, Ready
from channels.simulator.header_table import Field
from channels.simulator.ledger import Ledger, line, text_digest
from channels.simulator.planned import HEX_WORDS, OLD_MS, PUSH_WORDS, Plan, Planned
from channels.simulator.service import Fate
from channels.simulator.shapes import Shape

_PAYLOADS_KEPT_MAX = 2048
"""Broadcasts send one payload to very many tokens: read it once. Cleared when full."""
_CREDENTIALS_KEPT_MAX = 256

_OK = b"\x88\x00\x07apns-id\x24"
"""Header block of 200 up to the 36 bytes of the id: a literal that leaves every table alone."""

_UUID = rb"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"


class _Voucher(NamedTuple):
    """A kind of request whose constant headers are right, until its provider token is too old."""

    until: float
    push_type: str


class _Facts(NamedTuple):
    """A payload as the quick way needs it."""

    push_types: frozenset[str]
    event: bytes
    text: bytes


class Apns:
    """Service of `python -m channels.simulator apns`.

    Args:
        validating: False takes everything (accept-all), and still keeps the ledger.
        streams: stream limit of a connection after its first accepted push.
        streams_at_first: before that; Apple allows one with token authentication.
        first_id: where the ids start that are made for pushes without one; random if left out.
    """

    provider = "apns"
    wanted: Sequence[bytes] = (b":path", b"apns-id", b"apns-collapse-id", b"content-length")

    def __init__(
        self,
        ledger: Ledger,
        *,
        validating: bool,
        sender: rules.Sender,
        streams: int,
        streams_at_first: int,
        first_id: int | None = None,
    ) -> None:
        self._ledger = ledger
        self._validating = validating
        self._sender = sender
        self.streams = streams
        self.streams_at_first = streams_at_first if validating else streams
        hexes = Shape(b"/3/device/", b"[0-9a-f]", 8, 200, never=b"(?i:(?!%b))" % HEX_WORDS if validating else b"")
        self.shapes: Mapping[bytes, Shape] = {
            b":path": hexes,
            b"apns-id": Shape(exact=_UUID, least=36, most=36),
            b"apns-collapse-id": Shape(each=rb"[\x21-\x7e]", most=rules.COLLAPSE_BYTES_MAX),
            b"apns-expiration": Shape(each=rb"[0-9]", least=1, most=19),
            b"content-length": Shape(each=rb"[0-9]", least=1, most=6),
        }
        self._planned = Planned(PUSH_WORDS)
        self._now = 0.0
        self._stamp = b"0\tapns\t200\t\t"
        self._facts: dict[bytes, _Facts | None] = {}
        self._credentials: dict[bytes, rules.Credential] = {}
        self._made = itertools.count(uuid.uuid4().int if first_id is None else first_id)

    def begin(self, unix_seconds: float) -> None:
        self._now = unix_seconds
        self._stamp = b"%d\tapns\t200\t\t" % (unix_seconds * 1000)

    def vouch(self, fields: Sequence[Field]) -> object | None:
        headers = dict(fields)
        if not self._validating:
            return _Voucher(float("inf"), "")
        if self._judge_request(fields, headers):
            return None
        until = self._credential(headers).until
        return _Voucher(until, headers.get(b"apns-push-type", b"alert").decode())

    def quick(self, voucher: object, values: Sequence[bytes], body: bytes) -> Ready | None:
        """Hot: a 200 for a push of a known kind, about 2 us with the ledger line."""
        assert type(voucher) is _Voucher
        token, delivery, collapse, length, _ = values
        if length and int(length) != len(body):
            return None
        if self._validating and voucher.until <= self._now:
            return None
        event = text = b""
        if self._validating or self._ledger.is_kept:
            facts = self._facts[body] if body in self._facts else self._read(body)
            if facts is None or (self._validating and voucher.push_type not in facts.push_types):
                return None
            _, event, text = facts
        if not delivery:
            delivery = self._make_id()
        if self._ledger.is_kept:
            self._ledger.note(b"%b%b\t%b\t%b\t%b\t%b\n" % (self._stamp, token, delivery, event, collapse, text))
        return _OK + delivery, b""

    def answer(self, fields: Sequence[Field], body: bytes, fate: Fate | None) -> Answer:
        headers = dict(fields)
        delivery = headers.get(b"apns-id", b"")
        if not rules.is_message_id(delivery.decode("latin-1")):
            delivery = self._make_id()
        path = headers.get(b":path", b"").decode("latin-1")
        token = rules.device_token(path)
        status, reason, since_ms = self._decide(fields, headers, token, body, fate)
        payload = rules.read_payload(body)
        self._ledger.note(
            line(
                int(self._now * 1000),
                b"apns",
                status,
                reason.encode(),
                token.encode("latin-1"),
                delivery,
                payload.event.encode(),
                headers.get(b"apns-collapse-id", b""),
                text_digest(payload.title, payload.body),
            )
        )
        if status == 0:
            return NO_ANSWER
        extra = ((b"retry-after", fate.retry_after.encode()),) if fate is not None and fate.retry_after else ()
        return Answer(status, ((b"apns-id", delivery), *extra), _error_body(reason, since_ms))

    def _decide(
        self, fields: Sequence[Field], headers: Mapping[bytes, bytes], token: str, body: bytes, fate: Fate | None
    ) -> tuple[int, str, int | None]:
        """Status, reason and, for 410, the time stamp: the script first, then the rules, then the token's plan."""
        if fate is not None:
            reason = fate.reason or rules.USUAL_REASON.get(fate.status, "")
            return fate.status, reason, int(self._now * 1000) if fate.status == 410 else None
        if not self._validating:
            return 200, "", None
        reason = self._judge_request(fields, headers) or rules.judge_payload(
            rules.read_payload(body), len(body), headers.get(b"apns-push-type", b"alert").decode("latin-1")
        )
        if reason:
            return rules.STATUS[reason], reason, None
        return self._by_plan(token)

    def _by_plan(self, token: str) -> tuple[int, str, int | None]:
        match self._planned.of(token):
            case Plan.DEAD:
                return 410, "Unregistered", int(self._now * 1000)
            case Plan.DEAD_BEFORE:
                return 410, "Unregistered", OLD_MS
            case Plan.BAD:
                return 400, "BadDeviceToken", None
            case Plan.STRANGER:
                return 400, "DeviceTokenNotForTopic", None
            case Plan.FEED:
                return 429, "TooManyRequests", None
            case Plan.FADE:
                return 503, "ServiceUnavailable", None
            case Plan.DEAF:
                return 0, "Silent", None
            case _:
                return 200, "", None

    def _judge_request(self, fields: Sequence[Field], headers: Mapping[bytes, bytes]) -> str:
        """Everything but the body and the token's plan."""
        method, path = headers.get(b":method", b""), headers.get(b":path", b"")
        return (
            rules.judge_line(method.decode("latin-1"), path.decode("latin-1"))
            or self._credential(headers).reason
            or rules.judge_headers(fields, self._sender)
        )

    def _credential(self, headers: Mapping[bytes, bytes]) -> rules.Credential:
        """Check the provider token; verifying a signature costs 100 us, so a good one is remembered until it ends."""
        authorization = headers.get(b"authorization")
        known = self._credentials.get(authorization or b"")
        if known is not None and self._now < known.until:
            return known
        text = authorization.decode("latin-1") if authorization is not None else None
        fresh = rules.credential(text, self._sender, self._now)
        if not fresh.reason and authorization is not None:
            if len(self._credentials) >= _CREDENTIALS_KEPT_MAX:
                self._credentials.clear()
            self._credentials[authorization] = fresh
        return fresh

    def _read(self, body: bytes) -> _Facts | None:
        """Read a payload for the quick way; None when it is not plainly right."""
        payload = rules.read_payload(body)
        wrong = payload.reason or not 0 < len(body) <= rules.PAYLOAD_BYTES_MAX
        event = payload.event.encode()
        facts = None
        if not (wrong or any(byte < 32 for byte in event)):
            facts = _Facts(payload.push_types, event, text_digest(payload.title, payload.body))
        if len(self._facts) >= _PAYLOADS_KEPT_MAX:
            self._facts.clear()
        self._facts[body] = facts
        return facts

    def _make_id(self) -> bytes:
        text = b"%032x" % (next(self._made) % (1 << 128))
        return b"-".join((text[:8], text[8:12], text[12:16], text[16:20], text[20:]))


def _error_body(reason: str, since_ms: int | None) -> bytes:
    if not reason:
        return b""
    return msgspec.json.encode({"reason": reason} if since_ms is None else {"reason": reason, "timestamp": since_ms})
