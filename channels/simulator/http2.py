"""The server side of one HTTP/2 connection: bytes in, bytes out, no sockets, no clock (RFC 9113).

A general HTTP/2 library costs 300-400 us a request; the demo sends millions on two shared cores. So this is a frame
loop of our own: `receive` runs over all frames of one read, and a request that looks like those before it
(`blocks`) is answered in a few microseconds. Everything unusual goes to `Streams`, which holds the rest of
the protocol. Life of a request: HEADERS -> opened -> DATA with END_STREAM -> service -> written now, or later when a
script asks for latency.
"""

from __future__ import annotations

from channels.simulator.answers import ANSWER_ENDS, ANSWER_GOES_ON, LAST_DATA
from channels.simulator.frames import (
    DATA,
    END_HEADERS,
    END_STREAM,
    FRAME_BYTES_MAX,
    FRAME_SIZE_ERROR,
    HEAD,
    HEADERS,
    PREFACE,
    PROTOCOL_ERROR,
    SETTINGS,
    Http2Fault,
)
from channels.simulator.streams import Streams

_STREAM_END = 1 << 31


class Http2Connection(Streams):
    """One client's connection.

    Call `receive` with what was read, then send `take_output`; with `next_due`, call `release` when that moment has
    come. `is_done` says that the socket should be closed once the output was sent.
    """

    def receive(self, data: bytes, now: float) -> None:
        """Take what the peer sent. `now` is any steady clock in seconds; it only matters under a script's latency."""
        if self.is_done:
            return
        self.now = now
        buffer = self._rest + data if self._rest else data
        at = 0
        try:
            if self._is_new:
                at = self._greet(buffer)
                if self._is_new:
                    self._rest = buffer
                    return
            self._room = max(self.limits) - len(self.opened) - self.waiting
            at = self._run(buffer, at)
            self._give_credit()
        except Http2Fault as fault:
            self.fail(fault)
            return
        self._rest = buffer[at:]
        self._close_if_drained()

    def _greet(self, buffer: bytes) -> int:
        """Check the client's preface, which a SETTINGS frame must follow (section 3.4)."""
        if not PREFACE.startswith(buffer[: len(PREFACE)]):
            raise Http2Fault(PROTOCOL_ERROR, "the connection preface of HTTP/2 is missing")
        if len(buffer) < len(PREFACE) + 9:
            return 0
        if buffer[len(PREFACE) + 3] != SETTINGS:
            raise Http2Fault(PROTOCOL_ERROR, "the first frame must be SETTINGS")
        self._is_new = False
        return len(PREFACE)

    def _run(self, buffer: bytes, at: int) -> int:
        """Work through all whole frames; returns where the first incomplete one starts.

        Hot: about 2 us a request beside the service. Local names, no calls but the needed ones, one dictionary step
        for each of HEADERS and DATA. Frames with any unusual flag are handed on.
        """
        unpack, opened, layouts = HEAD.unpack_from, self.opened, self.blocks.layouts
        quick, out, have = self.service.quick, self.out, len(buffer)
        while have - at >= 9:
            word, flags, stream = unpack(buffer, at)
            length = word >> 8
            if length > FRAME_BYTES_MAX:
                raise Http2Fault(FRAME_SIZE_ERROR, "a frame is longer than SETTINGS_MAX_FRAME_SIZE")
            start = at + 9
            end = start + length
            if end > have:
                break
            kind = word & 0xFF
            if kind == DATA and flags == END_STREAM:
                pending = opened.get(stream)
                if type(pending) is tuple:
                    del opened[stream]
                    layout, block = pending
                    self.credit += length
                    body = buffer[start:end]
                    values = layout.values(block) if self._may_be_quick else None
                    ready = quick(layout.voucher, values, body) if values is not None else None
                    if ready is None:
                        self.finish(stream, layout.fields(block), body, length)
                    elif self.has_latency or self.owes_table_update:
                        self.write(stream, ready)
                    else:
                        head, answer_body = ready
                        name = buffer[at + 5 : start]
                        if not answer_body:
                            out += (ANSWER_ENDS[len(head)], name, head)
                        elif len(answer_body) <= self.window and not self.is_narrow:
                            size = len(answer_body)
                            self.window -= size
                            out += (ANSWER_GOES_ON[len(head)], name, head, LAST_DATA[size], name, answer_body)
                        else:
                            self.write(stream, ready)
                    at = end
                    continue
            elif kind == HEADERS and flags == END_HEADERS and length in layouts and self._may_be_quick:
                layout = layouts[length][0]
                match = layout.fullmatch(buffer, start, end)
                if match is None and (found := self.blocks.find(buffer, start, end)) is not None:
                    layout, match = found
                is_known = match is not None and layout.voucher is not None
                if is_known and self._room > 0 and self.newest < stream < _STREAM_END and stream & 1:
                    assert match is not None
                    self.newest = stream
                    self._room -= 1
                    opened[stream] = (layout, match)
                    at = end
                    continue
            self.frame(kind, flags, stream & 0x7FFFFFFF, buffer[start:end])
            if self.is_done:
                return have
            at = end
        return at
