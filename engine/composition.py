"""Joins the concrete parts of one process: the only file that knows every room (the commands only start processes).

The channels' ways out are made by `engine.ways_out`.
"""

from __future__ import annotations

import gc
import os
import random
import signal
import socket
import time
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path

import structlog
import trio

from channels.inapp.gateway import Gateway
from channels.inapp.settings import GatewaySettings
from engine.config_rules import split_address
from engine.dispatch import Dispatcher, DispatchSettings, Duty
from engine.drain import Drain
from engine.fanout import FanOut
from engine.inbox_writes import InboxWrites
from engine.intake.app import make_app
from engine.intake.serving import serve
from engine.personal import PersonalReader
from engine.records.errors import StoreUnavailable
from engine.rules import tickets
from engine.settings import URGENT, Config
from engine.supervisor import wait_for_orphaning
from engine.upkeep import Upkeep
from engine.ways_out import WaysOut, badge_lanes, device_rules, limits
from metrics.exposition import new_registry, serving
from metrics.observer import PrometheusObserver
from queueing import embedded
from queueing.directory import StoreDirectory
from queueing.directory.imports import Imports
from queueing.inbox.store import StoreInbox
from queueing.lanes import StoreLanes
from queueing.link import Link
from queueing.work import StoreWork

log = structlog.get_logger()

QUEUE_FIGURES_SECONDS = 2.0
MEND_SECONDS = 30.0
GC_ALLOCATIONS = 50_000
BULK_NICENESS = 10

WAITING_ROLES = frozenset({"fanout", "urgent", "dispatch"})
"""Who waits for the store's bell. An intake rings it for every group of events: it need not hear it too."""


def wall_ms() -> int:
    """The wall clock in milliseconds."""
    return time.time_ns() // 1_000_000


class Parts:
    """The concrete parts of one process, made once from the configuration."""

    def __init__(self, folder: Path, config: Config, place: int) -> None:
        self.folder = folder
        self.config = config
        self.roles = config.processes.layout[place].split("+")
        self.worker_name = f"{socket.gethostname()}-{os.getpid()}-{place}"
        self.link = Link(config.store.url or embedded.url(folder / config.store.folder))
        self.work = StoreWork(self.link)
        self.directory = StoreDirectory(self.link, device_rules(config))
        self.lanes = StoreLanes(self.link, limits(config))
        self.inbox = StoreInbox(self.link)
        self.inbox_writes = InboxWrites(self.inbox)
        self.ways_out = WaysOut(folder, self.inbox_writes)
        self.registry = new_registry()
        self.observer = PrometheusObserver(self.registry)
        self.drain = Drain(config.dispatch.drain_seconds)

    def secret(self, name: str) -> bytes:
        """Read the content of a file that the configuration names."""
        return (self.folder / name).read_bytes()


async def run_process(folder: Path, config: Config, place: int) -> None:
    """Run the roles of one process until SIGTERM has drained them."""
    parts = Parts(folder, config, place)
    _collect_seldom()
    shells: dict[str, Callable[[Parts], Awaitable[None]]] = {
        "intake": run_intake,
        "gateway": run_gateway,
        "fanout": run_fanout,
        "upkeep": run_upkeep,
        "dispatch": run_dispatch,
        URGENT: partial(run_dispatch, is_urgent=True),
    }
    with serving(parts.registry, config.metrics.host, config.metrics.first_port + place):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(_drain_on_signal, parts.drain)
            nursery.start_soon(_drain_when_orphaned, parts.drain)
            if WAITING_ROLES.intersection(parts.roles):
                nursery.start_soon(parts.work.run)
            async with trio.open_nursery() as roles:
                for role in parts.roles:
                    roles.start_soon(shells[role], parts)
            nursery.cancel_scope.cancel()
    parts.link.close()


def _collect_seldom() -> None:
    """Collect garbage seldom: batches make many short-lived objects and hardly a cycle.

    Measured on an import of 400,000 lines: 65 us of CPU a line instead of 85 with the default of every 700 allocations.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(GC_ALLOCATIONS, 20, 100)


async def _drain_on_signal(drain: Drain) -> None:
    with trio.open_signal_receiver(signal.SIGTERM, signal.SIGINT) as signals:
        async for _ in signals:
            drain.begin()


async def _drain_when_orphaned(drain: Drain) -> None:
    await wait_for_orphaning()
    drain.begin()


async def run_intake(parts: Parts) -> None:
    """Serve the HTTP API."""
    config = parts.config
    secret = parts.secret(config.gateway.ticket_key_file)
    imports = Imports(parts.link, parts.directory)
    intake = make_app(
        work=parts.work,
        directory=parts.directory,
        services=config.service,
        register_device=parts.directory.register,
        mint_ticket=partial(tickets.mint, secret),
        withdraw=parts.inbox.withdraw,
        take_chunk=imports.take_chunk,
        next_line=imports.next_line,
        find_admitted=parts.work.find_admitted,
        observer=parts.observer,
        now_ms=wall_ms,
    )
    host, port = split_address(config.intake.listen)
    listeners = await trio.open_tcp_listeners(port, host=host)
    await serve(intake, listeners, parts.drain.wait)


async def run_gateway(parts: Parts) -> None:
    """Serve people's inboxes; open streams end with the drain and resume elsewhere."""
    host, port = split_address(parts.config.gateway.listen)
    secret = parts.secret(parts.config.gateway.ticket_key_file)
    gateway = Gateway(
        parts.inbox,
        parts.work.events,
        parts.directory.families,
        secret,
        parts.directory.lives,
        GatewaySettings(host=host, port=port),
        wall_ms,
    )
    async with trio.open_nursery() as nursery:
        nursery.start_soon(gateway.run)
        await parts.drain.wait()
        nursery.cancel_scope.cancel()


async def run_fanout(parts: Parts) -> None:
    """Turn admitted events into slices."""
    await FanOut(parts.work, parts.directory, parts.config.lanes, parts.observer, wall_ms).run(parts.drain)


async def run_upkeep(parts: Parts) -> None:
    """Move due work, take leases back, expire and sweep; keep the queue figures of /metrics."""
    async with trio.open_nursery() as nursery:
        nursery.start_soon(_queue_figures, parts)
        nursery.start_soon(_mend_directory, parts)
        await Upkeep(parts.work, parts.observer, wall_ms).run(parts.drain)
        nursery.cancel_scope.cancel()


async def run_dispatch(parts: Parts, *, is_urgent: bool = False) -> None:
    """Send what waits; where a process is there for urgent work alone, the others leave that to it."""
    dispatch, layout = parts.config.dispatch, parts.config.processes.layout
    is_split = any(URGENT in roles.split("+") for roles in layout)
    if is_split and parts.roles == ["dispatch"]:
        # On a full machine the store, the fan-out and the urgent dispatcher come first; bulk takes all that is left.
        os.nice(BULK_NICENESS)
    dispatcher = Dispatcher(
        parts.work,
        parts.lanes,
        parts.directory,
        parts.ways_out.senders(parts.config.lanes),
        parts.observer,
        parts.worker_name,
        wall_ms,
        random.random,
        DispatchSettings(lease_seconds=dispatch.lease_seconds, answer_seconds=dispatch.answer_seconds),
        personal=PersonalReader(parts.directory, parts.inbox, badge_lanes(parts.config)),
        duty=Duty.URGENT if is_urgent else Duty.HELPING if is_split else Duty.ALL,
    )
    async with trio.open_nursery() as nursery:
        nursery.start_soon(parts.inbox_writes.run)
        await dispatcher.run(parts.drain)
        nursery.cancel_scope.cancel()


async def _mend_directory(parts: Parts) -> None:
    """Finish what a process left half-written in the directory when it was killed."""
    while True:
        try:
            if mended := await parts.directory.repair():
                log.info("mended the directory", blocks=mended)
        except StoreUnavailable:
            log.warning("the store does not answer")
        await trio.sleep(MEND_SECONDS)


async def _queue_figures(parts: Parts) -> None:
    while True:
        try:
            depths = await parts.work.depths()
            parts.observer.queues(depths, parts.config.lanes, await parts.lanes.parked(), wall_ms())
        except StoreUnavailable:
            log.warning("the store does not answer")
        await trio.sleep(QUEUE_FIGURES_SECONDS)


async def resume_lane(folder: Path, config: Config, lane: str) -> str | None:
    """Resume a lane of a running engine; says why it was parked, None when it was not."""
    lanes = StoreLanes(Link(config.store.url or embedded.url(folder / config.store.folder)), limits(config))
    reason = (await lanes.parked()).get(lane)
    await lanes.resume(lane)
    return reason
