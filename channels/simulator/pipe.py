"""A byte pipe over a socket, plain or TLS, that hands over everything one read brought.

`trio.SSLStream` hands back one TLS record a read: with small records that is eight times slower. So TLS is driven
over `ssl.MemoryBIO` here: one `recv`, then all its records. And the socket is a plain non-blocking one: `SocketStream`
goes round trio's loop for every `recv` and `send` that could be done at once, four rounds a letter; this makes one.
"""

from __future__ import annotations

import socket
import ssl
from contextlib import suppress

import trio

_RECORD_BYTES = 65_536
_arrived = memoryview(bytearray(256 * 1024))
"""Where every `recv` puts its bytes, to be copied before anyone else may run."""


class Pipe:
    """One connection. `read` gives b"" at the end; a broken connection raises `trio.BrokenResourceError`."""

    def __init__(self, stream: trio.SocketStream) -> None:
        self._socket = socket.socket(fileno=stream.socket.detach())
        self._socket.setblocking(False)
        self._incoming = ssl.MemoryBIO()
        self._outgoing = ssl.MemoryBIO()
        self._tls: ssl.SSLObject | None = None
        self._sending = trio.Lock()

    async def start_tls(self, context: ssl.SSLContext) -> None:
        """Shake hands as server.

        Raises:
            ssl.SSLError: the client speaks no TLS, or does not trust us.
        """
        self._tls = context.wrap_bio(self._incoming, self._outgoing, server_side=True)
        while True:
            try:
                self._tls.do_handshake()
                await self._flush()
                return
            except ssl.SSLWantReadError:
                await self._flush()
            except ssl.SSLError:
                await self._flush()  # the alert says why
                raise
            data = await self._receive()
            if not data:
                raise trio.BrokenResourceError("the client left during the handshake")
            self._incoming.write(data)

    @property
    def alpn(self) -> str | None:
        return self._tls.selected_alpn_protocol() if self._tls else None

    async def read(self) -> bytes:
        """Everything that has arrived; waits for at least one byte. Empty at the end."""
        if self._tls is None:
            return bytes(await self._receive())
        if data := self._drain():  # may have come with the handshake
            return data
        while True:
            raw = await self._receive()
            if not raw:
                return b""
            self._incoming.write(raw)
            data = self._drain()
            if self._outgoing.pending:
                await self._flush()
            if data or self._is_closed:
                return data

    async def send(self, data: bytes) -> None:
        """Send bytes; waits while the client does not read."""
        if self._tls is None:
            await self._send_all(data)
        else:
            self._tls.write(data)
            await self._flush()

    async def sent(self) -> None:
        """Wait until what another task is sending has left."""
        async with self._sending:
            return

    async def close(self) -> None:
        """Say goodbye if TLS allows it without waiting, and close."""
        if self._tls is not None:
            with suppress(ssl.SSLError):
                self._tls.unwrap()  # raises at once: the other side's goodbye is not waited for
            with trio.move_on_after(1), suppress(trio.BrokenResourceError, trio.ClosedResourceError):
                await self._flush()
        trio.lowlevel.notify_closing(self._socket)
        self._socket.close()

    _is_closed = False

    def _drain(self) -> bytes:
        assert self._tls is not None
        records: list[bytes] = []
        try:
            while record := self._tls.read(_RECORD_BYTES):
                records.append(record)
            self._is_closed = True
        except ssl.SSLWantReadError:
            pass
        except ssl.SSLZeroReturnError:
            self._is_closed = True
        except ssl.SSLError as error:
            raise trio.BrokenResourceError("TLS is broken") from error
        return records[0] if len(records) == 1 else b"".join(records)

    async def _flush(self) -> None:
        """Send what TLS has ready."""
        if self._outgoing.pending:
            await self._send_all(self._outgoing.read())

    async def _receive(self) -> memoryview:
        """Wait for bytes; what is given holds until the next wait."""
        while True:
            await trio.lowlevel.wait_readable(self._socket)
            try:
                return _arrived[: self._socket.recv_into(_arrived)]
            except BlockingIOError:
                continue
            except OSError as error:
                raise trio.BrokenResourceError("the connection broke") from error

    async def _send_all(self, data: bytes) -> None:
        """Send now what goes, and the rest when it can; one sender at a time, so that bytes keep their order."""
        rest = memoryview(data)
        if not self._sending.locked():
            rest = self._send_some(rest)
        if rest:
            async with self._sending:  # taken before anyone else runs, and then by turns
                while rest:
                    await trio.lowlevel.wait_writable(self._socket)
                    rest = self._send_some(rest)

    def _send_some(self, data: memoryview) -> memoryview:
        try:
            return data[self._socket.send(data) :]
        except BlockingIOError:
            return data
        except OSError as error:
            raise trio.BrokenResourceError("the connection broke") from error
