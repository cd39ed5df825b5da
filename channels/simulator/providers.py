"""How each kind of simulated provider takes a new connection: TLS, then the protocol that the client speaks."""

from __future__ import annotations

import ssl
from collections.abc import Callable

import trio

from channels.simulator.faults import Faults
from channels.simulator.frames import PREFACE
from channels.simulator.http1 import Http1Connection
from channels.simulator.http2 import Http2Connection
from channels.simulator.pipe import Pipe
from channels.simulator.service import Service
from channels.simulator.serving import Talker


class PushProvider:
    """HTTPS: HTTP/2 for those who say so by ALPN or by their preface, else HTTP/1.1 where the provider speaks it."""

    def __init__(self, service: Service, faults: Faults, context: ssl.SSLContext, *, speaks_http1: bool) -> None:
        self._service, self._faults, self._context = service, faults, context
        self._speaks_http1 = speaks_http1

    async def greet(self, pipe: Pipe) -> tuple[Talker, bytes]:
        await pipe.start_tls(self._context)
        if pipe.alpn == "h2" or not self._speaks_http1:
            return Http2Connection(self._service, self._faults), b""
        data = b""
        while PREFACE.startswith(data[: len(PREFACE)]) and len(data) < len(PREFACE):
            more = await pipe.read()
            if not more:
                raise trio.BrokenResourceError("the client left before it said anything")
            data += more
        kind = Http2Connection if data.startswith(PREFACE) else Http1Connection
        return kind(self._service, self._faults), data

    async def upgrade(self, pipe: Pipe) -> None:
        raise AssertionError("HTTPS begins with TLS")

    def begin(self, unix_seconds: float) -> None:
        self._service.begin(unix_seconds)


class MailProvider:
    """SMTP: plain at first; STARTTLS where a certificate was given."""

    def __init__(self, make: Callable[[], Talker], begin: Callable[[float], None], context: ssl.SSLContext | None):
        self._make, self.begin, self._context = make, begin, context

    async def greet(self, pipe: Pipe) -> tuple[Talker, bytes]:
        return self._make(), b""

    async def upgrade(self, pipe: Pipe) -> None:
        assert self._context is not None, "STARTTLS is offered only with a certificate"
        await pipe.start_tls(self._context)
