"""Builds the stage in a temporary folder: keys, simulated providers, configuration, engine. Takes it down again.

Everything is made at run time; nothing outside the folder is touched. Every process dies with the one that built it.
"""

from __future__ import annotations

import hashlib
import json
import os
import secrets
import shutil
import socket
import tempfile
from base64 import urlsafe_b64encode
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from loadtests.stage.api import wait_until_ready
from loadtests.stage.processes import Program, StageFault, signals_as_ctrl_c, undisturbed
from loadtests.stage.settings import KEY_ID, PROJECT, TEAM_ID, TOPICS, Addresses, StagePlan, configuration

START_SECONDS_MAX = 60.0
SIMULATOR_SECONDS_MAX = 20.0
STOP_SECONDS_MAX = 45.0  # the engine drains what is in hand, the store writes what it holds
STORE_FOLDER = "store"  # as the configuration names it
_RUNS_FROM, _RUNS_UNTIL = 9_600, 30_000  # below the ports that the kernel gives away
_METRICS_PORTS = 16  # counted up from the first


class Stage(NamedTuple):
    """What stands: where it listens, the key of the backend service, the ledgers, the programs."""

    folder: Path
    addresses: Addresses
    api_key: str
    ledgers: dict[str, Path]
    programs: list[Program]

    @property
    def people_file(self) -> Path:
        return self.folder / "people.ndjson"

    @property
    def posted_folder(self) -> Path:
        return self.folder / "posted"

    @property
    def store_folder(self) -> Path:
        return self.folder / STORE_FOLDER

    def check(self) -> None:
        """Raise StageFault when any program has ended."""
        for program in self.programs:
            program.check()


@contextmanager
def stage(plan: StagePlan, *, is_kept: bool, say: Callable[[str], None]) -> Iterator[Stage]:
    """Build the stage; take it down at the end, whatever happened. The folder stays when `is_kept` or after a fault."""
    remove = not is_kept
    with signals_as_ctrl_c():
        folder = Path(tempfile.mkdtemp(prefix=f"klokke-{plan.name}-"))
        try:
            (folder / "posted").mkdir()
            with ExitStack() as undo:
                programs: list[Program] = []
                undo.callback(_stop, programs, say)
                yield _build(folder, programs, plan, say)
        except StageFault:
            remove = False  # the logs that the message names
            raise
        finally:
            if remove:
                shutil.rmtree(folder, ignore_errors=True)


def _build(folder: Path, programs: list[Program], plan: StagePlan, say: Callable[[str], None]) -> Stage:
    say("making keys")
    api_key = secrets.token_urlsafe(32)
    _write_secret(folder / "api.key", api_key.encode())
    _write_secret(folder / "ticket.key", secrets.token_bytes(32))
    apns_public = _write_pair(folder / "apns.key", ec.generate_private_key(ec.SECP256R1()))
    vapid_key = ec.generate_private_key(ec.SECP256R1())
    _write_pair(folder / "vapid.key", vapid_key)
    fcm_key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    fcm_public = _write_pair(folder / "fcm.key", fcm_key)
    say("starting the simulated providers")
    topics = [option for topic in TOPICS.values() for option in ("--topic", topic)]
    options = {
        "apns": ["--public-key", str(apns_public), "--key-id", KEY_ID, "--team-id", TEAM_ID, *topics],
        "fcm": ["--public-key", str(fcm_public), "--project", PROJECT],
        "webpush": ["--vapid-key", _application_server_key(vapid_key)],
        "smtp": [],
    }
    if not plan.has_email:
        del options["smtp"]
    if not plan.has_browsers:
        del options["webpush"]
    ledgers = {name: folder / f"{name}.tsv" for name in options}
    urls = {"smtp": "", "webpush": ""}
    for name, ledger in ledgers.items():  # one after the other: the first makes the certificates
        arguments = [name, "--ledger", str(ledger), "--tls-folder", str(folder / "tls"), "--seed", str(plan.seed)]
        mode = ["--mode", "accept-all"] if plan.is_accept_all else []
        module = ["channels.simulator", *arguments, *mode, *options[name]]
        with undisturbed():
            program = Program(f"the simulated {name}", module, folder / f"{name}.log", announces=True)
            programs.append(program)
        urls[name] = str(program.announcement(SIMULATOR_SECONDS_MAX)["url"])
    if plan.store is not None:
        say("copying the stored people")
        shutil.copytree(plan.store, folder / STORE_FOLDER, ignore=shutil.ignore_patterns("*.sock"))
    api_port, gateway_port = free_ports(2)
    addresses = Addresses(
        api_port,
        gateway_port,
        _free_run(_METRICS_PORTS),
        urls["apns"],
        urls["fcm"],
        urls["webpush"],
        urlsplit(urls["smtp"]).netloc,
    )
    _write_service_account(folder, addresses.fcm_url)
    config = folder / "klokke.toml"
    key_sha256 = hashlib.sha256(api_key.encode()).hexdigest()
    config.write_text(configuration(addresses, key_sha256, plan), "utf-8")
    say("starting the engine")
    with undisturbed():
        engine = Program("the engine", ["engine", "run", "--config", str(config)], folder / "engine.log")
        programs.append(engine)
    built = Stage(folder, addresses, api_key, ledgers, programs)
    wait_until_ready(addresses.api, engine, built.check, START_SECONDS_MAX)
    return built


def _stop(programs: list[Program], say: Callable[[str], None]) -> None:
    """Stop the engine first, so that what is in hand still gets its answers, then the providers."""
    if programs:
        say("stopping everything")
    for program in reversed(programs):
        program.terminate()
        program.wait(STOP_SECONDS_MAX)


# --- keys and ports ----------------------------------------------------------------------------------------------


def _write_pair(path: Path, key: PrivateKeyTypes) -> Path:
    """Write a private key as PEM, and its public half beside it; returns the public file."""
    _write_secret(path, key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    public = path.with_suffix(".pub")
    public.write_bytes(key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
    return public


def _application_server_key(key: ec.EllipticCurvePrivateKey) -> str:
    """The public key as browsers subscribe with it."""
    point = key.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
    return urlsafe_b64encode(point).rstrip(b"=").decode()


def _write_service_account(folder: Path, fcm_url: str) -> None:
    account = {
        "type": "service_account",
        "project_id": PROJECT,
        "client_email": f"klokke@{PROJECT}.example",
        "private_key": (folder / "fcm.key").read_text("ascii"),
        "token_uri": f"{fcm_url}/token",
    }
    _write_secret(folder / "service-account.json", json.dumps(account, indent=1).encode())


def _write_secret(path: Path, content: bytes) -> None:
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
        file.write(content)


def free_ports(count: int) -> list[int]:
    """Ports that are free now; all are held until all are found, so that they differ."""
    with ExitStack() as held:
        sockets = [held.enter_context(socket.socket()) for _ in range(count)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [int(one.getsockname()[1]) for one in sockets]


def _free_run(count: int) -> int:
    """The first of so many free ports in a row; looked for from a random place on, since others may look just now."""
    places = range(_RUNS_FROM, _RUNS_UNTIL, count)
    start: int = secrets.randbelow(len(places))
    starts: list[int] = [*places[start:], *places[:start]]
    for first in starts:
        with ExitStack() as held:
            try:
                for port in range(first, first + count):
                    held.enter_context(socket.socket()).bind(("127.0.0.1", port))
            except OSError:
                continue
            return first
    raise StageFault(f"there are no {count} free ports in a row on 127.0.0.1 for the metrics")
