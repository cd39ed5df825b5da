"""Rules for one mail as it stands after DATA: lines, headers, MIME (RFC 5322, 2045-2047, 5321 section 4.5). Pure.

`email.parser` costs a millisecond a mail, so this reads only what it judges, and keeps what repeats from mail to mail.
Marked *ours* where no RFC forbids it, but a notification engine should never send it.
"""

from __future__ import annotations

import binascii
import codecs
import re
from collections.abc import Mapping
from email.errors import HeaderParseError
from email.header import decode_header, make_header
from email.utils import parsedate_to_datetime
from functools import lru_cache
from typing import NamedTuple

LINE_BYTES_MAX = 998
QP_LINE_BYTES_MAX = 76
_DEPTH_MAX = 8

_HEADER = re.compile(r"([\x21-\x39\x3b-\x7e]+):([^\r\n]*(?:\r\n[ \t][^\r\n]*)*)\r\n")
_MESSAGE_ID = re.compile(r"<[^<>@\s]+@[^<>@\s]+>")
_ADDRESS = re.compile(r"[^@\s<>]+@[A-Za-z0-9.\-\[\]:]+")
_FROM = re.compile(rf'(?:(?:"(?:[^"\\]|\\.)*"|[^<>",;:@]*) ?<{_ADDRESS.pattern}>|{_ADDRESS.pattern})')
_TYPE = re.compile(r'([a-z0-9!#$&^_.+\-]+)/([a-z0-9!#$&^_.+\-]+)((?:\s*;\s*[^\s=;]+=(?:"[^"]*"|[^\s;"]+))*)\s*;?\s*')
_PARAMETER = re.compile(r';\s*([^\s=;]+)=(?:"([^"]*)"|([^\s;"]+))')
_UNSTUFFED = re.compile(rb"\r\n\.(?!\.)")
_BAD_ESCAPE = re.compile(rb"=(?![0-9A-F]{2}|\r\n)")
_AFTER_BOUNDARY = re.compile(rb"(--|)[ \t]*(?=\r\n|\Z)")
_IN_QP = bytes((9, 10, 13, *range(32, 127)))
_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")

ONCE = frozenset({"from", "date", "message-id"})
AT_MOST_ONCE = ONCE | {
    *("sender", "reply-to", "to", "cc", "in-reply-to", "references", "subject", "mime-version"),
    *("content-type", "content-transfer-encoding", "content-disposition", "list-unsubscribe", "x-klokke-event"),
}
_ENCODINGS = frozenset({"7bit", "8bit", "quoted-printable", "base64"})


class Mail(NamedTuple):
    """What was read: the fault (empty when right), and what the ledger wants."""

    fault: str
    message_id: str = ""
    event: str = ""
    subject: str = ""


def judge(data: bytes) -> tuple[str, Mail]:
    """Judge a mail as it came, still dot-stuffed: a fault of its lines (or empty), and the mail.

    Hot: the letters of one event differ in their first headers only, so what follows them is judged once.
    """
    head, body = _split(data)
    if data.startswith(b"\r\n") or len(body) > _REST_BYTES_MAX:  # no headers; or a body too large to keep
        return judge_lines(data), read(unstuff(data))
    headers, fault = _headers(unstuff(head))
    fault = fault or _judge_headers(headers)
    line_fault, part_fault = _judge_rest(body, *(tuple(headers.get(name, ())) for name in _OF_THE_BODY))
    return judge_lines(head) or line_fault, _mail(headers, fault or part_fault)


_REST_BYTES_MAX = 65_536
_OF_THE_BODY = ("content-type", "content-transfer-encoding", "mime-version")


@lru_cache(128)
def _judge_rest(body: bytes, *values: tuple[str, ...]) -> tuple[str, str]:
    """The faults of a stuffed body: of its lines, and as a MIME entity under the three headers `_OF_THE_BODY`."""
    headers = {name: list(found) for name, found in zip(_OF_THE_BODY, values, strict=True) if found}
    return judge_lines(body), _judge_part(headers, unstuff(body), 0)


def note(data: bytes) -> Mail:
    """Read what the ledger wants of a mail as it came, without judging it."""
    headers, _ = _headers(unstuff(_split(data)[0]))
    return _mail(headers, "")


def judge_lines(data: bytes) -> str:
    """Judge the raw lines between 354 and the final dot, still dot-stuffed; empty when right."""
    pairs = data.count(b"\r\n")
    if data.count(b"\r") != pairs or data.count(b"\n") != pairs:
        return "bare CR or LF"
    if _UNSTUFFED.search(data) or (data.startswith(b".") and not data.startswith(b"..")):
        return "a line begins with an unstuffed dot"
    if b"\x00" in data:
        return "a NUL byte"
    return f"a line is longer than {LINE_BYTES_MAX} bytes" if _longest_line(data) > LINE_BYTES_MAX else ""


def _longest_line(data: bytes) -> int:
    return max(map(len, data.split(b"\r\n")))


def unstuff(data: bytes) -> bytes:
    """Take the doubled dots off (RFC 5321 section 4.5.2)."""
    return (data[1:] if data.startswith(b".") else data).replace(b"\r\n.", b"\r\n")


def read(content: bytes) -> Mail:
    """Read and judge a mail without its dot-stuffing."""
    head, body = _split(content)
    headers, fault = _headers(head)
    return _mail(headers, fault or _judge_headers(headers) or _judge_part(headers, body, 0))


def _mail(headers: Mapping[str, list[str]], fault: str) -> Mail:
    message_id, event = (headers.get(name, [""])[0] for name in ("message-id", "x-klokke-event"))
    subject = headers.get("subject", [""])[0]
    return Mail(fault, message_id, event, decoded(subject) or subject)


def _split(content: bytes) -> tuple[bytes, bytes]:
    """Header lines and body of an entity; the empty line between them is dropped."""
    if content.startswith(b"\r\n"):
        return b"", content[2:]
    end = content.find(b"\r\n\r\n")
    return (content, b"") if end < 0 else (content[: end + 2], content[end + 4 :])


def _headers(head: bytes) -> tuple[dict[str, list[str]], str]:
    """Take header lines apart: unfolded values by lower-case name, and a fault."""
    fault = ""
    try:
        text = head.decode("ascii")
    except UnicodeDecodeError:
        fault, text = "a header has bytes beyond ASCII, but SMTPUTF8 is not offered", head.decode("ascii", "replace")
    headers: dict[str, list[str]] = {}
    length = 0
    for name, folded in _HEADER.findall(text):  # one call: a match for each header costs twice as much
        length += len(name) + len(folded) + 3
        value = folded.replace("\r\n", "") if "\r\n" in folded else folded
        headers.setdefault(name.lower(), []).append(value.strip())
    if length != len(text):
        fault = fault or "a header line is malformed"
    return headers, fault


def _judge_headers(headers: Mapping[str, list[str]]) -> str:
    for name in ONCE - headers.keys():
        return f"the header {name} is missing"
    for name, values in headers.items():
        if len(values) > 1 and name in AT_MOST_ONCE:
            return f"the header {name} stands {len(values)} times"
        for value in values:
            if _CONTROL.search(value) or ("=?" in value and (decoded(value) is None)):
                return f"the header {name} holds control characters or a broken encoded word"
    if "bcc" in headers:
        return "a Bcc header is sent"  # *ours*: nearly always an injection
    if not _is_date(headers["date"][0]):
        return "the Date cannot be read"
    if not _MESSAGE_ID.fullmatch(headers["message-id"][0]):
        return "the Message-ID is malformed"
    return "" if _FROM.fullmatch(headers["from"][0]) else "the From is not one mailbox"


@lru_cache(1024)
def decoded(value: str) -> str | None:
    """Decode the encoded words of a header value; None when they are broken or hide control characters."""
    if "=?" not in value:
        return value
    try:
        text = str(make_header(decode_header(value)))
    except (HeaderParseError, UnicodeError, LookupError, ValueError):
        return None
    return None if _CONTROL.search(text) else text


@lru_cache(1024)
def _is_date(value: str) -> bool:
    try:
        parsedate_to_datetime(value)
    except (ValueError, TypeError):
        return False
    return True


@lru_cache(1024)
def content_type(value: str) -> tuple[str, str, dict[str, str]] | None:
    """Type, subtype and parameters of a Content-Type; None when malformed."""
    match = _TYPE.fullmatch(value.strip()) or _TYPE.fullmatch(value.strip().lower())
    if match is None:
        return None
    found = {m[1].lower(): m[2] if m[2] is not None else m[3] for m in _PARAMETER.finditer(match[3])}
    return match[1], match[2], found


def _judge_part(headers: Mapping[str, list[str]], body: bytes, depth: int) -> str:
    """Judge a MIME entity and those within it."""
    kind = content_type(headers.get("content-type", ["text/plain"])[0])
    encoding = headers.get("content-transfer-encoding", ["7bit"])[0].lower()
    if kind is None or encoding not in _ENCODINGS:
        return "Content-Type or Content-Transfer-Encoding is malformed"
    if depth == 0 and "content-type" in headers and headers.get("mime-version") != ["1.0"]:
        return "MIME-Version: 1.0 is missing"
    if kind[0] == "multipart":
        return _judge_multipart(kind[2].get("boundary", ""), body, depth)
    return _judge_leaf(kind, encoding, body)


def _judge_multipart(boundary: str, body: bytes, depth: int) -> str:
    if not 0 < len(boundary) <= 70 or depth >= _DEPTH_MAX:
        return "a multipart has no usable boundary, or is too deep"
    parts = _parts(b"\r\n--" + boundary.encode("latin-1", "replace"), body)
    if not parts:
        return "a multipart has no parts, or is not closed"
    for part in parts:
        inner = part.removeprefix(b"\r\n")
        head, content = _split(inner)
        headers, fault = _headers(head)
        fault = fault or _judge_part(headers, content, depth + 1)
        if fault:
            return fault
    return ""


def _parts(delimiter: bytes, body: bytes) -> list[bytes]:
    """The parts between delimiters, the last of which must close; none where that is not so."""
    # no pattern with the boundary in it: most senders draw one a mail, and compiling costs 0.1 ms
    marks: list[bytes] = []
    texts: list[bytes] = []
    for piece in (b"\r\n" + body).split(delimiter)[1:]:
        match = _AFTER_BOUNDARY.match(piece)
        if match is not None:
            marks.append(match[1])
            texts.append(piece[match.end() :])
        elif texts:  # a longer boundary, or words
            texts[-1] += delimiter + piece
    is_closed = marks[-1:] == [b"--"] and b"--" not in marks[:-1]
    return texts[:-1] if is_closed else []


def _judge_leaf(kind: tuple[str, str, dict[str, str]], encoding: str, body: bytes) -> str:
    content = body
    if encoding == "base64":
        try:
            content = binascii.a2b_base64(body.replace(b"\r\n", b""), strict_mode=True) if body.strip() else b""
        except binascii.Error:
            return "a base64 part is malformed"
    elif encoding == "quoted-printable":
        if _BAD_ESCAPE.search(body) or body.translate(None, _IN_QP) or _longest_line(body) > QP_LINE_BYTES_MAX:
            return "a quoted-printable part is malformed"
        content = binascii.a2b_qp(body)
    elif encoding == "7bit" and not body.isascii():
        return "a part says 7bit and holds other bytes"
    if kind[0] != "text":
        return ""
    charset = kind[2].get("charset", "us-ascii")
    try:
        codecs.decode(content, charset)
    except (LookupError, ValueError):
        return "a text part is not in its charset"
    return ""
