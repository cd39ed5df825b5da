"""Serves the intake over HTTP/1.1: Hypercorn's protocol on trio, with deadlines, limits and an orderly stop.

The only file that knows Hypercorn. Its own connection handler starts two tasks a request to watch for idleness, sends
head, body and end of an answer apart, and knows no deadline for the head of a request. This handler keeps one deadline
a connection and moves it: 10 s for a whole head however slowly it drips, 30 s of idleness between requests. Bodies have
their own deadline (limits.py). Measured with an empty app: 365 us a request with Hypercorn's handler, 240 us with this.

Stopping: not ready, no new connections, idle ones closed, requests in hand answered (at most `drain_seconds`).
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from typing import Any, cast

import h11
import msgspec
import trio
from hypercorn.app_wrappers import ASGIWrapper
from hypercorn.config import Config
from hypercorn.events import Closed, RawData, Updated
from hypercorn.protocol.events import Request
from hypercorn.protocol.h11 import STREAM_ID, H11Protocol
from hypercorn.protocol.http_stream import HTTPStream
from hypercorn.trio.task_group import TaskGroup
from hypercorn.trio.worker_context import WorkerContext
from hypercorn.typing import ConnectionState

from engine.intake.app import Intake
from engine.intake.problems import MEDIA_TYPE, Problem

_log = logging.getLogger("klokke.intake")
_READ_BYTES = 65_536
_PROBLEM_OF_STATUS = {431: "headers-too-large", 408: "too-slow"}


class ServingLimits(msgspec.Struct, frozen=True, kw_only=True):
    """What one connection may take.

    `linger_seconds` and `linger_bytes`: how much of an unwanted rest is read after the answer, so that a caller who is
    still sending sees it; closing at once would reset the connection and lose the answer.
    """

    head_bytes: int = 16_384
    head_seconds: float = 10.0
    idle_seconds: float = 30.0
    send_seconds: float = 20.0
    connections: int = 2_000
    drain_seconds: float = 20.0
    linger_seconds: float = 2.0
    linger_bytes: int = 16 * 1024 * 1024


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
        self.intake = intake
        self.app = ASGIWrapper(cast(Any, intake))
        self.limits = limits
        self.places = trio.CapacityLimiter(limits.connections)
        self.context = WorkerContext(None)
        self.connections: set[_Connection] = set()
        self.config = Config()
        self.config.errorlog = None
        self.config.include_server_header = False
        self.config.h11_max_incomplete_size = limits.head_bytes
        self.config.keep_alive_max_requests = 1_000_000

    async def run(
        self,
        listeners: Sequence[trio.SocketListener],
        stop: Callable[[], Awaitable[None]],
        task_status: trio.TaskStatus[None],
    ) -> None:
        async with trio.open_nursery() as open_connections:
            async with trio.open_nursery() as accepting:
                for listener in listeners:
                    accepting.start_soon(self._accept, listener, open_connections)
                task_status.started()
                await stop()
                self.intake.stop_gently()
                accepting.cancel_scope.cancel()
            await self.context.terminated.set()
            for connection in tuple(self.connections):
                connection.close_if_idle()
            open_connections.cancel_scope.deadline = trio.current_time() + self.limits.drain_seconds

    async def _accept(self, listener: trio.SocketListener, connections: trio.Nursery) -> None:
        await trio.serve_listeners(self._handle, [listener], handler_nursery=connections)

    async def _handle(self, stream: trio.SocketStream) -> None:
        """One connection. Beyond the cap a connection waits, unread, for a place: memory stays bounded."""
        try:
            async with self.places:
                connection = _Connection(self, stream)
                self.connections.add(connection)
                try:
                    await connection.run()
                finally:
                    self.connections.discard(connection)
        except OSError:
            pass  # the peer had gone before we could ask for its name
        except Exception as error:  # one connection's trouble must not end the others
            _log.error("a connection ended with an unexpected %s", type(error).__name__)
        finally:
            with trio.CancelScope(shield=True):
                await trio.aclose_forcefully(stream)


class _Connection:
    """One connection: reads under a deadline that moves with the phase, hands bytes to the protocol, writes answers."""

    def __init__(self, server: _Server, stream: trio.SocketStream) -> None:
        self._server = server
        self._limits = server.limits
        self._stream = stream
        self._reading = trio.CancelScope()
        self._is_idle = True  # between requests; else a request is in the hand of the app
        self._has_begun = False  # the first bytes of a head have come
        self._is_closing = False

    async def run(self) -> None:
        peer, own = self._stream.socket.getpeername()[:2], self._stream.socket.getsockname()[:2]
        async with TaskGroup() as tasks:
            self._protocol = _Http11(
                self._server.app,
                self._server.config,
                cast(Any, self._server.context),
                cast(Any, tasks),
                ConnectionState(cast(Any, {})),
                False,
                peer,
                own,
                self._take,
            )
            await self._read()
        if self._is_closing:
            await self._linger()

    def close_if_idle(self) -> None:
        """End the connection if no request is in hand; the phase of a head under way counts as idle."""
        if self._is_idle:
            self._reading.cancel()

    async def _read(self) -> None:
        while not self._is_closing:
            self._reading = trio.CancelScope(deadline=self._deadline())
            data = b""
            with self._reading, suppress(trio.BrokenResourceError, trio.ClosedResourceError):
                data = bytes(await self._stream.receive_some(_READ_BYTES))
            if self._reading.cancelled_caught:
                if self._has_begun and not self._is_closing:
                    await self._protocol.refuse(408)
                break
            if data and self._is_idle and not self._has_begun:
                self._has_begun = True
                self._head_deadline = trio.current_time() + self._limits.head_seconds
            await self._protocol.handle(RawData(data))
            if not data:
                break
        await self._protocol.handle(Closed())

    def _deadline(self) -> float:
        if not self._is_idle:
            return float("inf")
        if self._has_begun:
            return self._head_deadline
        return trio.current_time() + self._limits.idle_seconds

    async def _take(self, event: RawData | Closed | Updated) -> None:
        """What the protocol wants: bytes sent, the connection closed, or to say whether a request is in hand."""
        if isinstance(event, RawData):
            await self._send(event.data)
        elif isinstance(event, Closed):
            self._is_closing = True
            self._reading.cancel()
        else:
            self._is_idle, self._has_begun = event.idle, False
            self._reading.deadline = self._deadline()

    async def _send(self, data: bytes) -> None:
        try:
            with trio.fail_after(self._limits.send_seconds):
                await self._stream.send_all(data)
        except (trio.TooSlowError, trio.BrokenResourceError, trio.ClosedResourceError):
            self._is_closing = True
            self._reading.cancel()

    async def _linger(self) -> None:
        """Say that nothing more comes, and read what is still on its way, within bounds."""
        left = self._limits.linger_bytes
        with (
            trio.move_on_after(self._limits.linger_seconds),
            suppress(trio.BrokenResourceError, trio.ClosedResourceError),
        ):
            await self._stream.send_eof()
            while left > 0 and (data := await self._stream.receive_some(_READ_BYTES)):
                left -= len(data)


class _Http11(H11Protocol):
    """Hypercorn's HTTP/1.1 without upgrades, with whole answers in one write and problem documents for broken heads."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self._held = b""

    async def refuse(self, status: int) -> None:
        """Answer a head that is broken, too large or too slow, and close."""
        await self._send_error_response(status)
        await self.send(Closed())

    async def _check_protocol(self, event: h11.Request) -> None:
        """No HTTP/2 over clear text: one protocol, one set of limits."""

    async def _create_stream(self, request: h11.Request) -> None:
        headers = list(request.headers)
        # h11 bounds a head only while it is incomplete; one that comes in a single read would pass
        if sum(len(name) + len(value) + 4 for name, value in headers) > self.config.h11_max_incomplete_size:
            return await self.refuse(431)
        if request.http_version not in (b"1.1", b"1.0"):
            return await self.refuse(400)
        self.stream = HTTPStream(
            self.app,
            self.config,
            self.context,
            self.task_group,
            self.ssl,
            self.client,
            self.server,
            self.stream_send,
            STREAM_ID,
        )
        await self.stream.handle(
            Request(
                stream_id=STREAM_ID,
                headers=headers,
                http_version=request.http_version.decode(),
                method=request.method.decode("ascii").upper(),
                raw_path=request.target,
                state=self.connection_state,
            )
        )
        self.keep_alive_requests += 1
        return None

    async def _send_h11_event(self, event: Any) -> None:
        try:
            data = self.connection.send(event) or b""
        except h11.LocalProtocolError:
            if self.connection.their_state != h11.ERROR:
                raise
            return
        self._held += data
        if not isinstance(event, h11.Response | h11.Data):
            whole, self._held = self._held, b""
            await self.send(RawData(whole))

    async def _send_error_response(self, status_code: int) -> None:
        problem = Problem(_PROBLEM_OF_STATUS.get(status_code, "malformed-request"))
        body = problem.body()
        headers = [
            (b"content-type", MEDIA_TYPE),
            (b"content-length", b"%d" % len(body)),
            (b"connection", b"close"),
        ]
        await self._send_h11_event(h11.Response(status_code=problem.status, headers=headers))
        await self._send_h11_event(h11.Data(data=body))
        await self._send_h11_event(h11.EndOfMessage())
