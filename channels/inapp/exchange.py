"""One HTTP/1.1 connection: requests in, answers out, each step under a deadline (h11 keeps the grammar)."""

from __future__ import annotations

import socket
from collections.abc import Iterable
from contextlib import suppress
from http import HTTPStatus
from typing import NamedTuple

import h11
import trio

from channels.inapp.problems import Problem, unreadable
from channels.inapp.settings import GatewaySettings

_RECEIVE_BYTES = 16_384
_LINGER_SECONDS = 1.0
_LINGER_READS = 1_024  # 16 MiB: who sends 5 MB where 64 KiB are taken shall still read why not
_CONSTANT = ((b"Cache-Control", b"no-store"), (b"X-Content-Type-Options", b"nosniff"))


class Request(NamedTuple):
    method: str
    path: str
    query: str
    headers: dict[str, str]  # names in lower case; of a repeated header the last one


class Exchange:
    """The server's side of one connection."""

    def __init__(self, stream: trio.SocketStream, settings: GatewaySettings) -> None:
        self._stream = stream
        self._settings = settings
        self._http = h11.Connection(h11.SERVER, max_incomplete_event_size=settings.header_bytes_max)
        self._wants_body = True
        self._announced_bytes = 0

    @property
    def can_answer(self) -> bool:
        return self._http.our_state in (h11.IDLE, h11.SEND_RESPONSE)

    async def next_request(self) -> Request | None:
        """Read the head of the next request; None when the other side is gone or has nothing to ask.

        Raises:
            Problem: 400, 408 or 431; answer it and close.
        """
        if self._http.our_state is h11.DONE and self._http.their_state is h11.DONE:
            self._http.start_next_cycle()
        head = await self._wait_for_head()
        if not isinstance(head, h11.Request):
            return None
        path, _, query = _origin_form(head.target.decode("ascii", "replace")).partition("?")
        headers = {name.decode("ascii"): value.decode("latin-1") for name, value in head.headers}
        self._wants_body = head.method != b"HEAD"  # RFC 9110, 9.3.2: HEAD is answered with the head alone
        if "transfer-encoding" in headers and "content-length" in headers:
            # Two lengths: a proxy before us may believe the other one (RFC 9112, 6.1; request smuggling)
            raise Problem("malformed-request", "Send Content-Length or Transfer-Encoding, not both.")
        self._announced_bytes = int(headers.get("content-length", 0))  # h11 lets nothing but digits through
        return Request(head.method.decode("ascii"), path, query, headers)

    async def _wait_for_head(self) -> object:
        # The first byte may take its time on a kept connection; from then on the whole head has one deadline, so that
        # a byte now and then (slowloris) gains nothing.
        begun = bool(self._http.trailing_data[0])
        with trio.move_on_after(self._settings.header_seconds if begun else self._settings.idle_seconds) as scope:
            while True:
                event = self._event()
                if event is not h11.NEED_DATA:
                    return event
                await self._receive()
                if not begun:
                    begun = True
                    scope.deadline = trio.current_time() + self._settings.header_seconds
        if not begun:
            return None
        raise Problem("too-slow", "The request's head did not arrive in time.")

    async def body(self) -> bytes:
        """Read the request's body.

        Raises:
            Problem: 408 or 413; answer it and close.
        """
        parts: list[bytes] = []
        size = 0
        if self._announced_bytes > self._settings.body_bytes_max:
            raise self._too_large()  # before the other side sends it all, or waits for 100 Continue
        with trio.move_on_after(self._settings.body_seconds):
            if self._http.they_are_waiting_for_100_continue:
                await self._send(h11.InformationalResponse(status_code=100, headers=[]))
            while True:
                event = self._event()
                if event is h11.NEED_DATA:
                    await self._receive()
                elif isinstance(event, h11.Data):
                    size += len(event.data)
                    parts.append(bytes(event.data))
                    if size > self._settings.body_bytes_max:
                        raise self._too_large()
                else:
                    return b"".join(parts)
        raise Problem("too-slow", "The request's body did not arrive in time.")

    def _too_large(self) -> Problem:
        return Problem("body-too-large", f"Send at most {self._settings.body_bytes_max} bytes.")

    def _event(self) -> object:
        try:
            return self._http.next_event()
        except h11.RemoteProtocolError as error:
            raise unreadable(error.error_status_hint) from error

    async def _receive(self) -> None:
        received = await self._stream.receive_some(_RECEIVE_BYTES)
        self._http.receive_data(received)

    async def answer(
        self,
        status: int,
        body: bytes,
        content_type: str,
        headers: Iterable[tuple[str, str]] = (),
        *,
        close: bool = False,
    ) -> bool:
        """Send a whole answer; True when the connection can be used again."""
        self._skip_what_is_here()
        fields = [
            *_CONSTANT,
            (b"Content-Type", content_type.encode()),
            (b"Content-Length", str(len(body)).encode()),
            *((name.encode(), value.encode()) for name, value in headers),
        ]
        # A request whose body was left unread cannot be followed by another
        close = close or self._http.their_state is not h11.DONE
        if close:
            fields.append((b"Connection", b"close"))
        await self._send(
            h11.Response(status_code=status, headers=fields, reason=HTTPStatus(status).phrase.encode()),
            *([h11.Data(data=body)] if self._wants_body else []),
            h11.EndOfMessage(),
        )
        return not close and self._http.our_state is h11.DONE

    def _skip_what_is_here(self) -> None:
        """Pass over a body that nobody wants, as far as it has arrived; mostly there is none."""
        with suppress(h11.RemoteProtocolError):
            while self._http.their_state is h11.SEND_BODY and self._http.next_event() is not h11.NEED_DATA:
                pass

    async def linger(self) -> None:
        """Close in two steps: a socket closed with unread bytes resets the connection, and the answer is lost."""
        with trio.move_on_after(_LINGER_SECONDS), suppress(trio.BrokenResourceError, trio.ClosedResourceError):
            await self._stream.send_eof()
            for _ in range(_LINGER_READS):
                if not await self._stream.receive_some(_RECEIVE_BYTES):
                    return

    async def refuse(self, problem: Problem, *, close: bool) -> bool:
        """Answer with a problem document."""
        return await self.answer(
            problem.status, problem.document(), "application/problem+json", problem.headers.items(), close=close
        )

    async def begin_stream(self) -> None:
        """Send the head of a Server-Sent Events answer, which ends when the connection does."""
        fields = [
            *_CONSTANT,
            (b"Content-Type", b"text/event-stream; charset=utf-8"),
            (b"X-Accel-Buffering", b"no"),
            (b"Connection", b"close"),
        ]
        # h11 notes that we are answering, but its bytes are not sent: it would announce chunks, and frames are written
        # as they are, by whoever has the socket then. The connection's end is the body's end (RFC 9112, 6.3).
        self._http.send(h11.Response(status_code=200, reason=b"OK", headers=fields))
        await self.send_raw(b"HTTP/1.1 200 OK\r\n%b\r\n" % b"".join(b"%b: %b\r\n" % field for field in fields))

    async def send_raw(self, data: bytes) -> None:
        """Send bytes of a stream, waiting for the reader.

        Raises:
            trio.TooSlowError: the reader did not take them in time.
        """
        with trio.fail_after(self._settings.write_seconds):
            await self._stream.send_all(data)

    def release(self) -> socket.socket:
        """Give the socket away, non-blocking; this object is of no use afterwards."""
        released = socket.socket(fileno=self._stream.socket.detach())
        released.setblocking(False)
        return released

    async def _send(self, *events: h11.Event) -> None:
        await self.send_raw(b"".join(self._http.send(event) or b"" for event in events))


def _origin_form(target: str) -> str:
    """Path and query of a target that may spell out scheme and host, which a server must take (RFC 9112, 3.2.2)."""
    if not target.lower().startswith(("http://", "https://")):
        return target
    _, slash, path = target.partition("://")[2].partition("/")
    return slash + path
