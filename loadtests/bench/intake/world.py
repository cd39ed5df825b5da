"""The stage: the bundled store, one engine process with the role intake, a small population. Ends with the benchmark.

Fan-out, dispatch, upkeep and gateway do not run: what is admitted stays in the planning queue, and the figures are the
intake's and the store's alone.
"""

from __future__ import annotations

import hashlib
import os
import secrets
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import msgspec

import queueing.embedded as embedded
from loadtests.bench.intake.generator import Order, Result
from loadtests.bench.intake.requests import Audience, audiences_of
from loadtests.population.lines import population
from loadtests.stage.api import Api, wait_until_ready
from loadtests.stage.building import free_ports
from loadtests.stage.filling import import_file
from loadtests.stage.processes import Program, undisturbed
from loadtests.stage.settings import TOPICS

START_SECONDS_MAX = 30.0
STOP_SECONDS_MAX = 20.0
_AUDIENCES = 64
_ORDER_MARGIN_SECONDS = 40.0

_CONFIG = """\
[store]
url = "{store_url}"

[intake]
listen = "127.0.0.1:{port}"

[gateway]
listen = "127.0.0.1:{gateway_port}"
ticket_key_file = "ticket.key"

[metrics]
first_port = {metrics_port}

[processes]
layout = ["intake", "gateway+fanout+upkeep+dispatch"]

[[service]]
name = "bench"
key_sha256 = "{key_sha256}"
tenants = ["*"]
scopes = ["events", "directory", "inbox", "ask"]

[lanes.inapp]
provider = "inapp"
"""
# No process here sends: these lanes only say which phones are taken, and no file of theirs is read.
_PHONE_LANES = """
[lanes."apns.{app}"]
provider = "apns"
topic = "{app}"
team_id = "TEAM123456"
key_id = "KEY1234567"
key_file = "ticket.key"

[lanes."fcm.{app}"]
provider = "fcm"
service_account_file = "ticket.key"
quota_per_minute = 300000
"""


class World:
    """What stands. `cores`: (of the intake, of the store and the generator), the same where there is one core."""

    def __init__(self, folder: Path, cores: tuple[int, int], undo: ExitStack) -> None:
        self.folder = folder
        self.cores = cores
        self.port, gateway_port, metrics_port = free_ports(3)
        self.api_key = secrets.token_urlsafe(32)
        self.audiences: tuple[Audience, ...] = ()
        self._undo = undo
        (folder / "ticket.key").write_bytes(secrets.token_bytes(32))
        self.store = self._start_store()
        config = folder / "klokke.toml"
        config.write_text(
            _CONFIG.format(
                store_url=embedded.url(folder / "store"),
                port=self.port,
                gateway_port=gateway_port,
                metrics_port=metrics_port,
                key_sha256=hashlib.sha256(self.api_key.encode()).hexdigest(),
            )
            + "".join(_PHONE_LANES.format(app=app) for app in TOPICS),
            "utf-8",
        )
        self.intake = self.program(
            "the intake", ["engine", "process", "--config", str(config), "--place", "0"], cores[0]
        )
        self.wait_until_ready()

    def program(self, name: str, arguments: list[str], core: int, *, announces: bool = False) -> Program:
        """Start a module as a process on that core; it ends with the stage. `announces`: see `Program`."""
        log = self.folder / f"{name.split()[-1]}.log"
        with undisturbed(), pinned(core):
            program = Program(name, arguments, log, announces=announces)
        self._undo.callback(program.wait, STOP_SECONDS_MAX)
        self._undo.callback(program.terminate)
        return program

    def fill(self, recipients: int) -> None:
        """Import a small population, and pick the classes that events are for."""
        file = self.folder / "people.ndjson"
        file.write_bytes(b"".join(text for text, _ in population(recipients, seed=1)))
        with Api(self.url, self.url, self.api_key) as api:
            import_file(api, file, lambda people: None)
        self.audiences = audiences_of(file.read_bytes(), _AUDIENCES)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def drive(self, order: Order) -> Result:
        """Let the generator carry out an order."""
        spelled = msgspec.json.encode(order).decode()
        generator = self.program(
            "the generator", ["loadtests.bench.intake.generator", spelled], self.cores[1], announces=True
        )
        said = generator.announcement(order.seconds + _ORDER_MARGIN_SECONDS)
        return msgspec.convert(said, Result, strict=False)

    def kill_store(self) -> None:
        """End the store as a power cut would end its process, and start it again on what is on the disk."""
        self.store.kill()
        self.store.wait()
        self.store = self._start_store()
        self.wait_until_ready()

    def wait_until_ready(self) -> None:
        """Return when the intake says that it is ready, its store included."""
        wait_until_ready(self.url, self.intake, self.intake.check, START_SECONDS_MAX)

    def _start_store(self) -> subprocess.Popen[bytes]:
        with pinned(self.cores[1]):  # not `undisturbed`: it would start with SIGTERM blocked and could not be stopped
            store = embedded.start(self.folder / "store")
        self._undo.callback(_stop, store)
        return store


@contextmanager
def pinned(core: int) -> Iterator[None]:
    """What is started here runs on that core: a process pinned later would leave its threads behind."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {core})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def _stop(store: subprocess.Popen[bytes]) -> None:
    if store.poll() is None:
        embedded.stop(store)
