"""One connection's HTTP/2 state: requests out, answers in, every stream settled exactly once.

Pure: bytes in (`receive`), bytes out (`take_output`), the time as an argument. The hot path is `_take_accepted`, which
reads plain 200 answers without decoding; everything else goes the plain way, frame by frame, and both give the same.
"""

from __future__ import annotations

from typing import NamedTuple

from channels.http2 import frames
from channels.http2.accepted import take_accepted
from channels.http2.fields import HEADER_LIST_BYTES_MAX, Fields
from channels.http2.flood import FloodGuard
from channels.http2.frames import ACK, END_STREAM, ErrorCode, Frame, ProtocolError
from channels.http2.gathering import Gathering, Whole
from channels.http2.headers import AnswerReader
from channels.http2.jobs import OK, Answer, Failure, FailureKind, Job, Queue, Result
from channels.http2.sending import Sending
from channels.http2.streams import Streams

RECEIVE_WINDOW_BYTES = 1 << 24
ANSWER_BODY_BYTES_MAX = 32_768  # half a stream's window: a longer answer is cut off, its status counts
FILL_MAX = 512  # requests per TLS write: more gains nothing and lets others wait
SILENT_MAX = 3  # streams that ran out of time before the connection is retired (pushy #816: APNs fell silent in 2020)
IDLE_SHUT_SECONDS = 5.0  # a connection on which nothing is in flight and nothing may be sent is left then
LAST_USABLE_STREAM = frames.STREAM_MAX - 4 * FILL_MAX


class Limits(NamedTuple):
    """How careful a connection is. `starts_with_one`: one stream until the first 200 (Apple, token authentication)."""

    starts_with_one: bool = False
    is_stateless: bool = True  # ask the peer not to compress answers with a table, so that 200 is a first byte
    is_fast: bool = True  # False: only the plain way, for tests


class Session:
    """State of one connection; see the module."""

    def __init__(self, authority: bytes, limits: Limits) -> None:
        self.sending = Sending(authority)
        self.is_ready = False  # the peer's SETTINGS have come
        self.is_draining = False
        self.has_refused = False  # requests went back to the queue since the caller last looked
        self.has_answered = False
        self.was_full = False  # work was left over for want of a stream or window since the caller last looked
        self.odd_answers: list[Answer] = []  # answers other than 200, for the pool to judge
        self._limits = limits
        self._reader = AnswerReader(is_stateless=limits.is_stateless)
        self.is_warm = not limits.starts_with_one
        self.streams = Streams()
        self._gathering = Gathering()
        self._rest = b""
        self._consumed = 0
        self._silent = 0
        self._shut_since: float | None = None
        self._flood = FloodGuard()

    # --- out ---

    def open(self) -> None:
        """Write the preface, our SETTINGS and a wide window for the connection."""
        ours = [(frames.ENABLE_PUSH, 0), (frames.MAX_HEADER_LIST_SIZE, HEADER_LIST_BYTES_MAX)]
        if self._limits.is_stateless:
            ours.append((frames.HEADER_TABLE_SIZE, 0))
        self._put(frames.PREFACE + frames.settings(ours))
        self._put(frames.window_update(0, RECEIVE_WINDOW_BYTES - 65_535))

    def _put(self, control: bytes) -> None:
        self.sending.output.append(control)

    def take_output(self) -> bytes:
        output = self.sending.output
        if not output:
            return b""
        data = output[0] if len(output) == 1 else b"".join(output)
        output.clear()
        self._flood.wrote()
        return data

    @property
    def has_output(self) -> bool:
        return bool(self.sending.output)

    @property
    def in_flight(self) -> int:
        return len(self.streams.owner)

    @property
    def is_finished(self) -> bool:
        return self.is_draining and not self.streams.owner

    def room(self) -> int:
        """How many requests may be started now."""
        if self.is_draining or not self.is_ready:
            return 0
        limit = self.sending.streams_max if self.is_warm else min(1, self.sending.streams_max)
        return limit - len(self.streams.owner)

    def fill(self, queue: Queue) -> int:
        """Start what waits, as far as streams and windows allow; returns how many requests were started."""
        started = 0
        while queue and started < FILL_MAX and (room := min(self.room(), FILL_MAX - started)) > 0:
            taken = queue.take(room)
            if taken is None:
                break
            job, start, stop = taken
            count = self._start(job, start, stop)
            started += count
            if start + count < stop:
                queue.put_back(job, start + count, stop)
            if not count:
                break
        if queue and started < FILL_MAX:
            self.was_full = True
        if self.sending.next_stream > LAST_USABLE_STREAM:
            self.is_draining = True
        return started

    def _start(self, job: Job, start: int, stop: int) -> int:
        count = self.sending.fitting(job.requests, start, stop)
        if count:
            first = self.sending.write(job.requests, start, count)
        elif self.sending.must_wait(job.requests.body_of(start)) and self.streams.owner:
            return 0  # with others in flight the window will open; a body in pieces is the slow way
        elif self.sending.is_stalled:
            return 0
        else:
            first, count = self.sending.write_part(job.requests, start), 1
        self.streams.start(job, start, count, first)
        return count

    # --- in ---

    def receive(self, data: bytes) -> None:
        """Take what was read. Raises ProtocolError; then call `close` and `take_output`, and end the connection."""
        if self._rest:
            data = self._rest + data
        at = 0
        while True:
            if self._limits.is_fast and not self._gathering.is_open and not self.sending.unsent:
                at = self._take_accepted(data, at)
            received, at = frames.cut(data, at)
            if received is None:
                break
            self._take(received)
        self._rest = data[at:]
        if self._consumed > RECEIVE_WINDOW_BYTES // 2:
            self._put(frames.window_update(0, self._consumed))
            self._consumed = 0

    def _take_accepted(self, data: bytes, at: int) -> int:
        passed = take_accepted(data, at, self.streams, self.sending.next_stream, is_stateless=self._limits.is_stateless)
        self._consumed += passed.body_bytes
        if passed.answers:
            self.has_answered = self.is_warm = True
            self._flood.got_answer()
        elif passed.updates:
            self._flood.took_windows(passed.updates)
        return passed.at

    def _take(self, received: Frame) -> None:
        self._flood.took_frame()
        kind = received.kind
        if self._gathering.is_open and kind != frames.CONTINUATION:
            raise ProtocolError(ErrorCode.PROTOCOL_ERROR, "header block broken off")
        if not self.is_ready and (kind != frames.SETTINGS or received.flags & ACK):
            raise ProtocolError(ErrorCode.PROTOCOL_ERROR, "connection must begin with SETTINGS")
        if kind in (frames.DATA, frames.HEADERS, frames.RST_STREAM) and not self._is_known(received.stream):
            raise ProtocolError(ErrorCode.PROTOCOL_ERROR, "frame on a stream that was never opened")
        if kind == frames.DATA:
            self._take_data(received)
        elif kind == frames.HEADERS:
            self._take_headers(self._gathering.start(received))
        elif kind == frames.CONTINUATION:
            self._take_headers(self._gathering.go_on(received))
        elif kind == frames.RST_STREAM:
            self._take_reset(received.stream, frames.read_rst_stream(received))
        elif kind == frames.SETTINGS:
            self._take_settings(received)
        elif kind == frames.PING:
            self._take_ping(received)
        elif kind == frames.GOAWAY:
            self._take_goaway(frames.read_goaway(received))
        elif kind == frames.WINDOW_UPDATE:
            self._take_window(received)
        elif kind == frames.PUSH_PROMISE:
            raise ProtocolError(ErrorCode.PROTOCOL_ERROR, "server push was switched off")
        elif kind == frames.PRIORITY:
            frames.check_priority(received)
        # What PRIORITY says is deprecated, and unknown types must be ignored (sections 5.3.2 and 4.1).

    def _is_known(self, stream: int) -> bool:
        return stream & 1 == 1 and stream < self.sending.next_stream

    def _take_headers(self, whole: Whole | None) -> None:
        if whole is not None:
            headers = self._reader.read(whole.block)  # also for streams that are gone: the table must follow
            if whole.stream in self.streams.owner:
                self._take_answer(whole.stream, headers, is_last=bool(whole.flags & END_STREAM))

    def _take_answer(self, stream: int, headers: Fields, *, is_last: bool) -> None:
        answer = self.streams.opened.get(stream)
        if answer is None:
            status = headers.status
            if status is None or (status < 200 and is_last):
                self._fail(stream, "malformed_answer", ErrorCode.PROTOCOL_ERROR)
                return
            if status < 200:
                return  # informational: the answer is still to come
            answer = OK if status == 200 else Answer(status, headers, b"")
            self.streams.opened[stream] = answer
        elif not is_last:  # trailers must end the stream; the status is known all the same
            self._reset(stream, ErrorCode.PROTOCOL_ERROR)
            is_last = True
        if is_last:
            self._end_answer(stream)

    def _take_data(self, received: Frame) -> None:
        self._consumed += len(received.payload)
        stream, data = received.stream, frames.content(received)
        if stream not in self.streams.owner:
            return
        padding = len(received.payload) - len(data)
        if padding and not received.flags & END_STREAM:
            # Content is cut off long before a stream's window ends, padding is not: give its share back.
            self._flood.replied()
            self._put(frames.window_update(stream, padding))
        answer = self.streams.opened.get(stream)
        if answer is None:
            self._fail(stream, "malformed_answer", ErrorCode.PROTOCOL_ERROR)
            return
        if len(answer.body) + len(data) > ANSWER_BODY_BYTES_MAX:
            self._reset(stream, ErrorCode.CANCEL)
            self._end_answer(stream)
            return
        self.streams.opened[stream] = answer._replace(body=answer.body + data)
        if received.flags & END_STREAM:
            self._end_answer(stream)

    def _end_answer(self, stream: int) -> None:
        answer = self.streams.opened[stream]
        self.has_answered = True
        if answer.status == 200:
            self.is_warm = True
        else:
            self.odd_answers.append(answer)
        if stream in self.sending.unsent:
            self._reset(stream, ErrorCode.CANCEL)  # answered before our body had gone: nobody waits for the rest
        self._settle(stream, answer)

    def _take_reset(self, stream: int, code: int) -> None:
        if stream not in self.streams.owner:
            return
        if stream in self.streams.opened:
            self._end_answer(stream)  # the status is known; only the rest of the body is not
        elif code == ErrorCode.REFUSED_STREAM:
            self._refuse(stream, "refused_stream")
        else:
            self._settle(stream, Failure(FailureKind.UNKNOWN, f"reset_{frames.code_name(code)}"))

    def _take_settings(self, received: Frame) -> None:
        values = frames.read_settings(received)
        if received.flags & ACK:
            return
        self._flood.replied()
        self.is_ready = True
        self.sending.follow(values)

    def _take_ping(self, received: Frame) -> None:
        data = frames.read_ping(received)
        if received.flags & ACK:
            return
        self._flood.replied()
        self._put(frames.frame(frames.PING, ACK, 0, data))

    def _take_goaway(self, last_stream: int) -> None:
        """Section 6.8: streams above `last_stream` were not processed; those below are still answered."""
        self.is_draining = True
        for stream in [stream for stream in self.streams.owner if stream > last_stream]:
            if stream in self.streams.opened:
                self._end_answer(stream)  # its status has come, so it was processed whatever is said now
            else:
                self._refuse(stream, "goaway")

    def _take_window(self, received: Frame) -> None:
        stream, increment = received.stream, frames.read_window_update(received)
        if stream and not self._is_known(stream):
            raise ProtocolError(ErrorCode.PROTOCOL_ERROR, "window of a stream that was never opened")
        if not self.sending.grow(stream, increment) and stream in self.streams.owner:
            self._fail(stream, "malformed_window", ErrorCode.FLOW_CONTROL_ERROR)

    def _reset(self, stream: int, code: ErrorCode) -> None:
        self._flood.replied()
        self._put(frames.rst_stream(stream, code))

    def _fail(self, stream: int, reason: str, code: ErrorCode) -> None:
        self._reset(stream, code)
        self._settle(stream, Failure(FailureKind.UNKNOWN, reason))

    # --- time and end ---

    def expire(self, now: float) -> None:
        """Settle what was not answered in time; a connection with several such streams takes nothing new."""
        self._flood.look_at_clock(now)
        for stream in self.streams.overdue(now):
            self._put(frames.rst_stream(stream, ErrorCode.CANCEL))
            if stream in self.streams.opened:
                self._end_answer(stream)
                continue
            self._silent += 1
            if stream in self.sending.unsent:  # an unfinished request is not acted upon
                self._settle(stream, Failure(FailureKind.NOT_SENT, "no_window_in_time"))
            else:
                self._settle(stream, Failure(FailureKind.UNKNOWN, "no_answer_in_time"))
        if self._silent >= SILENT_MAX or self._is_shut_for_long(now):
            self.is_draining = True

    def _is_shut_for_long(self, now: float) -> bool:
        """Has the peer allowed neither a stream nor a byte for a while, with nothing in flight that would change it?"""
        if self.streams.owner or not self.is_ready or (self.room() > 0 and not self.sending.is_stalled):
            self._shut_since = None
            return False
        if self._shut_since is None:
            self._shut_since = now
        return now - self._shut_since >= IDLE_SHUT_SECONDS

    def close(self, code: ErrorCode) -> None:
        """Say goodbye with GOAWAY (we take no streams from a server, so the last one is 0)."""
        self.is_draining = True
        self._put(frames.goaway(0, code))

    def lost(self, reason: str) -> None:
        """The connection is gone: what was in flight may have been processed."""
        self.is_draining = True
        for stream in list(self.streams.owner):
            if stream in self.streams.opened:
                self._end_answer(stream)
            elif stream in self.sending.unsent:
                self._refuse(stream, reason)
            else:
                self._settle(stream, Failure(FailureKind.UNKNOWN, reason))

    def _settle(self, stream: int, result: Result) -> None:
        self._flood.got_answer()
        self.sending.forget(stream)
        self.streams.settle(stream, result)

    def _refuse(self, stream: int, reason: str) -> None:
        self.sending.forget(stream)
        self.streams.refuse(stream, reason)
        self.has_refused = True
