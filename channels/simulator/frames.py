"""HTTP/2 frames as bytes (RFC 9113 sections 4 and 6): constants, builders, and the faults a peer can be told of.

Pure. A frame is nine bytes (length 3, type 1, flags 1, stream 4, big-endian) and its payload.
"""

from __future__ import annotations

from collections.abc import Mapping
from struct import Struct

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"

HEAD = Struct(">IBI")
"""Length and type in one word, flags, stream: `word >> 8` is the length, `word & 255` the type."""

DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS, PUSH_PROMISE, PING, GOAWAY, WINDOW_UPDATE, CONTINUATION = range(10)

END_STREAM = ACK = 0x1
END_HEADERS = 0x4
PADDED = 0x8
HAS_PRIORITY = 0x20

HEADER_TABLE_SIZE, ENABLE_PUSH, MAX_CONCURRENT_STREAMS, INITIAL_WINDOW_SIZE, MAX_FRAME_SIZE, MAX_HEADER_LIST_SIZE = (
    range(1, 7)
)

FRAME_BYTES_MAX = 16_384
"""We never raise SETTINGS_MAX_FRAME_SIZE, so this is what a client may send (section 6.5.2)."""
WINDOW_BYTES = 65_535
"""The window every stream and connection starts with (section 6.9.2)."""
WINDOW_BYTES_MAX = 2**31 - 1

NO_ERROR = 0x0
PROTOCOL_ERROR = 0x1
INTERNAL_ERROR = 0x2
FLOW_CONTROL_ERROR = 0x3
STREAM_CLOSED = 0x5
FRAME_SIZE_ERROR = 0x6
REFUSED_STREAM = 0x7
CANCEL = 0x8
COMPRESSION_ERROR = 0x9
ENHANCE_YOUR_CALM = 0xB

CODES: Mapping[str, int] = {
    "NO_ERROR": NO_ERROR,
    "PROTOCOL_ERROR": PROTOCOL_ERROR,
    "INTERNAL_ERROR": INTERNAL_ERROR,
    "REFUSED_STREAM": REFUSED_STREAM,
    "CANCEL": CANCEL,
    "ENHANCE_YOUR_CALM": ENHANCE_YOUR_CALM,
}


class Http2Fault(Exception):
    """The peer broke RFC 9113 so that the whole connection must end with GOAWAY. `code` says how, `why` for people."""

    def __init__(self, code: int, why: str) -> None:
        super().__init__(why)
        self.code = code
        self.why = why


def frame(kind: int, flags: int, stream: int, payload: bytes = b"") -> bytes:
    return HEAD.pack(len(payload) << 8 | kind, flags, stream) + payload


def settings(values: Mapping[int, int]) -> bytes:
    return frame(SETTINGS, 0, 0, b"".join(k.to_bytes(2, "big") + v.to_bytes(4, "big") for k, v in values.items()))


def read_settings(payload: bytes) -> list[tuple[int, int]]:
    """Take a SETTINGS payload apart and check its values (section 6.5.2)."""
    if len(payload) % 6:
        raise Http2Fault(FRAME_SIZE_ERROR, "a SETTINGS payload is a multiple of six bytes")
    pairs = [
        (int.from_bytes(payload[at : at + 2], "big"), int.from_bytes(payload[at + 2 : at + 6], "big"))
        for at in range(0, len(payload), 6)
    ]
    for name, value in pairs:
        if name == ENABLE_PUSH and value > 1:
            raise Http2Fault(PROTOCOL_ERROR, "SETTINGS_ENABLE_PUSH is 0 or 1")
        if name == INITIAL_WINDOW_SIZE and value > WINDOW_BYTES_MAX:
            raise Http2Fault(FLOW_CONTROL_ERROR, "SETTINGS_INITIAL_WINDOW_SIZE is above 2^31-1")
        if name == MAX_FRAME_SIZE and not FRAME_BYTES_MAX <= value < 2**24:
            raise Http2Fault(PROTOCOL_ERROR, "SETTINGS_MAX_FRAME_SIZE is out of bounds")
    return pairs


def reset(stream: int, code: int) -> bytes:
    return frame(RST_STREAM, 0, stream, code.to_bytes(4, "big"))


def goaway(last_stream: int, code: int, why: bytes = b"") -> bytes:
    return frame(GOAWAY, 0, 0, last_stream.to_bytes(4, "big") + code.to_bytes(4, "big") + why)


def window_update(stream: int, credit_bytes: int) -> bytes:
    return frame(WINDOW_UPDATE, 0, stream, credit_bytes.to_bytes(4, "big"))


def unpadded(payload: bytes, flags: int) -> bytes:
    """Take the padding off a DATA or HEADERS payload (section 6.1)."""
    if not flags & PADDED:
        return payload
    if not payload or payload[0] >= len(payload):
        raise Http2Fault(PROTOCOL_ERROR, "the padding is longer than the frame")
    return payload[1 : len(payload) - payload[0]]


def without_priority(payload: bytes, flags: int) -> bytes:
    """Take the five deprecated priority bytes off a HEADERS payload (section 6.2)."""
    if not flags & HAS_PRIORITY:
        return payload
    if len(payload) < 5:
        raise Http2Fault(FRAME_SIZE_ERROR, "HEADERS with PRIORITY is too short")
    return payload[5:]
