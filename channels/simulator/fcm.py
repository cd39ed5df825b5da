"""The simulated FCM: OAuth at `/token`, messages by `fcm_rules`, some planned by their token; keeps the ledger."""

from __future__ import annotations

import itertools
import re
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from channels.simulator import fcm_rules as rules
from channels.simulator.answers import NO_ANSWER, Answer, Ready, block
from channels.simulator.fcm_schema import Body, Message, decode
from channels.simulator.header_table import Field
from channels.simulator.ledger import Ledger, line, text_digest
from channels.simulator.oauth import OAuth
from channels.simulator.planned import PUSH_WORDS, Plan, Planned
from channels.simulator.service import Fate
from channels.simulator.shapes import Shape

_PATH = re.compile(rb"/v1/projects/([A-Za-z0-9\-:.]+)/messages:send(\?.*)?")
_JSON = (b"content-type", b"application/json; charset=UTF-8")
_OK = block(200, (_JSON,))
_TEXTS_KEPT_MAX = 2048
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_EXPIRED = {
    "@type": "type.googleapis.com/google.rpc.ErrorInfo",
    "reason": "ACCESS_TOKEN_EXPIRED",
    "domain": "googleapis.com",
}


class _Voucher(NamedTuple):
    """A kind of request whose headers are right, until its access token ends; how its answer begins."""

    until: float
    name: bytes


class Fcm:
    """Service of `python -m channels.simulator fcm`.

    Args:
        validating: False takes everything (accept-all), and still keeps the ledger.
        project: the only project that exists; empty takes any.
    """

    provider = "fcm"
    wanted: Sequence[bytes] = (b"content-length",)
    shapes: Mapping[bytes, Shape] = {b"content-length": Shape(each=rb"[0-9]", least=1, most=6)}

    def __init__(self, ledger: Ledger, oauth: OAuth, *, validating: bool, project: str, streams: int) -> None:
        self._ledger, self._oauth = ledger, oauth
        self._validating = validating
        self._project = project
        self.streams = self.streams_at_first = streams
        self._planned = Planned(PUSH_WORDS)
        self._words = tuple(word for word, _ in PUSH_WORDS)
        self._now = 0.0
        self._stamp = b"0\tfcm\t200\t\t"
        self._texts: dict[tuple[str, str], bytes] = {}
        self._made = itertools.count(1)

    def begin(self, unix_seconds: float) -> None:
        self._now = unix_seconds
        self._stamp = b"%d\tfcm\t200\t\t" % (unix_seconds * 1000)
        self._id_start = b"0:%d%%" % (unix_seconds * 1_000_000)

    def vouch(self, fields: Sequence[Field]) -> object | None:
        headers = dict(fields)
        found = _PATH.fullmatch(headers.get(b":path", b""))
        if found is None or self._judge_request(headers) is not None:
            return None
        until = self._oauth.until(_bearer(headers)) if self._validating else None
        return _Voucher(float("inf") if until is None else until, _name_start(found[1]))

    def quick(self, voucher: object, values: Sequence[bytes], body: bytes) -> Ready | None:
        """Hot: a 200 for a well-formed message to one token, about 5 us with the ledger line."""
        assert type(voucher) is _Voucher
        if voucher.until <= self._now or (values[0] and int(values[0]) != len(body)):
            return None
        try:
            content = decode(body)
        except (ValueError, RecursionError):
            return None
        message = content.message
        token = message.token
        if self._validating and (
            token is None
            or content.validate_only
            or token[:4].lower() in self._words
            or rules.judge(content, len(body)) is not None
        ):
            return None
        if self._ledger.is_kept:
            columns = _columns(message)
            if _CONTROL.search("".join(columns)):
                return None
            address, delivery, event, collapse = columns
            row = f"{address}\t{delivery}\t{event}\t{collapse}\t".encode()
            self._ledger.note(b"%b%b%b\n" % (self._stamp, row, self._digest(message)))
        return _OK, b'%b%b%x"}' % (voucher.name, self._id_start, next(self._made))

    def answer(self, fields: Sequence[Field], body: bytes, fate: Fate | None) -> Answer:
        headers = dict(fields)
        if headers.get(b":path") == b"/token":
            return self._token(headers, body, fate)
        content = rules.read(body)
        decided = self._decide(headers, content, body, fate)
        status, reason = (200, "") if decided is None else decided[:2]
        self._note(content, status, reason)
        if decided is None:
            return self._accepted(headers)
        return decided[2]

    def _decide(
        self, headers: Mapping[bytes, bytes], content: Body | rules.FcmError, body: bytes, fate: Fate | None
    ) -> tuple[int, str, Answer] | None:
        """Status, reason and answer; None when the message is accepted."""
        if fate is not None:
            return None if fate.status == 200 else _scripted(fate)
        if not self._validating:
            return None
        refused = self._judge_request(headers)
        if refused is not None:
            return refused
        fault = content if isinstance(content, rules.FcmError) else rules.judge(content, len(body))
        if fault is not None:
            return _refusal(fault)
        assert isinstance(content, Body)
        return None if content.validate_only else self._by_plan(content.message.token or content.message.fid or "")

    def _by_plan(self, token: str) -> tuple[int, str, Answer] | None:
        match self._planned.of(token):
            case Plan.DEAD | Plan.DEAD_BEFORE:
                return _refusal(rules.error("UNREGISTERED", "Requested entity was not found."))
            case Plan.BAD:
                why = "The registration token is not a valid FCM registration token"
                return _refusal(rules.invalid("message.token", why))
            case Plan.STRANGER:
                return _refusal(rules.error("SENDER_ID_MISMATCH", "SenderId mismatch"))
            case Plan.FEED:
                return _refusal(rules.error("QUOTA_EXCEEDED", "Quota exceeded for the device."), "1")
            case Plan.FADE:
                return _refusal(rules.error("UNAVAILABLE", "The service is currently unavailable."), "1")
            case Plan.DEAF:
                return 0, "Silent", NO_ANSWER
            case _:
                return None

    def _judge_request(self, headers: Mapping[bytes, bytes]) -> tuple[int, str, Answer] | None:
        """Judge everything but the body."""
        found = _PATH.fullmatch(headers.get(b":path", b""))
        if found is None or headers.get(b":method") != b"POST":
            return _refusal(rules.error("NOT_FOUND", "Requested entity was not found."))
        if not self._validating:
            return None
        until = self._oauth.until(_bearer(headers))
        if until is None or until <= self._now:
            why = "Request had invalid authentication credentials."
            return _refusal(rules.error("UNAUTHENTICATED", why), extra=_EXPIRED if until is not None else None)
        if self._project and found[1].decode() != self._project:
            return _refusal(rules.error("NOT_FOUND", "Requested entity was not found."))
        if not headers.get(b"content-type", b"application/json").lower().startswith(b"application/json"):
            return _refusal(rules.invalid("", "The content type must be application/json."))
        return None

    def _token(self, headers: Mapping[bytes, bytes], body: bytes, fate: Fate | None) -> Answer:
        if headers.get(b":method") != b"POST":
            return Answer(405, ((b"allow", b"POST"),))
        if fate is not None and fate.status == 0:
            return NO_ANSWER
        return self._oauth.answer(body, self._now)

    def _accepted(self, headers: Mapping[bytes, bytes]) -> Answer:
        found = _PATH.fullmatch(headers.get(b":path", b""))
        start = _name_start(found[1] if found else b"any")
        return Answer(200, (_JSON,), b'%b%b%x"}' % (start, self._id_start, next(self._made)))

    def _note(self, content: Body | rules.FcmError, status: int, reason: str) -> None:
        columns, text = ("", "", "", ""), text_digest("", "")
        if isinstance(content, Body):
            columns, text = _columns(content.message), self._digest(content.message)
        address, delivery, event, collapse = (column.encode("utf-8", "replace") for column in columns)
        self._ledger.note(
            line(int(self._now * 1000), b"fcm", status, reason.encode(), address, delivery, event, collapse, text)
        )

    def _digest(self, message: Message) -> bytes:
        shown = message.notification or (message.android.notification if message.android else None)
        pair = (shown.title, shown.body) if shown else (message.data.get("title", ""), message.data.get("body", ""))
        known = self._texts.get(pair)
        if known is None:
            if len(self._texts) >= _TEXTS_KEPT_MAX:
                self._texts.clear()
            known = self._texts[pair] = text_digest(*pair)
        return known


def _columns(message: Message) -> tuple[str, str, str, str]:
    """Address, delivery, event and collapse of a message, as the ledger wants them."""
    data, android = message.data, message.android
    shown = android.notification if android is not None else None
    address = message.token or message.fid or message.topic or message.condition or ""
    return address, data.get("delivery", ""), data.get("event", ""), shown.tag if shown is not None else ""


def _bearer(headers: Mapping[bytes, bytes]) -> str:
    scheme, _, token = headers.get(b"authorization", b"").decode("latin-1").partition(" ")
    return token if scheme.lower() == "bearer" else ""


def _name_start(project: bytes) -> bytes:
    return b'{"name":"projects/%b/messages/' % project


def _refusal(
    fault: rules.FcmError, retry_after: str = "", extra: Mapping[str, Any] | None = None
) -> tuple[int, str, Answer]:
    fields = (_JSON, (b"retry-after", retry_after.encode())) if retry_after else (_JSON,)
    return fault.http, fault.code or fault.rpc, Answer(fault.http, fields, rules.error_body(fault, extra))


def _scripted(fate: Fate) -> tuple[int, str, Answer]:
    if fate.status == 0:
        return 0, fate.reason, NO_ANSWER
    reason = fate.reason or rules.USUAL_REASON.get(fate.status, "")
    if reason in rules.RPC_OF:
        _, _, answer = _refusal(rules.error(reason, "Scripted."), fate.retry_after)
        return fate.status, reason, answer._replace(status=fate.status)
    fields = ((b"retry-after", fate.retry_after.encode()),) if fate.retry_after else ()
    return fate.status, reason, Answer(fate.status, (*fields, (b"content-type", b"text/plain")), reason.encode())
