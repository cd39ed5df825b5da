"""Reads the head of a request, strictly (RFC 9112): one pattern for the whole head, then what frames the body. Pure.

Refused, since two readers in a row could disagree where the next request starts: bare CR or LF, folded lines, blanks
before a colon, a missing or repeated Host, Content-Length with Transfer-Encoding, either of them twice, any coding but
`chunked`, a length that is not plain digits.
"""

from __future__ import annotations

import re
from typing import NamedTuple
from urllib.parse import unquote

Headers = list[tuple[bytes, bytes]]

END = b"\r\n\r\n"
_TOKEN = rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]"
_HEAD = re.compile(
    rb"(" + _TOKEN + rb"{1,32}) ([\x21\x22\x24-\x7e]+) HTTP/1\.([01])"  # no fragment in a target
    rb"((?:\r\n" + _TOKEN + rb"+:[\t\x20-\x7e\x80-\xff]*)*)"
)
_HOPELESS = re.compile(rb"(?<!\r)\n|\r[^\n]|[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]|^[^A-Za-z\r]")
_LENGTH_DIGITS_MAX = 15


class BadHead(Exception):
    """Not a request, or one that readers understand differently."""


class Head(NamedTuple):
    """A request's head. Names of headers are lower case; `length` None stands for a body in chunks."""

    method: str
    path: str
    raw_path: bytes
    query: bytes
    minor: int
    headers: Headers
    length: int | None
    keeps_alive: bool
    expects_continue: bool


def is_hopeless(part: bytes, start: int) -> bool:
    """Whether no head can come of what has arrived so far; looks from `start` on, which had been looked at before."""
    return _HOPELESS.search(part, max(0, start - 1)) is not None


def read_head(block: bytes) -> Head:
    """Read a head without the empty line that ends it.

    Raises:
        BadHead: see there.
    """
    match = _HEAD.fullmatch(block)
    if match is None:
        raise BadHead
    method, target, minor, fields = match.groups()
    headers: Headers = []
    for line in fields.split(b"\r\n")[1:]:
        name, _, value = line.partition(b":")
        headers.append((name.lower(), value.strip(b" \t")))
    given = dict(headers)
    if len(given) != len(headers):
        _refuse_repeated(headers)
    is_1_1 = minor == b"1"
    if is_1_1 and b"host" not in given:
        raise BadHead
    path, _, query = _origin_form(target).partition(b"?")
    return Head(
        method=method.decode(),
        path=unquote(path.decode()) if b"%" in path else path.decode(),
        raw_path=path,
        query=query,
        minor=int(minor),
        headers=headers,
        length=_length(given, is_1_1),
        keeps_alive=is_1_1 and not (b"connection" in given and _asks_to_close(headers)),
        expects_continue=is_1_1 and given.get(b"expect", b"").lower() == b"100-continue",
    )


def _refuse_repeated(headers: Headers) -> None:
    names = [name for name, _ in headers]
    if any(names.count(name) > 1 for name in (b"host", b"content-length", b"transfer-encoding")):
        raise BadHead


def _length(given: dict[bytes, bytes], is_1_1: bool) -> int | None:
    """How long the body is; None: chunked (RFC 9112, 6.3)."""
    length, coding = given.get(b"content-length"), given.get(b"transfer-encoding")
    if coding is not None:
        if length is not None or not is_1_1 or coding.lower() != b"chunked":
            raise BadHead
        return None
    if length is None:
        return 0
    if not length.isdigit() or len(length) > _LENGTH_DIGITS_MAX:
        raise BadHead
    return int(length)


def _asks_to_close(headers: Headers) -> bool:
    options = b",".join(value for name, value in headers if name == b"connection")
    return b"close" in [option.strip().lower() for option in options.split(b",")]


def _origin_form(target: bytes) -> bytes:
    """The path and query of a target; a proxy's absolute form is taken too (RFC 9112, 3.2.2), `*` is itself."""
    if target.startswith(b"/") or target == b"*":
        return target
    scheme, separator, rest = target.partition(b"://")
    if not separator or scheme.lower() not in (b"http", b"https"):
        raise BadHead
    return b"/" + rest.partition(b"/")[2]
