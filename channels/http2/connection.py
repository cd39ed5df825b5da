"""One connection to an origin: a socket, TLS, a session, and the two tasks that move bytes between them."""

from __future__ import annotations

import ipaddress
import socket
import ssl
from collections.abc import Callable
from typing import NamedTuple
from urllib.parse import urlsplit

import trio

from channels.http2 import frames
from channels.http2.frames import ErrorCode, ProtocolError
from channels.http2.jobs import Queue
from channels.http2.session import Limits, Session
from channels.http2.tls import TlsPump

CONNECT_SECONDS = 10.0
PING_AFTER_SECONDS = 15.0  # of silence while answers are due (sideshow/apns2 does the same)
IDLE_PING_AFTER_SECONDS = 3_600.0  # Apple: "after an hour of inactivity"
PONG_SECONDS = 10.0
FAREWELL_SECONDS = 2.0  # for the last bytes of a connection that is done
_GONE = (OSError, ssl.SSLError, trio.BrokenResourceError, trio.ClosedResourceError)
_PING = frames.frame(frames.PING, 0, 0, b"klokke..")


class Origin(NamedTuple):
    """Where requests go: `https://host:port`; with `is_public_only` never to loopback or a private network."""

    host: str
    port: int = 443
    is_public_only: bool = False

    @classmethod
    def parse(cls, url: str) -> Origin:
        """Read `https://host` or `https://host:port`; ValueError says what else is in there."""
        parts = urlsplit(url)
        if parts.scheme != "https" or not parts.hostname or parts.path.strip("/") or parts.query or parts.username:
            raise ValueError("base_url: must be https://host or https://host:port, without path or user")
        return cls(parts.hostname, parts.port or 443)

    @property
    def authority(self) -> bytes:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return (host if self.port == 443 else f"{host}:{self.port}").encode("ascii")


class ConnectFailed(Exception):
    """No connection could be made. `reason` is a word of a closed set; what the system said is the cause."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class Connection:
    """An open connection; `open_connection` makes one, `run` keeps it until it ends."""

    def __init__(self, tls: TlsPump, session: Session, queue: Queue, now: Callable[[], float]) -> None:
        self.session = session
        self.opened_at = now()
        self.on_event: Callable[[Connection], None] = lambda connection: None  # the pool listens after each read
        self._tls = tls
        self._queue = queue
        self._now = now
        self._bell = trio.lowlevel.ParkingLot()
        self._read_at = self.opened_at
        self._pinged_at: float | None = None
        self._finished_at: float | None = None
        self._asked_at: float | None = None
        self.round_trip_seconds: float | None = None  # of the first answer, before there is load

    def wake(self) -> None:
        """There may be something to send."""
        self._bell.unpark_all()

    async def run(self) -> str:
        """Move bytes until the connection ends, and say why; every request in flight is settled then."""
        reason = "closed"
        try:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._write, nursery.cancel_scope)
                reason = await self._read()
                nursery.cancel_scope.cancel()
        finally:
            self.session.is_draining = True
            with trio.CancelScope(shield=True):
                await self._tls.close()
            self.session.lost(reason)  # last, so that the pool knows the reason before any caller goes on
        return reason

    async def _read(self) -> str:
        session = self.session
        while True:
            try:
                data = await self._tls.receive()
            except _GONE:
                return "connection_broken"
            if not data:
                return "connection_closed"
            self._read_at = self._now()
            try:
                session.receive(data)
            except ProtocolError as error:
                await self._say_goodbye(error.code)
                return f"protocol_{error.code.name.lower()}"
            if self.round_trip_seconds is None and session.has_answered and self._asked_at is not None:
                self.round_trip_seconds = self._read_at - self._asked_at
            self.on_event(self)
            if session.is_finished:
                await self._say_goodbye(ErrorCode.NO_ERROR)
                return "drained"
            # Waking costs a task switch, so it is done only where there is something to do.
            if session.has_output or self._tls.has_output or (self._queue and session.room() > 0):
                self._bell.unpark_all()

    async def _write(self, scope: trio.CancelScope) -> None:
        session = self.session
        try:
            while True:
                if session.fill(self._queue) and self._asked_at is None:
                    self._asked_at = self._now()
                data = session.take_output()
                if data or self._tls.has_output:
                    await self._tls.send(data)
                elif session.is_finished:
                    scope.cancel()  # drained while nothing was coming in
                    return
                else:
                    await self._bell.park()
        except _GONE:
            session.is_draining = True  # others must take what waits
            await trio.sleep_forever()  # answers may still be in the socket: the reader ends the connection

    async def _say_goodbye(self, code: ErrorCode) -> None:
        self.session.close(code)
        with trio.move_on_after(1):
            try:
                await self._tls.send(self.session.take_output())
            except (*_GONE, trio.BusyResourceError):
                return  # the writer is busy or the peer is gone: closing says it too

    async def watch(self) -> None:
        """Look at the clock: deadlines, and PING where a living peer should have been heard."""
        now = self._now()
        self.session.expire(now)
        if self.session.is_finished:
            if self._finished_at is None:
                self._finished_at = now
            elif now - self._finished_at > FAREWELL_SECONDS:
                await self._tls.close()  # the writer hangs in a socket that the peer does not read
                return
        heard_at = self._read_at
        if self._pinged_at is not None and heard_at >= self._pinged_at:
            self._pinged_at = None
        if self._pinged_at is not None and now - self._pinged_at > PONG_SECONDS:
            await self._tls.close()  # the reader wakes up and settles everything
            return
        patience = PING_AFTER_SECONDS if self.session.in_flight else IDLE_PING_AFTER_SECONDS
        if self._pinged_at is None and now - heard_at > patience:
            self._pinged_at = now
            self.session.sending.output.append(_PING)
        if self.session.has_output or self.session.is_finished:
            self.wake()


async def open_connection(
    origin: Origin, context: ssl.SSLContext, limits: Limits, queue: Queue, now: Callable[[], float]
) -> Connection:
    """Resolve the name anew, connect, shake hands and wait for the peer's SETTINGS; raises ConnectFailed."""
    stream: trio.SocketStream | None = None
    try:
        with trio.fail_after(CONNECT_SECONDS):
            stream = await trio.open_tcp_stream(origin.host, origin.port)
            # The address that we are connected to, not one that was looked up before: a name can change its mind.
            if origin.is_public_only and not is_public(stream.socket.getpeername()[0]):
                raise ConnectFailed("private_address")
            _keep_alive(stream)
            tls = TlsPump(stream, context, origin.host)
            await tls.handshake()
            if not tls.speaks_http2:
                raise ConnectFailed("no_http2")
            session = Session(origin.authority, limits)
            session.open()
            await tls.send(session.take_output())
            while not session.is_ready:
                data = await tls.receive()
                if not data:
                    raise ConnectFailed("connection_closed")
                session.receive(data)
            return Connection(tls, session, queue, now)
    except BaseException as error:
        if stream is not None:
            with trio.CancelScope(shield=True):
                await trio.aclose_forcefully(stream)
        reason = _why(error)
        if reason is None:
            raise
        raise ConnectFailed(reason) from error


_IPV4_INSIDE = frozenset(int(ipaddress.IPv6Address(prefix)) >> 32 for prefix in ("::", "::ffff:0:0", "64:ff9b::"))
"""Mapped, compatible (both RFC 4291) and NAT64 (RFC 6052) addresses: the last 32 bits are an IPv4 address."""


_NEVER_PUBLIC = tuple(
    ipaddress.ip_network(network)
    for network in ("64:ff9b:1::/48", "fec0::/10", "::ffff:0:0:0/96", "192.0.0.0/24", "192.88.99.0/24")
)
"""What `is_global` of some Python versions lets through: local NAT64, site-local, SIIT, protocol assignments, 6to4."""


def is_public(address: str) -> bool:
    """Whether an IP address is one of the open internet; an IPv4 address in IPv6 clothes is judged by itself."""
    ip = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(ip, ipaddress.IPv6Address):
        if int(ip) >> 32 in _IPV4_INSIDE:
            return is_public(str(ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF)))
        if ip.sixtofour is not None or ip.teredo is not None:
            return False  # tunnels of another age: no push service is behind one
    if any(ip in network for network in _NEVER_PUBLIC if network.version == ip.version):
        return False
    return bool(ip.is_global and not ip.is_multicast)


def _why(error: BaseException) -> str | None:
    if isinstance(error, ConnectFailed):
        return error.reason
    if isinstance(error, ssl.SSLCertVerificationError):
        return "certificate_refused"
    for kind, reason in _REASONS:
        if isinstance(error, kind):
            return reason
    return None


_REASONS: tuple[tuple[type[BaseException], str], ...] = (
    (ssl.SSLError, "tls_failed"),
    (ProtocolError, "protocol_error"),
    (trio.TooSlowError, "connect_timeout"),
    (socket.gaierror, "name_not_found"),
    (OSError, "connect_refused"),
    (trio.BrokenResourceError, "connection_broken"),
)


def _keep_alive(stream: trio.SocketStream) -> None:
    # A night of silence must not end in a connection that a firewall has forgotten: the kernel asks, not HTTP/2.
    stream.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, seconds in (("TCP_KEEPIDLE", 60), ("TCP_KEEPINTVL", 10), ("TCP_KEEPCNT", 3)):
        option = getattr(socket, name, None)  # macOS spells the first one otherwise
        if option is not None:
            stream.setsockopt(socket.IPPROTO_TCP, option, seconds)
