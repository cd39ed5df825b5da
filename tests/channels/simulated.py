"""A push channel as the joint sender contract sees it: its simulator in this process, its sender, what answers mean."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import trio

from channels.simulator import certificates
from channels.simulator.faults import Faults
from channels.simulator.ledger import Ledger
from channels.simulator.providers import PushProvider
from channels.simulator.script import Script, check
from channels.simulator.serving import Provider, Server, listen
from engine.outcomes import Outcome
from engine.ports import Sender


class Steered(Server):
    """A simulator whose script a test changes while it runs."""

    def steer(self, **step: Any) -> None:
        """Behave like this from now on; with nothing said, as the mode says."""
        self._faults.script = check({"step": [{"at_seconds": 0, **step}]}) if step else Script()
        self._faults.move_to(0)
        for connection in list(self._connections):
            connection.enter_step(self._faults.step)


@dataclass
class Simulated:
    """A running simulator. `service` is its mind."""

    server: Steered
    service: Any
    url: str
    ca_file: Path
    ledger: Ledger
    path: Path

    def steer(self, **step: Any) -> None:
        self.server.steer(**step)

    def rows(self) -> list[dict[str, str]]:
        """All that it was asked so far, by column name."""
        self.ledger.flush()
        heading, *lines = self.path.read_text("utf-8").split("\n")[:-1]
        return [dict(zip(heading.lstrip("#").split("\t"), line.split("\t"), strict=True)) for line in lines]


def ledger_name(address: bytes) -> str:
    """How the simulator's ledger calls an address: the token, or the last part of a browser's endpoint."""
    return address.rpartition(b"/")[2].decode()


class Wanted(NamedTuple):
    """A scripted answer to `pushes` of a batch, and what it must come to; `sends` is how often each is sent for it."""

    status: int
    reason: str
    retry_after: int | str
    outcome: Outcome
    sends: int = 1
    pushes: int = 3


@dataclass(frozen=True)
class Kind:
    """One push channel.

    `token` names a device as the simulator's ledger does; `address` makes of it what the store keeps for a lane to this
    URL; `accepted` is the status of success.
    """

    name: str
    lane: str
    token: Callable[[int], bytes]
    service: Callable[[Ledger, str], Any]
    speaks_http1: bool
    sender: Callable[[str, Path], Sender]
    wanted: Callable[[], Sequence[Wanted]]
    gone: tuple[int, str]  # status and reason of an address that is no more
    address: Callable[[str, bytes], bytes] = lambda url, token: token
    accepted: str = "200"

    def tokens(self, count: int, start: int = 0) -> list[bytes]:
        return [self.token(start + index) for index in range(count)]

    def addresses(self, url: str, count: int, start: int = 0) -> list[bytes]:
        return [self.address(url, token) for token in self.tokens(count, start)]

    @asynccontextmanager
    async def simulated(self, folder: Path) -> AsyncIterator[Simulated]:
        path = folder / f"{self.name}.tsv"
        faults = Faults(Script(), 7)
        with Ledger(path) as ledger:
            listener = await listen("127.0.0.1", 0)
            port = listener.socket.getsockname()[1]
            url = f"https://localhost:{port}"
            service = self.service(ledger, url)
            protocols = ["h2", "http/1.1"] if self.speaks_http1 else ["h2"]
            context = certificates.server_context(certificates.files(folder), protocols)
            provider: Provider = PushProvider(service, faults, context, speaks_http1=self.speaks_http1)
            server = Steered(provider, ledger, faults)
            async with trio.open_nursery() as nursery:
                nursery.start_soon(server.run, listener, lambda: None)
                yield Simulated(server, service, url, folder / "ca.pem", ledger, path)
                nursery.cancel_scope.cancel()

    @asynccontextmanager
    async def sending(self, simulated: Simulated, sender: Sender | None = None) -> AsyncIterator[Sender]:
        async with trio.open_nursery() as nursery:
            sender = sender or self.sender(simulated.url, simulated.ca_file)
            await nursery.start(sender.run)
            yield sender
            nursery.cancel_scope.cancel()
