"""What one HTTP/2 connection has to send: frames for now, answers for later, bodies that wait for the window.

Pure: the clock is an argument. An answer goes `write` -> (`later` while a script's latency lasts) -> HEADERS ->
(`blocked` while the client's flow-control windows are too small) -> DATA (RFC 9113 section 5.2).
"""

from __future__ import annotations

import heapq
from collections.abc import Callable

from channels.simulator.answers import Ready
from channels.simulator.frames import DATA, END_HEADERS, END_STREAM, HEADERS, WINDOW_BYTES, frame


class Outbox:
    """The sending half of a connection.

    Args:
        latency_seconds: draws how long one answer is held back; asked only while `has_latency`.
    """

    def __init__(self, latency_seconds: Callable[[], float]) -> None:
        self._latency_seconds = latency_seconds
        self.has_latency = False
        self.now = 0.0
        self.out: list[bytes] = []
        self.window = WINDOW_BYTES  # what the client lets us send, connection-wide
        self.first_window = WINDOW_BYTES  # and per new stream
        self.credits: dict[int, int] = {}  # window changes of single streams
        self.blocked: dict[int, bytes] = {}
        self.later: dict[int, list[tuple[int, Ready]]] = {}
        self.waiting = 0  # answers in `later`
        self.withdrawn: set[int] = set()  # streams that the client reset while their answer waited
        self.owes_table_update = False
        self._dues: list[int] = []  # a heap of the keys of `later`: milliseconds

    def take_output(self) -> bytes:
        """Give everything that is to be sent now."""
        data = b"".join(self.out)
        self.out.clear()
        return data

    def next_due(self) -> float | None:
        return self._dues[0] / 1000 if self._dues else None

    def release(self, now: float) -> None:
        """Write the answers whose latency is over."""
        while self._dues and self._dues[0] <= now * 1000:
            for stream, answer in self.later.pop(heapq.heappop(self._dues)):
                self.waiting -= 1
                if stream in self.withdrawn:
                    self.withdrawn.discard(stream)
                else:
                    self._write_now(stream, answer)

    def write(self, stream: int, answer: Ready) -> None:
        """Write an answer now, or when the script's latency is over."""
        if self.has_latency:
            due = int((self.now + self._latency_seconds()) * 1000)
            group = self.later.get(due)
            if group is None:
                group = self.later[due] = []
                heapq.heappush(self._dues, due)
            group.append((stream, answer))
            self.waiting += 1
        else:
            self._write_now(stream, answer)

    def _write_now(self, stream: int, answer: Ready) -> None:
        block, body = answer
        if self.owes_table_update:
            self.owes_table_update = False
            block = b"\x20" + block
        if not body:
            self.credits.pop(stream, None)
            self.out.append(frame(HEADERS, END_HEADERS | END_STREAM, stream, block))
            return
        self.out.append(frame(HEADERS, END_HEADERS, stream, block))
        self.blocked[stream] = body
        self._send_body(stream)

    def _send_body(self, stream: int) -> None:
        """Send as much of a body as the client's windows allow."""
        body = self.blocked[stream]
        allowed = min(self.window, self.first_window + self.credits.get(stream, 0))
        if allowed >= len(body):
            self.window -= len(body)
            del self.blocked[stream]
            self.credits.pop(stream, None)
            self.out.append(frame(DATA, END_STREAM, stream, body))
        elif allowed > 0:
            self.window -= allowed
            self.credits[stream] = self.credits.get(stream, 0) - allowed
            self.blocked[stream] = body[allowed:]
            self.out.append(frame(DATA, 0, stream, body[:allowed]))

    def unblock(self) -> None:
        for stream in list(self.blocked):
            if self.window <= 0:
                break
            self._send_body(stream)

    @property
    def is_narrow(self) -> bool:
        """Whether some stream's window may be smaller than an answer, so that the hot path must not judge."""
        return self.first_window < WINDOW_BYTES or bool(self.blocked)
