"""Both ends of one connection in memory: our `Session`, and a server of the `h2` library that judges what we send.

h2 raises when a client breaks a rule (a stream too many, a byte beyond a window, a header table too large), so every
test that carries bytes through it also tests that.
"""

from __future__ import annotations

from collections.abc import Mapping

import h2.config
import h2.connection
import h2.events
import h2.settings

from channels.http2 import frames
from channels.http2.jobs import Answer, Failure, FailureKind, Job, Queue, Requests, Result
from channels.http2.session import Limits, Session
from tests.channels.sending import TEMPLATE

START_BY, ANSWER_BY = 10.0, 20.0
OK_BLOCK = b"\x88"  # `:status: 200`, entry 8 of the static table
BAD_BLOCK = b"\x8c"  # `:status: 400`, entry 12
OK_ANSWER = Answer(200, (), b"")

Codes = h2.settings.SettingCodes


def unknown(reason: str) -> Failure:
    return Failure(FailureKind.UNKNOWN, reason)


def not_sent(reason: str) -> Failure:
    return Failure(FailureKind.NOT_SENT, reason)


class Ends:
    """One connection. `exchange` carries bytes until both ends are quiet.

    Args:
        settings: what the server announces at first, by setting code.
        limits: of our session.
        holds_windows: the server does not give windows back by itself.
    """

    def __init__(
        self, settings: Mapping[int, int] | None = None, limits: Limits | None = None, *, holds_windows: bool = False
    ) -> None:
        self.queue = Queue()
        self.session = Session(b"localhost", limits or Limits())
        self.server = h2.connection.H2Connection(h2.config.H2Configuration(client_side=False, header_encoding=None))
        first = {Codes(code): value for code, value in (settings or {}).items()}
        self.server.local_settings = h2.settings.Settings(
            client=False, initial_values={Codes.MAX_CONCURRENT_STREAMS: 100} | first
        )
        self.holds_windows = holds_windows
        self.bodies: dict[int, bytes] = {}
        self.paths: dict[int, bytes] = {}
        self.events: list[h2.events.Event] = []
        self.finished = 0
        """How often a job said that all its results are in."""
        self.session.open()
        self.server.initiate_connection()
        self.exchange()

    def job(self, count: int, body: bytes | list[bytes] = b"{}", name: bytes = b"t") -> Job:
        """Queue a batch; paths end in its name and a number. Nothing is sent before `exchange`."""
        paths = [name + b"%02x" % index for index in range(count)]
        values = [b"%04d" % index for index in range(count)]
        job = Job(Requests(TEMPLATE, count, paths, values, body), self.queue, START_BY, ANSWER_BY, self._count)
        self.queue.join(job)
        return job

    def _count(self) -> None:
        self.finished += 1

    def exchange(self) -> None:
        while True:
            self.session.fill(self.queue)
            ours = self.session.take_output()
            if ours:
                for event in self.server.receive_data(ours):
                    self._hear(event)
            theirs = self.server.data_to_send()
            if theirs:
                self.session.receive(theirs)
            if not ours and not theirs:
                return

    def _hear(self, event: h2.events.Event) -> None:
        self.events.append(event)
        if isinstance(event, h2.events.RequestReceived):
            stream = event.stream_id or 0
            self.bodies[stream] = b""
            self.paths[stream] = dict(event.headers or ())[b":path"]
        elif isinstance(event, h2.events.DataReceived):
            self.bodies[event.stream_id or 0] += event.data or b""
            if not self.holds_windows and event.flow_controlled_length:
                self.server.acknowledge_received_data(event.flow_controlled_length, event.stream_id or 0)

    @property
    def resets(self) -> dict[int, int]:
        """Codes of the streams that we have reset."""
        return {e.stream_id: int(e.error_code or 0) for e in self.events if isinstance(e, h2.events.StreamReset)}

    @property
    def ended(self) -> list[int]:
        """Streams whose request arrived whole."""
        return [event.stream_id or 0 for event in self.events if isinstance(event, h2.events.StreamEnded)]

    def answer(self, *streams: int, status: int = 200, body: bytes = b"") -> None:
        """Answer by h2's own rules."""
        for stream in streams:
            self.server.send_headers(stream, [(":status", str(status))], end_stream=not body)
            if body:
                self.server.send_data(stream, body, end_stream=True)
        self.exchange()

    def change(self, **settings: int) -> None:
        """Send SETTINGS by name, as in `change(MAX_CONCURRENT_STREAMS=1)`; h2 enforces them once acknowledged."""
        self.server.update_settings({getattr(Codes, name): value for name, value in settings.items()})

    def raw(self, *pieces: bytes) -> None:
        """Let our end hear bytes that h2 would refuse to write; what we say to them waits in `said`."""
        self.session.receive(b"".join(pieces))

    def said(self) -> list[frames.Frame]:
        """Take what our end has to say, as frames, past h2."""
        return cut_all(self.session.take_output())


def in_flight(count: int, limits: Limits | None = None, body: bytes = b"{}") -> tuple[Ends, Job]:
    """A connection with `count` requests on streams 1, 3, 5..., all of them sent."""
    ends = Ends(limits=limits)
    job = ends.job(count, body)
    ends.exchange()
    return ends, job


def cut_all(data: bytes) -> list[frames.Frame]:
    """Cut our own output into frames."""
    if data.startswith(frames.PREFACE):
        data = data[len(frames.PREFACE) :]
    found: list[frames.Frame] = []
    at = 0
    while at < len(data):
        one, at = frames.cut(data, at)
        assert one is not None, "our output ends in the middle of a frame"
        found.append(one)
    return found


def headers(stream: int, block: bytes = OK_BLOCK, flags: int = frames.END_HEADERS | frames.END_STREAM) -> bytes:
    return frames.frame(frames.HEADERS, flags, stream, block)


def data(stream: int, content: bytes = b"", flags: int = 0) -> bytes:
    return frames.frame(frames.DATA, flags, stream, content)


def statuses(results: list[Result | None]) -> list[int | str | None]:
    """Results in short: the status, the reason of a failure, or None while there is none."""
    return [one.status if isinstance(one, Answer) else one.reason if one is not None else None for one in results]
