"""A header block that comes in pieces: HEADERS, then CONTINUATION until END_HEADERS (RFC 9113, section 6.10). Pure."""

from __future__ import annotations

from typing import NamedTuple

from channels.http2 import frames
from channels.http2.fields import HEADER_LIST_BYTES_MAX
from channels.http2.frames import END_HEADERS, ErrorCode, Frame, ProtocolError


class Whole(NamedTuple):
    """A finished header block: its stream, the flags of its HEADERS frame, what it holds."""

    stream: int
    flags: int
    block: bytes


class Gathering:
    """The unfinished header block of a connection, if there is one: no other frame may come between its pieces."""

    __slots__ = ("_block", "_flags", "_stream", "is_open")

    def __init__(self) -> None:
        self.is_open = False
        self._stream = self._flags = 0
        self._block = bytearray()

    def start(self, received: Frame) -> Whole | None:
        """Take HEADERS; None when CONTINUATION must follow."""
        content = frames.content(received)
        if received.flags & END_HEADERS:
            return Whole(received.stream, received.flags, content)
        self.is_open = True
        self._stream, self._flags, self._block = received.stream, received.flags, bytearray(content)
        return None

    def go_on(self, received: Frame) -> Whole | None:
        """Take CONTINUATION; None when more must follow. Very many small pieces cost no square of their number."""
        if not self.is_open or received.stream != self._stream:
            raise ProtocolError(ErrorCode.PROTOCOL_ERROR, "CONTINUATION without a header block")
        self._block += received.payload
        if received.flags & END_HEADERS:
            self.is_open = False
            return Whole(self._stream, self._flags, bytes(self._block))
        if len(self._block) > HEADER_LIST_BYTES_MAX:
            raise ProtocolError(ErrorCode.ENHANCE_YOUR_CALM, "header block without end")
        return None
