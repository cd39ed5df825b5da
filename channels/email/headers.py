"""The header block of a letter: a fixed list, one of them written by people, and a scan before it is used.

We write the block ourselves. `EmailMessage` on a plain Python 3.11.7 turns the subject `=?utf-8?q?a=0d=0aBcc:_x?=`
into a real `Bcc:` line (reference 4.5), and it costs 1.4 ms a message. Here a subject is either harmless ASCII or
base64 words that we encoded, and `scanned` refuses every block that holds anything but the lines we meant.
"""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Sequence
from datetime import UTC, datetime
from email import message_from_bytes, policy
from email.utils import format_datetime

from channels.email import words

_PLAIN = re.compile(r"[!-~]+(?: [!-~]+)*")
_PLAIN_CHARACTERS_MAX = 60  # with the name of the header it stays under 78, the advice of RFC 5322
_WORD_BYTES_MAX = 39  # 52 characters of base64 and 12 of frame: under the 75 of RFC 2047, and room for "Subject: "
_LINE_BYTES_MAX = 998
_HEADER_LINE = re.compile(rb"([A-Za-z][A-Za-z\-]*): [ -~]+|[ \t]+[!-~][ -~]*")


class UnsafeHeaders(Exception):
    """A header block came out with lines that nobody meant. A fault of ours: nothing was sent; report it."""


def encoded(text: str) -> str:
    """Spell a cleaned line as a header value: plain where that is safe, else RFC 2047 words on folded lines."""
    if len(text) <= _PLAIN_CHARACTERS_MAX and "=?" not in text and _PLAIN.fullmatch(text):
        return text
    return _as_words(text)


def _words(text: str) -> list[bytes]:
    """Cut into pieces that never split a character, as RFC 2047 section 5 demands."""
    words = [b""]
    for character in text:
        spelled = character.encode()
        if len(words[-1]) + len(spelled) > _WORD_BYTES_MAX:
            words.append(b"")
        words[-1] += spelled
    return words


def date(unix_ms: int) -> str:
    """Spell a moment as RFC 5322 does, in UTC."""
    return format_datetime(datetime.fromtimestamp(unix_ms // 1000, UTC))


def mailbox(name: str, address: str) -> str:
    """A display name and an address; the name is quoted or encoded, never raw."""
    if not name:
        return address
    if re.fullmatch(r"[A-Za-z0-9 ]+", name):
        return f'"{name}" <{address}>'
    return f"{_as_words(name)} <{address}>"


def _as_words(text: str) -> str:
    return "\r\n ".join(f"=?utf-8?b?{b64encode(word).decode()}?=" for word in _words(text))


def block(fields: Sequence[tuple[str, str]]) -> bytes:
    """Write the block (no empty line after it) and scan it.

    Raises:
        UnsafeHeaders: a value brought lines of its own.
    """
    written = "".join(f"{name}: {value}\r\n" for name, value in fields).encode()
    return scanned(written, [name for name, _ in fields])


def scanned(written: bytes, names: Sequence[str]) -> bytes:
    """Check that a block consists of exactly these headers, in this order, in printable ASCII, on short lines.

    Raises:
        UnsafeHeaders: it does not.
    """
    found: list[str] = []
    rows = written.split(b"\r\n")
    if rows.pop() != b"":
        raise UnsafeHeaders("the header block does not end with a line end")
    for row in rows:
        match = _HEADER_LINE.fullmatch(row)
        if match is None or len(row) > _LINE_BYTES_MAX:
            raise UnsafeHeaders("a header line holds what no header of ours may hold")
        if match[1]:
            found.append(match[1].decode())
    if found != list(names):
        raise UnsafeHeaders("the header block holds other headers than those that were meant")
    return written


_ATTACKS = (
    "=?utf-8?q?a=0d=0aBcc:_x@y?=",
    "=?utf-8?b?YQ0KQmNjOiB4QHk=?=",
    "a\r\nBcc: x@y",
    "a\nBcc: x@y",
    "a\u2028Bcc: x@y",
    "a\x85Bcc: x@y",
    "Møde =?utf-8?q?=0d=0aBcc:_x@y?= æøå " * 4,
)


def prove() -> None:
    """Check at start that hostile subjects stay subjects, as this Python's own parser reads them.

    Raises:
        UnsafeHeaders: they do not; do not send mail with this Python.
    """
    for attack in _ATTACKS:
        text = words.line(attack)
        parsed = message_from_bytes(block([("Subject", encoded(text))]) + b"\r\nbody", policy=policy.default)
        if parsed.keys() != ["Subject"]:
            raise UnsafeHeaders("a hostile subject became a header of its own")
