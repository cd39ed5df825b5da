"""Everything about an HTTP/2 connection that is not the hot loop: streams, windows, settings, endings (RFC 9113).

`http2.Http2Connection` builds on this, and it on `outbox.Outbox`.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

from channels.simulator.answers import NO_ANSWER, Answer, ready
from channels.simulator.blocks import Blocks, Known
from channels.simulator.faults import CUT, GARBAGE, GARBAGE_FIELDS, GARBLED, Faults, is_reset
from channels.simulator.frames import (
    ACK,
    CANCEL,
    CODES,
    CONTINUATION,
    DATA,
    END_HEADERS,
    END_STREAM,
    ENHANCE_YOUR_CALM,
    FLOW_CONTROL_ERROR,
    FRAME_SIZE_ERROR,
    GOAWAY,
    HEADER_TABLE_SIZE,
    HEADERS,
    INITIAL_WINDOW_SIZE,
    MAX_CONCURRENT_STREAMS,
    MAX_HEADER_LIST_SIZE,
    NO_ERROR,
    PING,
    PRIORITY,
    PROTOCOL_ERROR,
    PUSH_PROMISE,
    REFUSED_STREAM,
    RST_STREAM,
    SETTINGS,
    STREAM_CLOSED,
    WINDOW_BYTES,
    WINDOW_BYTES_MAX,
    WINDOW_UPDATE,
    Http2Fault,
    frame,
    goaway,
    read_settings,
    reset,
    settings,
    unpadded,
    window_update,
    without_priority,
)
from channels.simulator.header_table import Field
from channels.simulator.malformed import why_malformed
from channels.simulator.outbox import Outbox
from channels.simulator.script import Step
from channels.simulator.service import Service

BODY_BYTES_MAX = 65_536
"""What is kept of a body: every provider refuses it long before. The rest is read and dropped, so that any client
gets to its answer."""
DISCARDED_BYTES_MAX = 64 << 20
_CREDIT_BYTES = 16 << 20
"""Receive window of a connection: large, so that the simulator is never what a sender waits for."""
_HEADER_BYTES_MAX = 65_536
_CLOSED_KEPT_MAX = 10_000


class _Stream:
    """A request that is not read in one HEADERS and one DATA frame, or whose layout is unknown."""

    __slots__ = ("body", "fields", "received", "unread")

    def __init__(self, fields: list[Field]) -> None:
        self.fields = fields
        self.body = bytearray()
        self.received = 0  # the whole body's length so far
        self.unread = 0  # bytes that the client has no new credit for on this stream


Opened = _Stream | Known


class Streams(Outbox):
    """State of one connection and the handling of every frame, one at a time."""

    def __init__(self, service: Service, faults: Faults) -> None:
        super().__init__(faults.latency_seconds)
        self.service, self.faults = service, faults
        self.blocks = Blocks(service.shapes, service.wanted, self._vouch)
        self.opened: dict[int, Opened] = {}
        self.newest = 0
        self.is_done = False
        self.wants_tls = False
        self.is_trusted = service.streams_at_first >= service.streams
        self.limits = deque([service.streams_at_first] * 2)
        """Stream limits the client may still go by: the last one it acknowledged, then those under way."""
        self.credit = 0  # bytes received that the client has no new credit for
        self._cut: set[int] = set()  # streams we ended before the client did
        self._header: tuple[int, int, bytearray] | None = None  # stream, flags and what came of a split block
        self._last_allowed: int | None = None  # after our GOAWAY
        self._seen = 0
        self._rest = b""
        self._is_new = True
        self._room = 0
        self.step: Step | None = None
        self._stream_window = WINDOW_BYTES  # of the client's streams, as we last announced it
        self.out.append(settings({MAX_CONCURRENT_STREAMS: service.streams_at_first, MAX_HEADER_LIST_SIZE: 16_384}))
        self.out.append(window_update(0, _CREDIT_BYTES - WINDOW_BYTES))
        self._judge_speed()

    def enter_step(self, step: Step | None) -> None:
        """Follow the script into its next step; the connections that exist then are told to go away if it says so."""
        was, self.step, self._seen = self.step, step, 0
        self.has_latency = step is not None and step.latency_ms + step.jitter_ms > 0
        self._judge_speed()
        window, window_before = (step.window_bytes if step else None), (was.window_bytes if was else None)
        if window != window_before:
            self.out.append(settings({INITIAL_WINDOW_SIZE: WINDOW_BYTES if window is None else window}))
            self._stream_window = WINDOW_BYTES if window is None else window
        wanted, before = (step.max_streams if step else None), (was.max_streams if was else None)
        if wanted != before:
            self._limit(wanted or (self.service.streams if self.is_trusted else self.service.streams_at_first))
        if step is not None and step.goaway and step is not was and not self._is_new:
            self.go_away(b'{"reason":"Shutdown"}')

    def release(self, now: float) -> None:
        super().release(now)
        if not self.waiting:  # what was kept for answers under way is over
            self.withdrawn.clear()
            here = self.opened.keys() | self.blocked.keys()
            self.credits = {stream: credit for stream, credit in self.credits.items() if stream in here}
        self._close_if_drained()

    def go_away(self, why: bytes = b"") -> None:
        """Take no new streams; those already here are answered, then the connection is done (section 6.8)."""
        if self._last_allowed is None and not self.is_done:
            self._last_allowed = self.newest
            self.out.append(goaway(self.newest, NO_ERROR, why))
            self._judge_speed()
            self._close_if_drained()

    def fail(self, fault: Http2Fault) -> None:
        self.out.append(goaway(self.newest, fault.code, fault.why.encode()))
        self.is_done = True

    # --- frames -----------------------------------------------------------------------------------------------

    def frame(self, kind: int, flags: int, stream: int, payload: bytes) -> None:
        """Handle one frame of any kind."""
        if self._header is not None and (kind != CONTINUATION or stream != self._header[0]):
            raise Http2Fault(PROTOCOL_ERROR, "only CONTINUATION may follow an unfinished header block")
        if kind == DATA:
            self._data(stream, flags, payload)
        elif kind == HEADERS:
            self._headers(stream, flags, payload)
        elif kind == CONTINUATION:
            self._continuation(stream, flags, payload)
        elif kind == SETTINGS:
            self._settings(stream, flags, payload)
        elif kind == WINDOW_UPDATE:
            self._window_update(stream, payload)
        elif kind == PING:
            self._ping(stream, flags, payload)
        elif kind == RST_STREAM:
            self._rst_stream(stream, payload)
        elif kind == PRIORITY:
            if stream == 0 or len(payload) != 5:
                raise Http2Fault(FRAME_SIZE_ERROR if stream else PROTOCOL_ERROR, "PRIORITY is malformed")
        elif kind == GOAWAY:
            self._peer_goes(stream, payload)
        elif kind == PUSH_PROMISE:
            raise Http2Fault(PROTOCOL_ERROR, "a client cannot push")
        # frames of unknown kinds are ignored (section 5.5)

    def _data(self, stream: int, flags: int, payload: bytes) -> None:
        if stream == 0 or (stream > self.newest and self._last_allowed is None):
            raise Http2Fault(PROTOCOL_ERROR, "DATA on a stream that was never opened")
        self.credit += len(payload)
        opened = self.opened.get(stream)
        if opened is None:
            if stream not in self._cut and self._last_allowed is None:
                raise Http2Fault(STREAM_CLOSED, "DATA on a closed stream")
            if flags & END_STREAM:
                self._cut.discard(stream)
            return
        if isinstance(opened, tuple):
            opened = self.opened[stream] = _Stream(opened[0].fields(opened[1]))
        content = unpadded(payload, flags)
        opened.received += len(content)
        if len(opened.body) <= BODY_BYTES_MAX:
            opened.body += content
        opened.unread += len(payload)
        if opened.unread > WINDOW_BYTES:
            raise Http2Fault(FLOW_CONTROL_ERROR, "a stream sent beyond its window")
        if flags & END_STREAM:
            self.finish(stream, opened.fields, bytes(opened.body), opened.received)
        elif opened.received > DISCARDED_BYTES_MAX:
            self.out.append(reset(stream, CANCEL))
            self._forget(stream)
        elif self._stream_window and opened.unread > self._stream_window // 2:
            self.out.append(window_update(stream, opened.unread))
            opened.unread = 0

    def _headers(self, stream: int, flags: int, payload: bytes) -> None:
        if stream % 2 == 0:
            raise Http2Fault(PROTOCOL_ERROR, "a client's streams have odd numbers")
        block = without_priority(unpadded(payload, flags), flags)
        if flags & END_HEADERS:
            self._block(stream, flags, block)
        else:
            self._header = (stream, flags, bytearray(block))

    def _continuation(self, stream: int, flags: int, payload: bytes) -> None:
        if self._header is None:
            raise Http2Fault(PROTOCOL_ERROR, "CONTINUATION without an unfinished header block")
        _, first_flags, block = self._header
        block += payload
        if len(block) > _HEADER_BYTES_MAX:
            raise Http2Fault(ENHANCE_YOUR_CALM, "a header block is longer than 64 KiB")
        if flags & END_HEADERS:
            self._header = None
            self._block(stream, first_flags, bytes(block))

    def _block(self, stream: int, flags: int, block: bytes) -> None:
        """A whole header block: a new request, or the trailers of one."""
        fields, known = self.blocks.read(block)  # always, since it may change the table
        opened = self.opened.get(stream)
        if opened is not None:
            if not flags & END_STREAM:
                raise Http2Fault(PROTOCOL_ERROR, "trailers must end the stream")
            if isinstance(opened, tuple):
                opened = _Stream(opened[0].fields(opened[1]))
            self.finish(stream, opened.fields, bytes(opened.body), opened.received)
        elif self._last_allowed is not None and stream > self._last_allowed:
            return  # after our GOAWAY: not processed, the client knows
        elif stream <= self.newest:
            if stream not in self._cut:
                raise Http2Fault(STREAM_CLOSED, "HEADERS on a closed stream")
        else:
            self._open(stream, flags, fields, known)

    def _open(self, stream: int, flags: int, fields: list[Field], known: Known | None) -> None:
        self.newest = stream
        self._room -= 1
        if self._room < 0:
            self.out.append(reset(stream, REFUSED_STREAM))
            self._cut_short(stream)
        elif known is not None and self._may_be_quick and not flags & END_STREAM:
            self.opened[stream] = known
        elif why_malformed(fields):
            self.out.append(reset(stream, PROTOCOL_ERROR))
            self._cut_short(stream)
        elif flags & END_STREAM:
            self.finish(stream, fields, b"", 0)
        else:
            self.opened[stream] = _Stream(fields)

    def _settings(self, stream: int, flags: int, payload: bytes) -> None:
        if stream or (flags & ACK and payload):
            raise Http2Fault(FRAME_SIZE_ERROR if payload else PROTOCOL_ERROR, "SETTINGS is malformed")
        if flags & ACK:
            if len(self.limits) > 1:
                self.limits.popleft()
            return
        for name, value in read_settings(payload):
            if name == INITIAL_WINDOW_SIZE:
                self.first_window = value
            elif name == HEADER_TABLE_SIZE and value < 4096:
                self.owes_table_update = True  # RFC 7541 section 4.2: our next block must say that we obey
        self.out.append(frame(SETTINGS, ACK, 0))
        self.unblock()

    def _window_update(self, stream: int, payload: bytes) -> None:
        if len(payload) != 4:
            raise Http2Fault(FRAME_SIZE_ERROR, "WINDOW_UPDATE is four bytes")
        credit = int.from_bytes(payload, "big") & WINDOW_BYTES_MAX
        if stream > self.newest and self._last_allowed is None:
            raise Http2Fault(PROTOCOL_ERROR, "WINDOW_UPDATE on a stream that was never opened")
        if stream == 0:
            self.window += credit
            if not credit or self.window > WINDOW_BYTES_MAX:
                raise Http2Fault(FLOW_CONTROL_ERROR if credit else PROTOCOL_ERROR, "WINDOW_UPDATE is out of bounds")
        elif stream in self.opened or stream in self.blocked or self.waiting:
            self.credits[stream] = self.credits.get(stream, 0) + credit
            if not credit or self.first_window + self.credits[stream] > WINDOW_BYTES_MAX:
                self.out.append(reset(stream, FLOW_CONTROL_ERROR if credit else PROTOCOL_ERROR))
                self._forget(stream)
        self.unblock()

    def _ping(self, stream: int, flags: int, payload: bytes) -> None:
        if stream or len(payload) != 8:
            raise Http2Fault(PROTOCOL_ERROR if stream else FRAME_SIZE_ERROR, "PING is malformed")
        if not flags & ACK:
            self.out.append(frame(PING, ACK, 0, payload))

    def _rst_stream(self, stream: int, payload: bytes) -> None:
        if len(payload) != 4:
            raise Http2Fault(FRAME_SIZE_ERROR, "RST_STREAM is four bytes")
        if stream == 0 or (stream > self.newest and self._last_allowed is None):
            raise Http2Fault(PROTOCOL_ERROR, "RST_STREAM on a stream that was never opened")
        self._forget(stream)

    def _peer_goes(self, stream: int, payload: bytes) -> None:
        if stream or len(payload) < 8:
            raise Http2Fault(PROTOCOL_ERROR if stream else FRAME_SIZE_ERROR, "GOAWAY is malformed")
        if self._last_allowed is None:
            self._last_allowed = self.newest
            self._judge_speed()

    # --- answers ----------------------------------------------------------------------------------------------

    def finish(self, stream: int, fields: Sequence[Field], body: bytes, received_bytes: int) -> None:
        """The request is whole."""
        self.opened.pop(stream, None)
        claimed = dict(fields).get(b"content-length")
        if claimed is not None and (not claimed.isdigit() or int(claimed[:19]) != received_bytes):
            self.out.append(reset(stream, PROTOCOL_ERROR))  # malformed (section 8.1.1)
            return
        self.answer_in_full(stream, fields, body)

    def answer_in_full(self, stream: int, fields: Sequence[Field], body: bytes) -> None:
        fate = self.faults.draw()
        answer = self.service.answer(fields, body, fate)
        if fate is GARBLED:
            answer = Answer(answer.status, GARBAGE_FIELDS, GARBAGE)
        if answer is NO_ANSWER:
            if fate is CUT:
                self.out.append(frame(HEADERS, END_HEADERS, stream, ready(Answer(200))[0])[:-1])
                self.is_done = True
            elif fate is not None and is_reset(fate):
                self.out.append(reset(stream, CODES[fate.reason.removeprefix("Reset.")]))
                self._cut_short(stream)
        else:
            self.write(stream, ready(answer))
            self._trust(answer)
        self._seen += 1
        if self.step is not None and self.step.goaway_after and self._seen >= self.step.goaway_after:
            self.go_away(b'{"reason":"Shutdown"}')

    # --- small things -----------------------------------------------------------------------------------------

    def _vouch(self, fields: Sequence[Field]) -> object | None:
        return None if why_malformed(fields) else self.service.vouch(fields)

    def _judge_speed(self) -> None:
        self._may_be_quick = (
            self.is_trusted and self._last_allowed is None and not (self.step is not None and self.step.has_fates)
        )

    def _trust(self, answer: Answer) -> None:
        """Raise the stream limit after the first accepted request, as APNs does with token authentication."""
        if not self.is_trusted and answer.status == 200:
            self.is_trusted = True
            self._judge_speed()
            if self.step is None or self.step.max_streams is None:
                self._limit(self.service.streams)

    def _limit(self, streams: int) -> None:
        before = max(self.limits)
        self.limits.append(streams)
        self._room += max(self.limits) - before
        self.out.append(settings({MAX_CONCURRENT_STREAMS: streams}))

    def _give_credit(self) -> None:
        if self.credit > _CREDIT_BYTES // 4:
            self.out.append(window_update(0, self.credit))
            self.credit = 0

    def _forget(self, stream: int) -> None:
        if self.opened.pop(stream, None) is None and stream not in self.blocked and self.waiting:
            self.withdrawn.add(stream)
        self.blocked.pop(stream, None)
        self.credits.pop(stream, None)
        self._cut_short(stream)

    def _cut_short(self, stream: int) -> None:
        if len(self._cut) >= _CLOSED_KEPT_MAX:
            self._cut.clear()
        self._cut.add(stream)

    def _close_if_drained(self) -> None:
        if self._last_allowed is not None and not (self.opened or self.waiting or self.blocked):
            self.is_done = True
