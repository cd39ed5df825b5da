"""Serves the intake over HTTP/1.1: accepts connections, watches their deadlines, stops in order.

What one connection does stands in http1/connection.py. Deadlines are watched by one task for all connections: a number
each, compared a few times a second.

Stopping: not ready, no new connections, idle ones closed, requests in hand answered (at most `drain_seconds`).
"""

from __future__ import annotations

import logging
import socket
import time
from collections.abc import Awaitable, Callable, Sequence

import trio

from engine.intake.app import Intake
from engine.intake.http1.answer import Dates
from engine.intake.http1.connection import Connection, ServingLimits

__all__ = ["ServingLimits", "serve"]

_log = logging.getLogger("klokke.intake")
_WATCH_SECONDS_MAX = 1.0
_WATCHES_A_DEADLINE = 8  # a deadline is kept within an eighth of the shortest


async def serve(
    intake: Intake,
    listeners: Sequence[trio.SocketListener],
    stop: Callable[[], Awaitable[None]],
    limits: ServingLimits | None = None,
    *,
    task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Serve until `stop` returns, then drain; returns when everything is answered.

    Args:
        listeners: from `trio.open_tcp_listeners`; closed at the end.
        stop: returns when it is time to stop, `Event.wait` for example.
    """
    server = _Server(intake, limits or ServingLimits())
    async with trio.open_nursery() as background:
        await background.start(intake.run)
        await server.run(listeners, stop, task_status)
        background.cancel_scope.cancel()


class _Server:
    def __init__(self, intake: Intake, limits: ServingLimits) -> None:
        self.app = intake
        self.limits = limits
        self.dates = Dates(time.time)
        self.is_stopping = False
        self._places = trio.CapacityLimiter(limits.connections)
        self._connections: set[Connection] = set()

    async def run(
        self,
        listeners: Sequence[trio.SocketListener],
        stop: Callable[[], Awaitable[None]],
        task_status: trio.TaskStatus[None],
    ) -> None:
        async with trio.open_nursery() as watching:
            watching.start_soon(self._watch)
            async with trio.open_nursery() as open_connections:
                async with trio.open_nursery() as accepting:
                    for listener in listeners:
                        accepting.start_soon(self._accept, listener, open_connections)
                    task_status.started()
                    await stop()
                    self.app.stop_gently()
                    accepting.cancel_scope.cancel()
                self.is_stopping = True
                for connection in tuple(self._connections):
                    connection.end_if_idle()
                open_connections.cancel_scope.deadline = trio.current_time() + self.limits.drain_seconds
            watching.cancel_scope.cancel()

    async def _watch(self) -> None:
        limits = self.limits
        shortest = min(limits.head_seconds, limits.idle_seconds, limits.send_seconds)
        while True:
            await trio.sleep(min(_WATCH_SECONDS_MAX, shortest / _WATCHES_A_DEADLINE))
            now = trio.current_time()
            for connection in self._connections:
                connection.end_if_late(now)

    async def _accept(self, listener: trio.SocketListener, connections: trio.Nursery) -> None:
        await trio.serve_listeners(self._handle, [listener], handler_nursery=connections)

    async def _handle(self, stream: trio.SocketStream) -> None:
        """One connection. Beyond the cap a connection waits, unread, for a place: memory stays bounded."""
        with socket.socket(fileno=stream.socket.detach()) as sock:
            sock.setblocking(False)
            async with self._places:
                connection = Connection(self, sock)
                self._connections.add(connection)
                try:
                    await connection.run()
                except Exception as error:  # one connection's trouble must not end the others
                    _log.error("a connection ended with an unexpected %s", type(error).__name__)
                finally:
                    self._connections.discard(connection)
