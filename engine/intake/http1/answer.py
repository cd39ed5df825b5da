"""The head of an answer: status line with its phrase, date, fields. Pure but for the clock that `Dates` is given."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from email.utils import formatdate
from http import HTTPStatus

_STATUS_LINES = {status.value: f"HTTP/1.1 {status.value} {status.phrase}\r\n".encode() for status in HTTPStatus}
CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
CLOSE = (b"connection", b"close")


class Dates:
    """The `date` line, spelled once a second (RFC 9110, 6.6.1).

    Args:
        seconds: the wall clock.
    """

    def __init__(self, seconds: Callable[[], float]) -> None:
        self._seconds = seconds
        self._second = -1
        self._line = b""

    def line(self) -> bytes:
        second = int(self._seconds())
        if second != self._second:
            self._second, self._line = second, f"date: {formatdate(second, usegmt=True)}\r\n".encode()
        return self._line


def head(status: int, date_line: bytes, headers: Iterable[tuple[bytes, bytes]]) -> bytes:
    """Spell the head of an answer, the empty line included."""
    fields = b"".join([b"%b: %b\r\n" % field for field in headers])
    return b"%b%b%b\r\n" % (_STATUS_LINES[status], date_line, fields)
