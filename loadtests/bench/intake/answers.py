"""Reads HTTP/1.1 answers off a byte stream, as far as a load generator needs it: status and body by Content-Length."""

from __future__ import annotations

import re

_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)


class Unreadable(Exception):
    """What came is no answer with a status line and a Content-Length."""


def take_answer(buffer: bytearray) -> tuple[int, bytes] | None:
    """Take one whole answer off the front of the buffer: (status, body); None while it is not whole.

    Raises:
        Unreadable: it has no status line or no Content-Length.
    """
    end = buffer.find(b"\r\n\r\n")
    if end < 0:
        return None
    length = _LENGTH.search(buffer, 0, end)
    if length is None or not buffer.startswith(b"HTTP/1.1 ") or not buffer[9:12].isdigit():
        raise Unreadable(bytes(buffer[: min(end, 60)]))
    whole = end + 4 + int(length[1])
    if len(buffer) < whole:
        return None
    status, body = int(buffer[9:12]), bytes(buffer[end + 4 : whole])
    del buffer[:whole]
    return status, body
