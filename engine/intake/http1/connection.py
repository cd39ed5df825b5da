"""One connection: reads requests off a plain socket, runs the app for each in turn, writes whole answers.

Why so plain: trio streams cost a `recv` in vain and two rescheduling checkpoints a request, and scopes and tasks
of its own more than parsing it. Here a request is one wait for readiness, one `recv`, the app, one `send`. Deadlines
are a number that the server's watch compares now and then; nothing is set up per request.

While a request is in the hand of the app nothing more is read, so a caller who pipelines waits in the kernel's buffer.
"""

from __future__ import annotations

import socket
from collections.abc import Awaitable, Callable, MutableMapping
from contextlib import suppress
from typing import Any, Protocol

import msgspec
import trio

from engine.intake.exchange import WHOLE_BODY
from engine.intake.http1 import answer
from engine.intake.http1.chunks import BadChunks, Chunks
from engine.intake.http1.head import END, BadHead, Head, is_hopeless, read_head
from engine.intake.problems import MEDIA_TYPE, Problem

READ_BYTES = 65_536
_UNREAD_BYTES_MAX = 65_536
_NEVER = float("inf")

App = Callable[
    [
        MutableMapping[str, Any],
        Callable[[], Awaitable[MutableMapping[str, Any]]],
        Callable[[MutableMapping[str, Any]], Awaitable[None]],
    ],
    Awaitable[None],
]


class ServingLimits(msgspec.Struct, frozen=True, kw_only=True):
    """What one connection may take.

    `head_seconds`: for a whole head however slowly it drips, and for the first byte of a new connection.
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


class Surroundings(Protocol):
    """What a connection needs of its server."""

    limits: ServingLimits
    dates: answer.Dates
    is_stopping: bool

    @property
    def app(self) -> App: ...


class Connection:
    """Runs until either side ends it. `deadline` (trio's clock) moves with the phase; the server's watch keeps it."""

    def __init__(self, server: Surroundings, sock: socket.socket) -> None:
        self._server = server
        self._limits = server.limits
        self._socket = sock
        self._scope = trio.CancelScope()
        self._buffer = b""
        self._is_idle = True  # no request is in the hand of the app
        self._lingers = False
        self.allow(self._limits.head_seconds)

    def end_if_idle(self) -> None:
        """End the connection if no request is in hand; a head under way counts as idle."""
        if self._is_idle:
            self._scope.cancel()

    def end_if_late(self, now: float) -> None:
        """End what takes longer than it may: a head, silence between requests, a caller who does not read."""
        if now >= self.deadline:
            self._scope.cancel()

    async def run(self) -> None:
        """Serve requests until the end; closing the socket is left to the caller."""
        with self._scope:
            while await self._serve_one():
                pass
        if self._scope.cancel_called:
            if not (self._is_idle and self._buffer) or self._server.is_stopping:
                return
            self._refuse(Problem("too-slow"))
        if self._lingers:
            await self._linger()

    async def _serve_one(self) -> bool:
        """Serve one request; False when it was the last."""
        block = await self._next_head()
        if block is None:
            return False
        try:
            head = read_head(block)
        except BadHead:
            return self._refuse(Problem("malformed-request"))
        self._is_idle, self.deadline = False, _NEVER
        whole = None
        if head.length is not None and len(self._buffer) >= head.length:
            whole = self.take_buffer(head.length)
        request = _Request(self, head, whole)
        await self._server.app(_scope_of(head, whole), request.receive, request.send)
        if not request.is_answered or request.closes:
            self._lingers = request.is_answered
            return False
        self._is_idle = True
        if self._server.is_stopping:
            return False
        self.allow(self._limits.head_seconds if self._buffer else self._limits.idle_seconds)
        if self._buffer:
            await trio.lowlevel.checkpoint()  # a caller who pipelines must not hold up the others
        return True

    async def _next_head(self) -> bytes | None:
        """The next head without its end; None where there is none, or it was refused."""
        looked_at = 0
        may_skip = True
        while True:
            if may_skip and self._buffer.startswith(b"\r\n"):  # one empty line is forgiven (RFC 9112, 2.2)
                self._buffer, looked_at, may_skip = self._buffer[2:], 0, False
            end = self._buffer.find(END, max(0, looked_at - 3))
            if (end if end >= 0 else len(self._buffer)) > self._limits.head_bytes:
                self._refuse(Problem("headers-too-large"))
                return None
            if end >= 0:
                block, self._buffer = self._buffer[:end], self._buffer[end + 4 :]
                return block
            if self._buffer and is_hopeless(self._buffer, looked_at):
                self._refuse(Problem("malformed-request"))
                return None
            looked_at = len(self._buffer)
            data = await self.read()
            if not data or self._scope.cancel_called:
                return None
            if not self._buffer:
                self.allow(self._limits.head_seconds)
            self._buffer += data

    async def read(self) -> bytes:
        """What has come: at least a byte, or none when the peer has hung up."""
        while True:
            await trio.lowlevel.wait_readable(self._socket)
            try:
                return self._socket.recv(READ_BYTES)
            except BlockingIOError:
                continue  # readiness can be a false alarm
            except OSError:
                return b""

    def take_buffer(self, size: int | None = None) -> bytes:
        """What was read beyond the head: so many bytes at most, or all."""
        if size is None or len(self._buffer) <= size:
            taken, self._buffer = self._buffer, b""
        else:
            taken, self._buffer = self._buffer[:size], self._buffer[size:]
        return taken

    def give_back(self, rest: bytes) -> None:
        """Bytes that belong to the next request."""
        self._buffer = rest

    @property
    def is_stopping(self) -> bool:
        return self._server.is_stopping

    @property
    def date_line(self) -> bytes:
        return self._server.dates.line()

    async def write(self, data: bytes) -> bool:
        """Send all of it; nearly always the kernel takes it at once. False when the peer has hung up."""
        try:
            sent = self._socket.send(data)
        except BlockingIOError:
            sent = 0
        except OSError:
            return False
        return sent == len(data) or await self._write_rest(memoryview(data)[sent:])

    async def _write_rest(self, rest: memoryview) -> bool:
        self.allow(self._limits.send_seconds)
        while rest:
            await trio.lowlevel.wait_writable(self._socket)
            try:
                rest = rest[self._socket.send(rest) :]
            except BlockingIOError:
                continue
            except OSError:
                return False
        self.deadline = _NEVER
        return True

    async def read_away(self, size: int) -> bool:
        """Read the rest of a body that nobody wants; False when the peer has hung up."""
        self.allow(self._limits.head_seconds)
        while size := size - len(self.take_buffer(size)):
            self._buffer = await self.read()
            if not self._buffer:
                return False
        return True

    def allow(self, seconds: float) -> None:
        """Move the deadline: what is done now may take so long."""
        self.deadline = trio.current_time() + seconds

    def _refuse(self, problem: Problem) -> bool:
        """Answer a head that is broken, too large or too slow. A few hundred bytes fit the socket, or nobody reads."""
        body = problem.body()
        fields = [(b"content-type", MEDIA_TYPE), (b"content-length", b"%d" % len(body)), answer.CLOSE]
        with suppress(OSError):
            self._socket.send(answer.head(problem.status, self.date_line, fields) + body)
        self._lingers = True
        return False

    async def _linger(self) -> None:
        """Say that nothing more comes, and read what is still on its way, within bounds."""
        left = self._limits.linger_bytes
        with trio.move_on_after(self._limits.linger_seconds), suppress(OSError):
            self._socket.shutdown(socket.SHUT_WR)
            while left > 0 and (data := await self.read()):
                left -= len(data)


class _Request:
    """One request in the hand of the app: the two calls of ASGI."""

    __slots__ = (
        "_chunks",
        "_connection",
        "_head",
        "_left",
        "_owes_continue",
        "_start",
        "_whole",
        "closes",
        "is_answered",
    )

    def __init__(self, connection: Connection, head: Head, whole: bytes | None) -> None:
        self._connection = connection
        self._head = head
        self._whole = whole
        self._left = 0 if whole is not None else head.length or 0
        self._chunks = Chunks() if head.length is None else None
        self._owes_continue = head.expects_continue
        self._start: MutableMapping[str, Any] = {}
        self.closes = False
        self.is_answered = False

    async def receive(self) -> MutableMapping[str, Any]:
        """The next piece of the body; when it is whole there is nothing more to hear from the peer."""
        if self._whole is not None:
            return {"type": "http.request", "body": self._whole, "more_body": False}
        if self._chunks is not None:
            return await self._receive_chunks(self._chunks)
        piece = self._connection.take_buffer(self._left)
        if self._left and not piece:
            if not await self._continue():
                return {"type": "http.disconnect"}
            data = await self._connection.read()
            if not data:
                return {"type": "http.disconnect"}
            piece = data[: self._left]
            self._connection.give_back(data[self._left :])
        self._left -= len(piece)
        self._owes_continue = False
        return {"type": "http.request", "body": piece, "more_body": self._left > 0}

    async def _receive_chunks(self, chunks: Chunks) -> MutableMapping[str, Any]:
        data = self._connection.take_buffer()
        try:
            while True:
                piece = chunks.take(data) if data else b""
                if chunks.is_done:
                    self._connection.give_back(chunks.rest)
                    chunks.rest = b""
                    self._chunks = None
                    return {"type": "http.request", "body": piece, "more_body": False}
                if piece:
                    return {"type": "http.request", "body": piece, "more_body": True}
                if not (await self._continue() and (data := await self._connection.read())):
                    return {"type": "http.disconnect"}
        except BadChunks:
            raise Problem("malformed-request", "the body is not in chunked coding", close=True) from None

    async def _continue(self) -> bool:
        if not self._owes_continue:
            return True
        self._owes_continue = False
        return await self._connection.write(answer.CONTINUE)

    async def send(self, message: MutableMapping[str, Any]) -> None:
        """Head and body of an answer leave together. Answers here are never sent in pieces."""
        if message["type"] == "http.response.start":
            self._start = message
            return
        if message.get("more_body", False):
            raise NotImplementedError("answers are sent whole")
        headers = self._start["headers"]
        self.closes = not self._head.keeps_alive or self._connection.is_stopping or not self._is_read_soon()
        if answer.CLOSE in headers:
            self.closes = True
        elif self.closes:
            headers = [*headers, answer.CLOSE]
        head = answer.head(self._start["status"], self._connection.date_line, headers)
        body = b"" if self._head.method == "HEAD" else message.get("body", b"")
        self.is_answered = True
        if not await self._connection.write(head + body):
            self.closes = True
        elif self._left and not self.closes:  # an answer that did not wait for the body: 401, 415
            self.closes = not await self._connection.read_away(self._left)

    def _is_read_soon(self) -> bool:
        """Whether what the app left of the body is so little that reading it is cheaper than a new connection."""
        return self._chunks is None and self._left <= _UNREAD_BYTES_MAX and not (self._left and self._owes_continue)


def _scope_of(head: Head, whole: bytes | None) -> MutableMapping[str, Any]:
    return {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": f"1.{head.minor}",
        "method": head.method,
        "scheme": "http",
        "path": head.path,
        "raw_path": head.raw_path,
        "query_string": head.query,
        "root_path": "",
        "headers": head.headers,
        "client": None,
        "server": None,
        WHOLE_BODY: whole,
    }
