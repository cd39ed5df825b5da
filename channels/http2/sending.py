"""The sending half of one connection: the peer's settings, both windows, requests as bytes.

Pure. The hot path is `_write`: one loop iteration per request that only gathers pieces for one `join`.
"""

from __future__ import annotations

from itertools import repeat
from struct import Struct

from channels.http2 import frames
from channels.http2.frames import END_HEADERS, END_STREAM, HEAD, ErrorCode, ProtocolError
from channels.http2.headers import Block, HeaderWriter
from channels.http2.jobs import Requests

WINDOW_AT_START = 65_535  # RFC 9113 section 6.9.2, for the connection and for each stream
_HEAD_AND_STREAM: Struct = HEAD


class Unsent:
    """The rest of a body that waits for a window, and what its stream's window still allows."""

    __slots__ = ("rest", "window")

    def __init__(self, rest: bytes, window: int) -> None:
        self.rest = rest
        self.window = window


class Sending:
    """Writes requests and control frames into `output`, as far as the peer's windows allow."""

    def __init__(self, authority: bytes) -> None:
        self.output: list[bytes] = []
        self.next_stream = 1
        self.streams_max = 100  # until the first SETTINGS; no request is sent before them
        self.unsent: dict[int, Unsent] = {}
        self._headers = HeaderWriter(authority)
        self._window = WINDOW_AT_START
        self._stream_window = WINDOW_AT_START

    # --- requests ---

    def fitting(self, requests: Requests, start: int, stop: int) -> int:
        """How many of these requests the windows hold with their whole bodies."""
        if isinstance(requests.body, bytes):
            size = len(requests.body)
            if size > self._stream_window:
                return 0
            return min(stop - start, self._window // size) if size else stop - start
        left, count = self._window, 0
        for body in requests.body[start:stop]:
            left -= len(body)
            if left < 0 or len(body) > self._stream_window:
                break
            count += 1
        return count

    def must_wait(self, body: bytes) -> bool:
        """Would this body go out whole if only the connection's window were open?"""
        return self._window < len(body) <= self._stream_window

    @property
    def is_stalled(self) -> bool:
        """Is the connection's window used up? Then even a part of a body must wait."""
        return self._window <= 0

    def write(self, requests: Requests, start: int, count: int) -> int:
        """Write whole requests; returns the first stream. The caller has asked `fitting`."""
        first_stream = self.next_stream
        teaching, block = self._headers.block(requests.template)
        if teaching is not None:
            self._write(teaching, requests, start, start + 1)
            start, count = start + 1, count - 1
        if count:
            self._write(block, requests, start, start + count)
        return first_stream

    def _write(self, block: Block, requests: Requests, start: int, stop: int) -> None:
        # Hot: about a microsecond per request. No bytes are built here but two frame heads; `join` copies the rest.
        paths = requests.paths[start:stop] if requests.paths is not None else repeat(b"")
        values = requests.values[start:stop] if requests.values is not None else repeat(b"")
        bodies = repeat(requests.body) if isinstance(requests.body, bytes) else requests.body[start:stop]
        pieces: list[bytes] = []
        put, pack = pieces.extend, _HEAD_AND_STREAM.pack
        starts, tail = block.starts, block.tail
        stream = self.next_stream
        sent_bytes = 0
        for _, path, value, body in zip(range(start, stop), paths, values, bodies, strict=False):
            try:
                head, begin = starts[len(path)]
            except KeyError:
                head, begin = block.start(len(path))
            size = len(body)
            put((pack(head, 4, stream), begin, path, tail, value, pack(size << 8, 1, stream), body))
            sent_bytes += size
            stream += 2
        self.next_stream = stream
        self._window -= sent_bytes
        self.output.append(b"".join(pieces))

    def write_part(self, requests: Requests, index: int) -> int:
        """The plain way for one request whose body does not fit the windows: headers now, the body as they open."""
        teaching, block = self._headers.block(requests.template)
        block = teaching or block
        path = requests.paths[index] if requests.paths is not None else b""
        value = requests.values[index] if requests.values is not None else b""
        stream = self.next_stream
        self.next_stream += 2
        header_block = block.start(len(path))[1] + path + block.tail + value
        self.output.append(frames.frame(frames.HEADERS, END_HEADERS, stream, header_block))
        self.unsent[stream] = Unsent(requests.body_of(index), self._stream_window)
        self._advance(stream)
        return stream

    def _advance(self, stream: int) -> None:
        waiting = self.unsent[stream]
        size = min(len(waiting.rest), waiting.window, self._window)
        if size <= 0 and waiting.rest:
            return
        part, waiting.rest = waiting.rest[:size], waiting.rest[size:]
        waiting.window -= size
        self._window -= size
        if not waiting.rest:
            del self.unsent[stream]
        flags = 0 if waiting.rest else END_STREAM
        self.output.append(frames.frame(frames.DATA, flags, stream, part))

    def _advance_all(self) -> None:
        for stream in list(self.unsent):
            if self._window <= 0:
                return
            self._advance(stream)

    def forget(self, stream: int) -> None:
        """The stream has ended: nothing more of its body is sent."""
        self.unsent.pop(stream, None)

    # --- what the peer says about sending ---

    def grow(self, stream: int, increment: int) -> bool:
        """WINDOW_UPDATE. False when it is wrong for this one stream, which must then be reset (section 6.9)."""
        if stream == 0:
            if not increment:
                raise ProtocolError(ErrorCode.PROTOCOL_ERROR, "window grows by nothing")
            self._window += increment
            if self._window > frames.WINDOW_MAX:
                raise ProtocolError(ErrorCode.FLOW_CONTROL_ERROR, "connection window too large")
            self._advance_all()
            return True
        if not increment:
            return False
        waiting = self.unsent.get(stream)
        if waiting is None:
            return True  # all of its body has gone: nothing to count
        waiting.window += increment
        if waiting.window > frames.WINDOW_MAX:
            return False
        self._advance(stream)
        return True

    def follow(self, values: list[tuple[int, int]]) -> None:
        """SETTINGS: in force at once, also for streams in flight, and acknowledged."""
        for name, value in values:
            if name == frames.MAX_CONCURRENT_STREAMS:
                self.streams_max = value
            elif name == frames.HEADER_TABLE_SIZE:
                self._headers.resize(value)
            elif name == frames.INITIAL_WINDOW_SIZE:
                self._move_stream_windows(value)
        # Before anything that leans on them: a strict peer goes by its new settings from our acknowledgement on.
        self.output.append(frames.settings_ack())
        self._advance_all()

    def _move_stream_windows(self, size: int) -> None:
        change = size - self._stream_window
        self._stream_window = size
        for waiting in self.unsent.values():
            waiting.window += change  # may turn negative (section 6.9.2)
            if waiting.window > frames.WINDOW_MAX:
                raise ProtocolError(ErrorCode.FLOW_CONTROL_ERROR, "stream window too large")
