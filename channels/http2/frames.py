"""HTTP/2 frames as bytes: building them, cutting them out of what was read, and checking their shape.

Pure. Source: RFC 9113, sections 4 (frames) and 6 (frame definitions). A frame that breaks the rules raises
`ProtocolError` with the code that the RFC names; it always ends the connection.
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import IntEnum
from struct import Struct
from typing import Final, NamedTuple

DATA: Final = 0
HEADERS: Final = 1
PRIORITY: Final = 2
RST_STREAM: Final = 3
SETTINGS: Final = 4
PUSH_PROMISE: Final = 5
PING: Final = 6
GOAWAY: Final = 7
WINDOW_UPDATE: Final = 8
CONTINUATION: Final = 9

END_STREAM: Final = 0x1
ACK: Final = 0x1
END_HEADERS: Final = 0x4
PADDED: Final = 0x8
WITH_PRIORITY: Final = 0x20

HEADER_TABLE_SIZE: Final = 1
ENABLE_PUSH: Final = 2
MAX_CONCURRENT_STREAMS: Final = 3
INITIAL_WINDOW_SIZE: Final = 4
MAX_FRAME_SIZE: Final = 5
MAX_HEADER_LIST_SIZE: Final = 6

PREFACE: Final = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
HEAD_BYTES: Final = 9
FRAME_BYTES_MAX: Final = 16_384  # we never announce more, so neither side may send more without asking
WINDOW_MAX: Final = 2**31 - 1
STREAM_MAX: Final = 2**31 - 1

# 24 bits of length and 8 of type are read as one number: one unpack per frame, type in the low byte.
HEAD: Final = Struct(">IBI")
_WORD: Final = Struct(">I")
_SETTING: Final = Struct(">HI")
_GOAWAY: Final = Struct(">II")


class ErrorCode(IntEnum):
    """RFC 9113 section 7."""

    NO_ERROR = 0
    PROTOCOL_ERROR = 1
    INTERNAL_ERROR = 2
    FLOW_CONTROL_ERROR = 3
    SETTINGS_TIMEOUT = 4
    STREAM_CLOSED = 5
    FRAME_SIZE_ERROR = 6
    REFUSED_STREAM = 7
    CANCEL = 8
    COMPRESSION_ERROR = 9
    CONNECT_ERROR = 10
    ENHANCE_YOUR_CALM = 11
    INADEQUATE_SECURITY = 12
    HTTP_1_1_REQUIRED = 13


_NAMES: Final = {int(code): code.name.lower() for code in ErrorCode}


def code_name(code: int) -> str:
    """The error code of a peer as a word of a closed set; codes that no RFC names are `other`."""
    return _NAMES.get(code, "other")


class ProtocolError(Exception):
    """The peer broke the rules of HTTP/2; the connection is told why and closed."""

    def __init__(self, code: ErrorCode, reason: str) -> None:
        super().__init__(f"{code.name}: {reason}")
        self.code = code
        self.reason = reason


class Frame(NamedTuple):
    """One frame: type, flags, stream and what it carries (padding still inside)."""

    kind: int
    flags: int
    stream: int
    payload: bytes


def frame(kind: int, flags: int, stream: int, payload: bytes = b"") -> bytes:
    """Build one frame."""
    return HEAD.pack(len(payload) << 8 | kind, flags, stream) + payload


def settings(values: Iterable[tuple[int, int]]) -> bytes:
    return frame(SETTINGS, 0, 0, b"".join(_SETTING.pack(name, value) for name, value in values))


def settings_ack() -> bytes:
    return frame(SETTINGS, ACK, 0)


def window_update(stream: int, increment: int) -> bytes:
    return frame(WINDOW_UPDATE, 0, stream, _WORD.pack(increment))


def rst_stream(stream: int, code: ErrorCode) -> bytes:
    return frame(RST_STREAM, 0, stream, _WORD.pack(code))


def goaway(last_stream: int, code: ErrorCode) -> bytes:
    return frame(GOAWAY, 0, 0, _GOAWAY.pack(last_stream, code))


def cut(data: bytes, at: int) -> tuple[Frame | None, int]:
    """Cut the frame that begins at `at`: the frame and where the next one begins, or None when it is not whole yet."""
    body = at + HEAD_BYTES
    if len(data) < body:
        return None, at
    head, flags, stream = HEAD.unpack_from(data, at)
    length = head >> 8
    if length > FRAME_BYTES_MAX:
        raise ProtocolError(ErrorCode.FRAME_SIZE_ERROR, "frame longer than allowed")
    stop = body + length
    if len(data) < stop:
        return None, at
    return Frame(head & 0xFF, flags, stream & STREAM_MAX, data[body:stop]), stop


def content(received: Frame) -> bytes:
    """Take padding and priority off a DATA or HEADERS frame (sections 6.1 and 6.2)."""
    payload = received.payload
    skip, padding = 0, 0
    if received.flags & PADDED:
        if not payload:
            raise ProtocolError(ErrorCode.FRAME_SIZE_ERROR, "padded frame without a pad length")
        skip, padding = 1, payload[0]
    if received.kind == HEADERS and received.flags & WITH_PRIORITY:
        skip += 5
    if skip + padding > len(payload):
        raise ProtocolError(ErrorCode.PROTOCOL_ERROR, "padding longer than the frame")
    return payload[skip : len(payload) - padding]


def read_settings(received: Frame) -> list[tuple[int, int]]:
    """Read a SETTINGS frame, values checked (section 6.5); an acknowledgement has none."""
    _on_connection(received)
    if len(received.payload) % _SETTING.size or (received.flags & ACK and received.payload):
        raise ProtocolError(ErrorCode.FRAME_SIZE_ERROR, "SETTINGS of a wrong length")
    values = list(_SETTING.iter_unpack(received.payload))
    for name, value in values:
        if name == ENABLE_PUSH and value:
            raise ProtocolError(ErrorCode.PROTOCOL_ERROR, "a server may not enable push")
        if name == INITIAL_WINDOW_SIZE and value > WINDOW_MAX:
            raise ProtocolError(ErrorCode.FLOW_CONTROL_ERROR, "initial window too large")
        if name == MAX_FRAME_SIZE and not FRAME_BYTES_MAX <= value < 1 << 24:
            raise ProtocolError(ErrorCode.PROTOCOL_ERROR, "frame size setting out of range")
    return values


def read_window_update(received: Frame) -> int:
    """Read by how much a window grows; 0 is left to the caller, who knows whether a stream or all is at fault."""
    return _word(received) & WINDOW_MAX


def read_rst_stream(received: Frame) -> int:
    """Read the error code of a RST_STREAM; it may be one that no RFC names."""
    if not received.stream:
        raise ProtocolError(ErrorCode.PROTOCOL_ERROR, "RST_STREAM without a stream")
    return _word(received)


def check_priority(received: Frame) -> None:
    """Check the shape of PRIORITY, whose content is deprecated (section 6.3)."""
    if not received.stream:
        raise ProtocolError(ErrorCode.PROTOCOL_ERROR, "PRIORITY without a stream")
    if len(received.payload) != 5:
        raise ProtocolError(ErrorCode.FRAME_SIZE_ERROR, "PRIORITY of a wrong length")


def read_ping(received: Frame) -> bytes:
    _on_connection(received)
    if len(received.payload) != 8:
        raise ProtocolError(ErrorCode.FRAME_SIZE_ERROR, "PING of a wrong length")
    return received.payload


def read_goaway(received: Frame) -> int:
    """Read the last stream that the peer has processed or may process."""
    _on_connection(received)
    if len(received.payload) < _GOAWAY.size:
        raise ProtocolError(ErrorCode.FRAME_SIZE_ERROR, "GOAWAY too short")
    last: int = _WORD.unpack_from(received.payload)[0]
    return last & STREAM_MAX


def _word(received: Frame) -> int:
    if len(received.payload) != _WORD.size:
        raise ProtocolError(ErrorCode.FRAME_SIZE_ERROR, "frame must hold four bytes")
    word: int = _WORD.unpack(received.payload)[0]
    return word


def _on_connection(received: Frame) -> None:
    if received.stream:
        raise ProtocolError(ErrorCode.PROTOCOL_ERROR, "frame belongs to the connection, not to a stream")
