"""The load: `python -m loadtests.bench.intake.generator ORDER`, an order in JSON; prints its result as a line of JSON.

Plain sockets and epoll in one thread: about 25 us of CPU a request, where an HTTP client costs more than the server.
Open loop: request n is due at start + n / rate whatever the answers do, and its latency counts from when it was due, so
a server that stalls cannot hide what waited meanwhile (coordinated omission). Closed loop: each connection sends its
next request when it has its answer. A new connection is never opened for a late request; it waits for a free one.
"""

from __future__ import annotations

import select
import socket
import sys
import time
from collections import deque
from pathlib import Path

import msgspec

from loadtests.bench.intake.answers import take_answer
from loadtests.bench.intake.requests import Load, Spelled
from loadtests.bench.measuring import own_cpu_seconds

_ANSWERS_SECONDS_MAX = 20.0  # waited for what is in hand after the last request
_READ_BYTES = 262_144


class Order(msgspec.Struct, frozen=True, kw_only=True):
    """One phase. `rate_per_second` None: closed loop. `answers_file` takes (request number, body) of each 202."""

    load: Load
    port: int
    connections: int
    seconds: float
    rate_per_second: float | None = None
    answers_file: str | None = None


class Result(msgspec.Struct, frozen=True, kw_only=True):
    """What came of it; latencies are seconds, in the order of answers. `broken`: connections lost, answers not come."""

    sent: int
    statuses: dict[int, int]
    broken: int
    latencies: list[float]
    seconds: float
    cpu_seconds: float


class _Connection:
    __slots__ = ("buffer", "due", "is_writing", "number", "rest", "socket")

    def __init__(self, port: int) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=10.0)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket.setblocking(False)
        self.buffer = bytearray()
        self.rest = memoryview(b"")
        self.is_writing = False  # a part of the request did not fit the socket's buffer
        self.due = 0.0
        self.number = 0


class Drive:
    """One phase under way."""

    def __init__(self, order: Order) -> None:
        self._order = order
        self._spelled = Spelled(order.load)
        self._poll = select.epoll()
        self._connections = [_Connection(order.port) for _ in range(order.connections)]
        self._by_number = {one.socket.fileno(): one for one in self._connections}
        for number in self._by_number:
            self._poll.register(number, select.EPOLLIN)
        self._free = deque(self._connections)
        self._sent = self._broken = 0
        self._statuses: dict[int, int] = {}
        self._latencies: list[float] = []
        self._answers: list[tuple[int, bytes]] = []
        self._last_answer = 0.0

    def run(self) -> Result:
        """Drive until the time is over and every answer is in, or given up."""
        before = own_cpu_seconds()
        start = time.perf_counter()
        end = start + self._order.seconds
        while (now := time.perf_counter()) < end and self._by_number:
            self._poll_once(self._send_what_is_due(start, now), end)
        deadline = time.perf_counter() + _ANSWERS_SECONDS_MAX
        while len(self._free) < len(self._by_number) and time.perf_counter() < deadline:
            self._poll_once(deadline, deadline)
        self._broken += len(self._by_number) - len(self._free)
        used = own_cpu_seconds() - before
        self._close()
        return Result(
            sent=self._sent,
            statuses=self._statuses,
            broken=self._broken,
            latencies=self._latencies,
            seconds=max(self._order.seconds, self._last_answer - start),
            cpu_seconds=used,
        )

    def _send_what_is_due(self, start: float, now: float) -> float:
        """Send on free connections; returns when to look again."""
        rate = self._order.rate_per_second
        if rate is None:
            while self._free:
                self._send(self._free.popleft(), now)
            return float("inf")
        while (due := start + self._sent / rate) <= now:
            if not self._free:
                return float("inf")  # an answer wakes us
            self._send(self._free.popleft(), due)
        return due

    def _send(self, connection: _Connection, due: float) -> None:
        connection.number, connection.due = self._sent, due
        self._sent += 1
        connection.rest = memoryview(self._spelled.request(connection.number))
        self._write(connection)

    def _write(self, connection: _Connection) -> None:
        try:
            sent = connection.socket.send(connection.rest)
        except BlockingIOError:
            sent = 0
        except OSError:
            return self._lose(connection)
        connection.rest = connection.rest[sent:]
        if bool(connection.rest) is not connection.is_writing:
            connection.is_writing = not connection.is_writing
            self._poll.modify(connection.socket.fileno(), select.EPOLLIN | (select.EPOLLOUT * connection.is_writing))
        return None

    def _poll_once(self, until: float, end: float) -> None:
        """Wait for answers until then. `select` keeps microseconds, where epoll rounds up to whole milliseconds."""
        timeout = max(0.0, min(until, end) - time.perf_counter())
        if not select.select([self._poll], [], [], timeout)[0]:
            return
        for number, what in self._poll.poll(0):
            connection = self._by_number.get(number)
            if connection is None:
                continue
            if what & select.EPOLLOUT:
                self._write(connection)
            if what & ~select.EPOLLOUT:
                self._read(connection)

    def _read(self, connection: _Connection) -> None:
        try:
            data = connection.socket.recv(_READ_BYTES)
        except BlockingIOError:
            return None
        except OSError:
            data = b""
        if not data:
            return self._lose(connection)
        connection.buffer += data
        answer = take_answer(connection.buffer)
        if answer is not None:
            self._note(connection, *answer)
        return None

    def _note(self, connection: _Connection, status: int, body: bytes) -> None:
        self._last_answer = time.perf_counter()
        self._latencies.append(self._last_answer - connection.due)
        self._statuses[status] = self._statuses.get(status, 0) + 1
        if status == 202:
            self._answers.append((connection.number, body))
        self._free.append(connection)

    def _lose(self, connection: _Connection) -> None:
        self._broken += 1
        self._by_number.pop(connection.socket.fileno(), None)
        self._poll.unregister(connection.socket.fileno())
        connection.socket.close()

    def _close(self) -> None:
        for connection in self._by_number.values():
            connection.socket.close()
        self._poll.close()
        if self._order.answers_file is not None:
            Path(self._order.answers_file).write_bytes(msgspec.msgpack.encode(self._answers))


def main() -> None:
    """Carry out the order that the first argument spells; one line of JSON says what came of it."""
    order = msgspec.json.decode(sys.argv[1], type=Order)
    sys.stdout.buffer.write(msgspec.json.encode(Drive(order).run()) + b"\n")


if __name__ == "__main__":
    main()
