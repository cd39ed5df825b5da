"""Runs one simulated provider: listens, moves bytes between sockets and the pure parts, ends cleanly on a signal."""

from __future__ import annotations

import json
import math
import signal
import ssl
import sys
import time
from collections.abc import Callable
from typing import Protocol

import trio

from channels.simulator.faults import Faults
from channels.simulator.ledger import FLUSH_SECONDS, Ledger
from channels.simulator.pipe import Pipe
from channels.simulator.script import Step

_HANDSHAKE_SECONDS_MAX = 10.0
_LAST_WORDS_SECONDS_MAX = 1.0
_BACKLOG = 1024


class Talker(Protocol):
    """The pure side of one connection: `Http2Connection`, `Http1Connection`, `SmtpSession`."""

    is_done: bool
    wants_tls: bool
    """The client was just told to begin TLS (SMTP's STARTTLS)."""

    def receive(self, data: bytes, now: float) -> None: ...

    def take_output(self) -> bytes: ...

    def next_due(self) -> float | None: ...

    def release(self, now: float) -> None: ...

    def enter_step(self, step: Step | None) -> None: ...


class Provider(Protocol):
    """How a kind of provider takes a new connection."""

    async def greet(self, pipe: Pipe) -> tuple[Talker, bytes]:
        """Shake hands; gives the connection's mind and what was read already."""
        ...

    async def upgrade(self, pipe: Pipe) -> None:
        """Start TLS, since the talker has just agreed to it."""
        ...

    def begin(self, unix_seconds: float) -> None: ...


class Server:
    """One listening simulator."""

    def __init__(self, provider: Provider, ledger: Ledger, faults: Faults) -> None:
        self._provider, self._ledger, self._faults = provider, ledger, faults
        self._connections: dict[_Connection, None] = {}

    async def run(self, listener: trio.SocketListener, announce: Callable[[], None]) -> None:
        """Serve until SIGTERM or SIGINT; the ledger is complete when this returns."""
        with trio.open_signal_receiver(signal.SIGTERM, signal.SIGINT) as signals:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._write_ledger)
                nursery.start_soon(self._follow_script, trio.current_time())
                nursery.start_soon(self._accept, listener, nursery)
                announce()
                async for _ in signals:
                    nursery.cancel_scope.cancel()
                    break
        self._ledger.flush()

    async def _accept(self, listener: trio.SocketListener, nursery: trio.Nursery) -> None:
        async def serve(stream: trio.SocketStream) -> None:
            if self._faults.step is not None and self._faults.step.down:
                await trio.aclose_forcefully(stream)
                return
            connection = _Connection(Pipe(stream), self._provider, self._faults)
            self._connections[connection] = None
            try:
                await connection.run()
            finally:
                del self._connections[connection]

        await trio.serve_listeners(serve, [listener], handler_nursery=nursery)

    async def _write_ledger(self) -> None:
        while True:
            await trio.sleep(FLUSH_SECONDS)
            self._ledger.flush()

    async def _follow_script(self, started: float) -> None:
        """Tell every connection when the script's step changes."""
        for moment in self._faults.script.changes():
            await trio.sleep_until(started + moment)
            if not self._faults.move_to(moment):
                continue
            for connection in list(self._connections):
                connection.enter_step(self._faults.step)


class _Connection:
    """One client: a reading task, and one that sends what is due later."""

    def __init__(self, pipe: Pipe, provider: Provider, faults: Faults) -> None:
        self._pipe, self._provider, self._faults = pipe, provider, faults
        self._talker: Talker | None = None
        self._scope = trio.CancelScope()
        self._news = trio.Event()
        self._goes_on = trio.Event()  # set when a step that stalled us is over
        self._goes_on.set()

    async def run(self) -> None:
        with self._scope:
            try:
                await self._talk()
            except (trio.BrokenResourceError, trio.ClosedResourceError, ssl.SSLError):
                pass  # the client is gone, or never spoke our language: nothing that a simulator could mend
            finally:
                with trio.CancelScope(shield=True):
                    await self._pipe.close()

    def enter_step(self, step: Step | None) -> None:
        if step is not None and step.down:
            self._scope.cancel()
            return
        self._stall(step)
        if self._talker is not None:
            self._talker.enter_step(step)
            self._wake()

    def _stall(self, step: Step | None) -> None:
        if step is None or not step.stall:
            self._goes_on.set()
        elif self._goes_on.is_set():
            self._goes_on = trio.Event()

    async def _talk(self) -> None:
        with trio.move_on_after(_HANDSHAKE_SECONDS_MAX) as shaking:
            talker, data = await self._provider.greet(self._pipe)
        if shaking.cancelled_caught:
            return
        self._talker = talker
        self._stall(self._faults.step)
        talker.enter_step(self._faults.step)
        try:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._send_later, talker)
                await self._exchange(talker, data)
                with trio.move_on_after(_LAST_WORDS_SECONDS_MAX):
                    await self._pipe.sent()
                nursery.cancel_scope.cancel()
        except* (trio.BrokenResourceError, trio.ClosedResourceError, ssl.SSLError):
            pass

    async def _exchange(self, talker: Talker, data: bytes) -> None:
        """Read, think, send, until one side has had enough. Hot: one turn handles some hundred requests."""
        while True:
            now = trio.current_time()
            self._provider.begin(time.time())
            talker.receive(data, now)
            if output := talker.take_output():
                await self._pipe.send(output)
            if talker.is_done:
                return
            if talker.next_due() is not None:
                self._wake()
            if talker.wants_tls:
                talker.wants_tls = False
                await self._provider.upgrade(self._pipe)
            data = await self._pipe.read()
            if not self._goes_on.is_set():  # what came is thought about when the script lets us
                await self._goes_on.wait()
            if not data:
                return

    async def _send_later(self, talker: Talker) -> None:
        """Send what the script's latency held back, and what a new step has to say."""
        while True:
            due = talker.next_due()
            with trio.move_on_at(math.inf if due is None else due):
                await self._news.wait()
            self._news = trio.Event()
            talker.release(trio.current_time())
            if output := talker.take_output():
                await self._pipe.send(output)
            if talker.is_done:
                await self._pipe.sent()  # a record that is cancelled half-way would break the goodbye behind it
                self._scope.cancel()

    def _wake(self) -> None:
        self._news.set()


async def listen(host: str, port: int) -> trio.SocketListener:
    """Bind to one loopback address."""
    listeners = await trio.open_tcp_listeners(port, host=host, backlog=_BACKLOG)
    return listeners[0]


def announce_on_stdout(provider: str, url: str) -> None:
    """Print the one line that says where the simulator listens."""
    print(json.dumps({"provider": provider, "url": url}), flush=True, file=sys.stdout)
