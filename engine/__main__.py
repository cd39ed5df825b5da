"""The command line, and the only file that knows every concrete part: it joins store, channels, metrics and shells."""

from __future__ import annotations

import hashlib
import json
import os
import random
import secrets
import signal
import socket
import sys
import time
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Annotated

import cyclopts
import structlog
import trio
from cyclopts import Parameter

from channels.apns.client import ApnsSender, ApnsSettings
from channels.apns.credential import ProviderToken
from channels.email.client import EmailSender
from channels.email.settings import EmailSettings
from channels.fcm.client import FcmSender, FcmSettings
from channels.inapp.client import InappSender
from channels.inapp.gateway import Gateway
from channels.inapp.settings import GatewaySettings
from engine import config as configuration
from engine import importing, logs, supervisor
from engine.config import ApnsLane, Config, ConfigFaulty, EmailLane, FcmLane, Limited
from engine.dispatch import Dispatcher, DispatchSettings
from engine.drain import Drain
from engine.fanout import FanOut
from engine.importing import ImportFailed
from engine.intake import keys as api_keys
from engine.intake.app import make_app
from engine.intake.serving import serve
from engine.ports import Sender
from engine.records.errors import StoreMissing, StoreUnavailable
from engine.rules import tickets
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

app = cyclopts.App(
    name="klokke", help="Notification fan-out and delivery for a national school platform.", version_flags=[]
)

ConfigPath = Annotated[Path, Parameter(name=["--config", "-c"])]
QUEUE_FIGURES_SECONDS = 2.0
STOP_MARGIN_SECONDS = 10.0


def wall_ms() -> int:
    """The wall clock in milliseconds."""
    return time.time_ns() // 1_000_000


# --- commands ----------------------------------------------------------------------------------------------------


@app.command
def run(*, config: ConfigPath = Path("klokke.toml"), check: bool = False, verbose: bool = False) -> None:
    """Run the engine: the bundled store (unless one is configured) and every process of the layout.

    SIGTERM or Ctrl-C drains: nothing new is taken, what is in hand is finished, then everything stops.

    Examples:

        ./klokke run --config klokke.toml --check

        ./klokke run --config klokke.toml

    Parameters
    ----------
    config: the configuration; klokke.example.toml is a commented one to copy.
    check: only say what is wrong with the configuration.
    verbose: log more.
    """
    loaded = configuration.load(config)
    if check:
        print(f"{config} is fine: {len(loaded.lanes)} lanes, {len(loaded.processes.layout)} processes")
        return
    logs.configure("supervisor", verbose=verbose)
    path = config.resolve()
    store = None
    if loaded.store.url is None:
        folder = path.parent / loaded.store.folder
        embedded.find_binary()
        store = supervisor.Store(
            spawn=partial(embedded.spawn, folder),
            wait_until_it_answers=partial(_store_answers, folder),
            stop=embedded.stop,
        )
    specs = [_process(path, place, roles, verbose) for place, roles in enumerate(loaded.processes.layout)]
    log.info("running", api=f"http://{loaded.intake.listen}", gateway=f"http://{loaded.gateway.listen}")
    trio.run(supervisor.supervise, specs, store, loaded.dispatch.drain_seconds + STOP_MARGIN_SECONDS)


def _store_answers(folder: Path, process: supervisor.StoreProcess) -> None:
    embedded.wait_until_it_answers(process, folder)


def _process(path: Path, place: int, roles: str, verbose: bool) -> supervisor.ProcessSpec:
    command = (sys.executable, "-m", "engine", "process", "--config", str(path), "--place", str(place))
    extra = ("--parent", str(os.getpid()), *(("--verbose",) if verbose else ()))
    return supervisor.ProcessSpec(f"{roles}-{place}", (*command, *extra))


@app.command(show=False)
def process(*, config: ConfigPath, place: int, parent: int, verbose: bool = False) -> None:
    """Run one process of the layout; started by `run`."""
    supervisor.die_with_parent(parent)
    loaded = configuration.load(config)
    logs.configure(f"{loaded.processes.layout[place]}-{place}", verbose=verbose)
    trio.run(run_process, config.resolve().parent, loaded, place)


@app.command(name="import")
def import_command(
    file: Path,
    *,
    url: str = "http://127.0.0.1:8600",
    key_file: Path | None = None,
    chunk_lines: int = 4000,
) -> None:
    """Load people, groups, relations and strategies from an NDJSON file into a running engine.

    Stopped half-way, the same command goes on where it stopped. Lines that cannot be taken are listed with number and
    reason while the rest goes in; the exit status is then 1.

    Example:

        ./klokke import people.ndjson --key-file secrets/api.key

    Parameters
    ----------
    file: one JSON object a line; institutions and groups first, guardians before their children.
    url: the running engine's API.
    key_file: a file with an API key of scope `directory`; or set KLOKKE_API_KEY.
    chunk_lines: lines a request.
    """
    key = key_file.read_text().strip() if key_file else os.environ.get("KLOKKE_API_KEY", "")
    if not key:
        raise SystemExit("klokke: give --key-file, or set KLOKKE_API_KEY to an API key with the scope directory")
    outcome = trio.run(partial(importing.import_file, file, url, key, chunk_lines=chunk_lines))
    raise SystemExit(outcome.exit_status)


@app.command
def key(name: str, *, tenants: list[str] | None = None) -> None:
    """Make an API key for a backend service; the key is shown once, the configuration keeps only its hash.

    Example:

        ./klokke key messages --tenants 0101 --tenants 0751
    """
    made = f"klokke_{secrets.token_urlsafe(32)}"
    print(f"API key (give it to the service, it is not kept): {made}\n\nFor klokke.toml:\n\n[[service]]")
    print(f'name = "{name}"\nkey_sha256 = "{hashlib.sha256(made.encode()).hexdigest()}"')
    print(f"tenants = {json.dumps(tenants or ['*'])}\n" + 'scopes = ["events", "directory", "inbox", "ask"]')


# --- one process -------------------------------------------------------------------------------------------------


class Parts:
    """The concrete parts of one process, made once from the configuration."""

    def __init__(self, folder: Path, config: Config, place: int) -> None:
        self.folder = folder
        self.config = config
        self.roles = config.processes.layout[place].split("+")
        self.worker_name = f"{socket.gethostname()}-{os.getpid()}-{place}"
        self.link = Link(config.store.url or embedded.url(folder / config.store.folder))
        self.work = StoreWork(self.link)
        self.directory = StoreDirectory(self.link)
        self.lanes = StoreLanes(self.link, limits(config))
        self.inbox = StoreInbox(self.link)
        self.registry = new_registry()
        self.observer = PrometheusObserver(self.registry)
        self.drain = Drain(config.dispatch.drain_seconds)

    def secret(self, name: str) -> bytes:
        """Read the content of a file that the configuration names."""
        return (self.folder / name).read_bytes()


async def run_process(folder: Path, config: Config, place: int) -> None:
    """Run the roles of one process until SIGTERM has drained them."""
    parts = Parts(folder, config, place)
    shells: dict[str, Callable[[Parts], Awaitable[None]]] = {
        "intake": run_intake,
        "gateway": run_gateway,
        "fanout": run_fanout,
        "upkeep": run_upkeep,
        "dispatch": run_dispatch,
    }
    with serving(parts.registry, config.metrics.host, config.metrics.first_port + place):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(_drain_on_signal, parts.drain)
            nursery.start_soon(parts.work.run)
            async with trio.open_nursery() as roles:
                for role in parts.roles:
                    roles.start_soon(shells[role], parts)
            nursery.cancel_scope.cancel()
    parts.link.close()


async def _drain_on_signal(drain: Drain) -> None:
    with trio.open_signal_receiver(signal.SIGTERM, signal.SIGINT) as signals:
        async for _ in signals:
            drain.begin()


async def run_intake(parts: Parts) -> None:
    """Serve the HTTP API."""
    config = parts.config
    secret = parts.secret(config.gateway.ticket_key_file)
    imports = Imports(parts.link, parts.directory)
    intake = make_app(
        work=parts.work,
        directory=parts.directory,
        services=[
            api_keys.Service(
                name=service.name,
                key_sha256=service.key_sha256,
                tenants=service.tenants,
                scopes=tuple(api_keys.Scope(scope) for scope in service.scopes),
            )
            for service in config.service
        ],
        mint_ticket=partial(tickets.mint, secret),
        withdraw=parts.inbox.withdraw,
        take_chunk=imports.take_chunk,
        next_line=imports.next_line,
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
    gateway = Gateway(parts.inbox, parts.work.events, secret, GatewaySettings(host=host, port=port), wall_ms)
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
        await Upkeep(parts.work, parts.observer, wall_ms).run(parts.drain)
        nursery.cancel_scope.cancel()


async def run_dispatch(parts: Parts) -> None:
    """Send what waits."""
    dispatch = parts.config.dispatch
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
    )
    await dispatcher.run(parts.drain)


async def _queue_figures(parts: Parts) -> None:
    while True:
        try:
            ready = await parts.work.ready()
            parts.observer.queues(ready, parts.config.lanes, await parts.lanes.parked(), wall_ms())
        except StoreUnavailable:
            log.warning("the store does not answer")
        await trio.sleep(QUEUE_FIGURES_SECONDS)


# --- lanes -------------------------------------------------------------------------------------------------------


def limits(config: Config) -> dict[str, LaneLimit]:
    """The rate limits of the lanes that have one; the burst is a quarter of a second's worth unless given."""
    return {
        name: LaneLimit(
            rate_per_second=lane.rate_per_second,
            burst=lane.burst or max(1, round(lane.rate_per_second / 4)),
        )
        for name, lane in config.lanes.items()
        if isinstance(lane, Limited) and lane.rate_per_second is not None
    }


def senders(parts: Parts) -> Mapping[str, Sender]:
    """One way out per lane. Lanes with the same APNs key share one provider token, as Apple asks."""
    tokens: dict[tuple[str, str, str], ProviderToken] = {}
    made: dict[str, Sender] = {}
    for name, lane in parts.config.lanes.items():
        match lane:
            case ApnsLane():
                made[name] = _apns(parts, lane, tokens)
            case FcmLane():
                made[name] = _fcm(parts, lane)
            case EmailLane():
                made[name] = _email(parts, lane)
            case _:
                made[name] = InappSender(parts.inbox)
    return made


def _apns(parts: Parts, lane: ApnsLane, tokens: dict[tuple[str, str, str], ProviderToken]) -> ApnsSender:
    pem = parts.secret(lane.key_file)
    which = (lane.key_file, lane.key_id, lane.team_id)
    if which not in tokens:
        tokens[which] = ProviderToken(pem, lane.key_id, lane.team_id)
    settings = ApnsSettings(
        topic=lane.topic,
        team_id=lane.team_id,
        key_id=lane.key_id,
        private_key_pem=pem,
        base_url=lane.url,
        ca_file=_beside(parts, lane.ca_file),
        connections_max=lane.connections_max,
    )
    return ApnsSender(settings, tokens[which])


def _fcm(parts: Parts, lane: FcmLane) -> FcmSender:
    account = json.loads(parts.secret(lane.service_account_file))
    return FcmSender(
        FcmSettings(
            project_id=account["project_id"],
            client_email=account["client_email"],
            private_key_pem=account["private_key"],
            token_uri=account["token_uri"],
            base_url=lane.url,
            ca_file=_beside(parts, lane.ca_file),
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


def main() -> None:
    """Run a command; what is wrong is said in a sentence, never as a traceback."""
    try:
        app()
    except (ConfigFaulty, ImportFailed, StoreMissing, StoreUnavailable, OSError) as error:
        print(f"klokke: {error}", file=sys.stderr)
        raise SystemExit(1) from None


if __name__ == "__main__":
    main()
