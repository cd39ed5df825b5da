"""Takes a body in chunked coding apart (RFC 9112, 7.1), strictly: no bare CR or LF. Trailers are thrown away."""

from __future__ import annotations

import re

_SIZE_LINE = re.compile(rb"([0-9A-Fa-f]{1,12})(?:[ \t]*;[\t\x20-\x7e\x80-\xff]*)?\r\n")
_TRAILER_LINE = re.compile(rb"(?:[!#$%&'*+\-.^_`|~0-9A-Za-z]+:[\t\x20-\x7e\x80-\xff]*)?\r\n")
_LINE_BYTES_MAX = 1_024
_TRAILERS_BYTES_MAX = 8_192


class BadChunks(Exception):
    """Not chunked coding, or a line of it is too long."""


class Chunks:
    """Takes bytes as they come, gives data as far as it is there. `rest` after the end belongs to the next request."""

    def __init__(self) -> None:
        self.rest = b""
        self.is_done = False
        self._left = 0  # of the present chunk's data
        self._owes_line_end = False  # after a chunk's data
        self._trailers_bytes: int | None = None  # None until the last chunk

    def take(self, data: bytes) -> bytes:
        """Add bytes; returns the data in them.

        Raises:
            BadChunks: see there.
        """
        self.rest = self.rest + data if self.rest else data
        found: list[bytes] = []
        while not self.is_done and self._step(found):
            pass
        return found[0] if len(found) == 1 else b"".join(found)

    def _step(self, found: list[bytes]) -> bool:
        """Take one piece off the front; False when more must come first."""
        if self._trailers_bytes is not None:
            return self._take_trailer()
        if self._left:
            piece = self.rest[: self._left]
            self.rest = self.rest[len(piece) :]
            self._left -= len(piece)
            self._owes_line_end = not self._left
            if piece:
                found.append(piece)
            return bool(piece) and self._owes_line_end
        if self._owes_line_end:
            if len(self.rest) < 2:
                if self.rest not in (b"", b"\r"):
                    raise BadChunks
                return False
            if not self.rest.startswith(b"\r\n"):
                raise BadChunks
            self.rest, self._owes_line_end = self.rest[2:], False
            return True
        line = self._line(_SIZE_LINE)
        if line is None:
            return False
        self._left = int(line[1], 16)
        if not self._left:
            self._trailers_bytes = 0
        return True

    def _take_trailer(self) -> bool:
        line = self._line(_TRAILER_LINE)
        if line is None:
            return False
        self._trailers_bytes = (self._trailers_bytes or 0) + len(line[0])
        if self._trailers_bytes > _TRAILERS_BYTES_MAX:
            raise BadChunks
        self.is_done = line[0] == b"\r\n"
        return not self.is_done

    def _line(self, form: re.Pattern[bytes]) -> re.Match[bytes] | None:
        """Take a whole line of that form off the front; None while its end has not come."""
        end = self.rest.find(b"\n", 0, _LINE_BYTES_MAX)
        if end < 0:
            if len(self.rest) >= _LINE_BYTES_MAX:
                raise BadChunks
            return None
        line = form.fullmatch(self.rest, 0, end + 1)
        if line is None:
            raise BadChunks
        self.rest = self.rest[end + 1 :]
        return line
