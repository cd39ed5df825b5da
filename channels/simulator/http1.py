"""The server side of one HTTP/1.1 connection, for senders that speak nothing newer (the stock pyfcm). No sockets.

Rests on `h11`; the same calls as `http2.Http2Connection`. One request at a time, in order.
"""

from __future__ import annotations

import h11

from channels.simulator.answers import NO_ANSWER, Answer
from channels.simulator.faults import CUT, GARBAGE, GARBAGE_FIELDS, GARBLED, Faults, is_reset
from channels.simulator.header_table import Field
from channels.simulator.script import Step
from channels.simulator.service import Service
from channels.simulator.streams import BODY_BYTES_MAX

_CLOSE: tuple[bytes, bytes] = (b"connection", b"close")


class Http1Connection:
    """One client's connection; see `Http2Connection` for how to drive it."""

    def __init__(self, service: Service, faults: Faults) -> None:
        self.service, self.faults = service, faults
        self.is_done = False
        self.wants_tls = False
        self._h11 = h11.Connection(h11.SERVER, max_incomplete_event_size=65_536)
        self._out: list[bytes] = []
        self._fields: list[Field] = []
        self._body = bytearray()
        self._now = 0.0
        self._held: tuple[float, Answer] | None = None
        self._is_silent = False

    def receive(self, data: bytes, now: float) -> None:
        self._now = now
        if self.is_done or self._is_silent:
            return
        try:
            self._h11.receive_data(data)
            self._advance()
        except h11.RemoteProtocolError as error:
            self._refuse(error.error_status_hint)

    def take_output(self) -> bytes:
        data = b"".join(self._out)
        self._out.clear()
        return data

    def next_due(self) -> float | None:
        return self._held[0] if self._held else None

    def release(self, now: float) -> None:
        if self._held is not None and self._held[0] <= now:
            answer, self._held = self._held[1], None
            self._send(answer)
            try:
                self._advance()
            except h11.RemoteProtocolError as error:
                self._refuse(error.error_status_hint)

    def enter_step(self, step: Step | None) -> None:
        """HTTP/1.1 has no GOAWAY and no streams: what a step says of single requests is drawn for each."""

    def _advance(self) -> None:
        while not (self.is_done or self._held or self._is_silent):
            event = self._h11.next_event()
            if event is h11.NEED_DATA or event is h11.PAUSED:
                if self._h11.they_are_waiting_for_100_continue:
                    self._put(h11.InformationalResponse(status_code=100, headers=[]))
                return
            if isinstance(event, h11.Request):
                self._fields = [(b":method", event.method), (b":path", event.target), *event.headers]
                self._body.clear()
            elif isinstance(event, h11.Data):
                if len(self._body) <= BODY_BYTES_MAX:
                    self._body += event.data
            elif isinstance(event, h11.EndOfMessage):
                self._answer()
            elif isinstance(event, h11.ConnectionClosed):
                self.is_done = True

    def _answer(self) -> None:
        fate = self.faults.draw()
        answer = self.service.answer(self._fields, bytes(self._body), fate)
        if fate is GARBLED:
            answer = Answer(answer.status, GARBAGE_FIELDS, GARBAGE)
        if answer is NO_ANSWER:
            if fate is CUT:
                self._out.append(b"HTTP/1.1 200 ")
            self.is_done = fate is not None and (is_reset(fate) or fate is CUT)
            self._is_silent = not self.is_done
            return
        delay = self.faults.latency_seconds()
        if delay > 0:
            self._held = (self._now + delay, answer)
        else:
            self._send(answer)

    def _send(self, answer: Answer) -> None:
        headers = [*answer.fields, (b"content-length", b"%d" % len(answer.body))]
        self._put(h11.Response(status_code=answer.status, headers=headers))
        if answer.body:
            self._put(h11.Data(data=answer.body))
        self._put(h11.EndOfMessage())
        if self._h11.our_state is h11.MUST_CLOSE:
            self.is_done = True
        else:
            self._h11.start_next_cycle()

    def _refuse(self, status: int) -> None:
        """The request is not HTTP/1.1, or too large: say so and close."""
        if self._h11.our_state in (h11.IDLE, h11.SEND_RESPONSE):
            headers = [_CLOSE, (b"content-length", b"0")]
            self._put(h11.Response(status_code=status, headers=headers))
            self._put(h11.EndOfMessage())
        self.is_done = True

    def _put(self, event: h11.Event) -> None:
        sent = self._h11.send(event)
        if sent:
            self._out.append(sent)
