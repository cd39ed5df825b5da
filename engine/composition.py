"""Joins the concrete parts of one process: the only file that knows every room (the commands only start processes)."""

from __future__ import annotations

import gc
import json
import os
import random
import signal
import socket
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping
from functools import partial
from pathlib import Path

import structlog
import trio

from channels.apns.client import ApnsSender, ApnsSettings
from channels.email.client import EmailSender
from channels.email.settings import EmailSettings
from channels.fcm.client import FcmSender, FcmSettings
from channels.inapp.client import InappSender
from channels.inapp.gateway import Gateway
from channels.inapp.settings import GatewaySettings
from channels.shared_tokens import SharedTokens
from channels.webpush.client import WebPushSender, WebPushSettings
from engine.config import URGENT, ApnsLane, Config, EmailLane, FcmLane, Lane, WebPushLane
from engine.dispatch import Dispatcher, DispatchSettings, Duty
from engine.drain import Drain
from engine.fanout import FanOut
from engine.inbox_writes import InboxWrites
from engine.intake.app import make_app
from engine.intake.serving import serve
from engine.personal import PersonalReader
from engine.ports import Sender
from engine.records.errors import StoreUnavailable
from engine.rules import tickets
from engine.rules.devices import DeviceRules, PushService
from engine.rules.quota import usual_burst, within_quota
from engine.supervisor import wait_for_orphaning
from engine.upkeep import Upkeep
from metrics.exposition import new_registry, serving
from metrics.observer import PrometheusObserver
from queueing import embedded
from queueing.directory import StoreDirectory
from queueing.directory.imports import Imports
from queueing.inbox.store import StoreInbox
from queueing.lanes import LaneLimit, StoreLanes
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
        self.directory = StoreDirectory(self.link, DeviceRules(push_services(config)))
        self.lanes = StoreLanes(self.link, limits(config))
        self.inbox = StoreInbox(self.link)
        self.inbox_writes = InboxWrites(self.inbox)
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
    host, port = address(config.intake.listen)
    listeners = await trio.open_tcp_listeners(port, host=host)
    await serve(intake, listeners, parts.drain.wait)


async def run_gateway(parts: Parts) -> None:
    """Serve people's inboxes; open streams end with the drain and resume elsewhere."""
    host, port = address(parts.config.gateway.listen)
    secret = parts.secret(parts.config.gateway.ticket_key_file)
    gateway = Gateway(
        parts.inbox,
        parts.work.events,
        parts.directory.families,
        secret,
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
        senders(parts),
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


# --- checks before the start -------------------------------------------------------------------------------------


def start_faults(folder: Path, config: Config) -> list[str]:
    """What would keep the processes from starting, all of it: secrets that are none, ports that are taken."""
    return [*_secret_faults(Parts(folder, config, 0)), *_port_faults(config)]


def _secret_faults(parts: Parts) -> Iterator[str]:
    if len(parts.secret(parts.config.gateway.ticket_key_file)) < tickets.SECRET_BYTES_MIN:
        yield f"gateway.ticket_key_file: must hold at least {tickets.SECRET_BYTES_MIN} random bytes"
    for name, lane in parts.config.lanes.items():
        try:
            sender(parts, lane, SharedTokens())
        except KeyError as error:
            yield f"lanes.{name}.service_account_file: {error} is missing in it"
        except ValueError as error:  # its texts name settings, never their content
            sentence = str(error) if type(error) is ValueError else "its key file does not hold what it should"
            yield f"lanes.{name}: {sentence}"


def _port_faults(config: Config) -> Iterator[str]:
    doors = [("intake.listen", *address(config.intake.listen)), ("gateway.listen", *address(config.gateway.listen))]
    for place in range(len(config.processes.layout)):
        doors.append((f"metrics.first_port + {place}", config.metrics.host, config.metrics.first_port + place))
    for setting, host, port in doors:
        try:
            family, kind, protocol, _, where = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
            with socket.socket(family, kind, protocol) as door:
                door.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                door.bind(where)
        except OSError as error:
            yield f"{setting}: cannot listen on {host}:{port}: {error.strerror}"


# --- lanes -------------------------------------------------------------------------------------------------------


def limits(config: Config) -> dict[str, LaneLimit]:
    """The rate limits of the lanes that have one: a rate of their own, a provider's quota, or both."""
    found: dict[str, LaneLimit] = {}
    for name, lane in config.lanes.items():
        rate = lane.rate_per_second
        if isinstance(lane, FcmLane):
            rate, burst = within_quota(lane.quota_per_minute, rate, lane.burst)
            found[name] = LaneLimit(rate_per_second=rate, burst=burst, ramp_seconds=lane.ramp_seconds)
        elif rate is not None:
            found[name] = LaneLimit(rate_per_second=rate, burst=lane.burst or usual_burst(rate))
    return found


def badge_lanes(config: Config) -> frozenset[str]:
    """The lanes whose messages carry the unread count."""
    pushing = ApnsLane | FcmLane | WebPushLane
    return frozenset(name for name, lane in config.lanes.items() if isinstance(lane, pushing) and lane.badge)


def push_services(config: Config) -> Iterator[PushService]:
    """The push services whose subscriptions are taken, each with its lane."""
    for name, lane in config.lanes.items():
        if isinstance(lane, WebPushLane):
            yield PushService(name, lane.origin, lane.app)


def senders(parts: Parts) -> Mapping[str, Sender]:
    """One way out per lane. Lanes with the same key share one token, as Apple asks."""
    shared = SharedTokens()
    return {name: sender(parts, lane, shared) for name, lane in parts.config.lanes.items()}


def sender(parts: Parts, lane: Lane, shared: SharedTokens) -> Sender:
    """The way out of one lane.

    Raises:
        ValueError, KeyError: a setting or a key file is faulty.
    """
    match lane:
        case ApnsLane():
            return _apns(parts, lane, shared)
        case FcmLane():
            return _fcm(parts, lane, shared)
        case WebPushLane():
            return _web_push(parts, lane)
        case EmailLane():
            return _email(parts, lane)
        case _:
            return InappSender(parts.inbox_writes)


def _apns(parts: Parts, lane: ApnsLane, shared: SharedTokens) -> ApnsSender:
    pem = parts.secret(lane.key_file)
    settings = ApnsSettings(
        topic=lane.topic,
        team_id=lane.team_id,
        key_id=lane.key_id,
        private_key_pem=pem,
        base_url=lane.url,
        ca_file=_beside(parts, lane.ca_file),
        connections_max=lane.connections_max,
    )
    return ApnsSender(settings, shared.apns(settings))


def _fcm(parts: Parts, lane: FcmLane, shared: SharedTokens) -> FcmSender:
    account = json.loads(parts.secret(lane.service_account_file))
    settings = FcmSettings(
        project_id=account["project_id"],
        client_email=account["client_email"],
        private_key_pem=account["private_key"],
        token_uri=account["token_uri"],
        base_url=lane.url,
        ca_file=_beside(parts, lane.ca_file),
        connections_max=lane.connections_max,
    )
    return FcmSender(settings, shared.fcm(settings))


def _web_push(parts: Parts, lane: WebPushLane) -> WebPushSender:
    return WebPushSender(
        WebPushSettings(
            origin=lane.origin,
            private_key_pem=parts.secret(lane.vapid_key_file),
            subject=lane.subject,
            ca_file=_beside(parts, lane.ca_file),
            allow_private=lane.allow_private,
            connections_max=lane.connections_max,
        )
    )


def _email(parts: Parts, lane: EmailLane) -> EmailSender:
    host, port = address(lane.relay)
    ca_file = _beside(parts, lane.ca_file)
    return EmailSender(
        EmailSettings(
            host=host,
            port=port,
            tls=lane.tls,
            ca_file=Path(ca_file) if ca_file else None,
            username=lane.username,
            password=parts.secret(lane.password_file).decode().strip() if lane.password_file else None,
            from_address=lane.sender,
            from_name=lane.sender_name,
            portal_url=lane.portal_url,
            connections_max=lane.connections_max,
        )
    )


def _beside(parts: Parts, name: str | None) -> str | None:
    return None if name is None else str(parts.folder / name)


def address(listen: str) -> tuple[str, int]:
    """Split `host:port`."""
    host, _, port = listen.rpartition(":")
    return host.strip("[]"), int(port)
