"""A byte relay that holds everything back for a while, both ways: a distant provider on one machine.

`python -m loadtests.bench.push.relay <port> <server's port> <milliseconds each way>`. It knows nothing of TLS or HTTP:
what it reads it passes on later, in whole reads, so that it costs little beside the server on its core.
"""

from __future__ import annotations

import selectors
import socket
import sys
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

from loadtests.bench.push.processes import free_port, serving

_READ_BYTES = 1 << 18
_COARSE_SECONDS = 0.001  # what is due within a millisecond goes out together: fewer turns of the loop


class Relay(NamedTuple):
    url: str
    pids: tuple[int, ...]


@contextmanager
def relay(folder: Path, core: int, server_port: int, each_way_ms: float) -> Iterator[Relay]:
    """Run a relay in front of a server."""
    port = free_port()
    command = [sys.executable, "-m", __name__, str(port), str(server_port), str(each_way_ms)]
    with serving(command, core, folder / "relay.log", port) as pid:
        yield Relay(f"https://localhost:{port}", (pid,))


class Direction:
    """Bytes on their way from one socket to the other."""

    __slots__ = ("_rest", "source", "target", "waiting")

    def __init__(self, source: socket.socket, target: socket.socket) -> None:
        self.source, self.target = source, target
        self.waiting: deque[tuple[float, bytes]] = deque()  # (when it may go on, bytes); no bytes: the end
        self._rest = b""

    def read(self, due: float) -> bool:
        """Take what has come. False at the end."""
        try:
            data = self.source.recv(_READ_BYTES)
        except BlockingIOError:
            return True
        except OSError:
            data = b""
        self.waiting.append((due, data))
        return bool(data)

    def write(self, now: float) -> None:
        """Pass on what has waited long enough."""
        due = [self._rest] if self._rest else []
        has_ended = False
        while self.waiting and self.waiting[0][0] <= now:
            data = self.waiting.popleft()[1]
            has_ended = not data
            due.append(data)
        self._rest = b"".join(due)
        with suppress(OSError):  # a side that is gone needs nothing more; the other one hears of it by its own end
            if self._rest:
                self._rest = self._rest[self.target.send(self._rest) :]
            if has_ended:
                self.target.shutdown(socket.SHUT_WR)

    def next_due(self, now: float) -> float | None:
        if self._rest:
            return now + _COARSE_SECONDS
        return self.waiting[0][0] if self.waiting else None


def pump(listener: socket.socket, server_port: int, each_way_seconds: float) -> None:
    """Relay for ever."""
    chosen = selectors.DefaultSelector()
    chosen.register(listener, selectors.EVENT_READ)
    directions: list[Direction] = []
    while True:
        now = time.monotonic()
        dues = [due for one in directions if (due := one.next_due(now)) is not None]
        wait = max(_COARSE_SECONDS, min(dues) - now) if dues else None
        for key, _ in chosen.select(wait):
            if key.fileobj is listener:
                directions += _pair(listener, server_port, chosen)
            elif not key.data.read(time.monotonic() + each_way_seconds):
                chosen.unregister(key.fileobj)
        now = time.monotonic()
        for one in directions:
            one.write(now)


def _pair(listener: socket.socket, server_port: int, chosen: selectors.BaseSelector) -> list[Direction]:
    client, _ = listener.accept()
    server = socket.create_connection(("127.0.0.1", server_port))
    made = [Direction(client, server), Direction(server, client)]
    for one in made:
        one.source.setblocking(False)
        one.source.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        chosen.register(one.source, selectors.EVENT_READ, one)
    return made


def main() -> int:
    port, server_port, each_way_ms = int(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3])
    with socket.create_server(("127.0.0.1", port)) as listener:
        pump(listener, server_port, each_way_ms / 1000)
    return 0


if __name__ == "__main__":
    sys.exit(main())
