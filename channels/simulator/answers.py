"""What a simulated provider answers, and how that looks on HTTP/2. Pure.

Every block is stateless (no dynamic table), so that it can be made once and repeated for any stream of any
connection; status 200 is its first byte.
"""

from __future__ import annotations

from typing import NamedTuple

from channels.simulator.frames import END_HEADERS, END_STREAM, HEADERS

Fields = tuple[tuple[bytes, bytes], ...]


class Answer(NamedTuple):
    """Status, header fields (lower-case names) and body. A status of 0 means: no answer is ever given."""

    status: int
    fields: Fields = ()
    body: bytes = b""


NO_ANSWER = Answer(0)

Ready = tuple[bytes, bytes]
"""An answer as the hot path writes it: a finished header block and the body."""

_INDEXED_STATUS = {200: b"\x88", 204: b"\x89", 400: b"\x8c", 404: b"\x8d", 500: b"\x8e"}  # RFC 7541 appendix A

ANSWER_ENDS: tuple[bytes, ...] = tuple(
    n.to_bytes(3, "big") + bytes((HEADERS, END_HEADERS | END_STREAM)) for n in range(2048)
)
"""First five bytes of a HEADERS frame that ends the stream, by block length; the stream's four bytes follow.
These tables are for the hot path, whose answers are short; `frames.frame` makes any."""
ANSWER_GOES_ON: tuple[bytes, ...] = tuple(n.to_bytes(3, "big") + bytes((HEADERS, END_HEADERS)) for n in range(2048))
"""The same where DATA follows."""
LAST_DATA: tuple[bytes, ...] = tuple(n.to_bytes(3, "big") + bytes((0, END_STREAM)) for n in range(4096))
"""First five bytes of a DATA frame that ends the stream, by body length."""


def block(status: int, fields: Fields) -> bytes:
    """Encode an answer's header block with literals only (RFC 7541 section 6.2.2)."""
    first = _INDEXED_STATUS.get(status) or b"\x08\x03%d" % status
    return first + b"".join(literal(name, value) for name, value in fields)


def ready(answer: Answer) -> Ready:
    return block(answer.status, answer.fields), answer.body


def literal(name: bytes, value: bytes) -> bytes:
    return b"\x00" + _string(name) + _string(value)


def _string(text: bytes) -> bytes:
    length = len(text)
    if length < 127:
        return bytes((length,)) + text
    rest, head = length - 127, [127]
    while rest >= 128:
        head.append(rest % 128 + 128)
        rest //= 128
    return bytes((*head, rest)) + text
