"""The command line. Each command is one function; what a process is made of stands in composition.py."""

from __future__ import annotations

import json
import os
import sys
from functools import partial
from pathlib import Path
from typing import Annotated

import cyclopts
import structlog
import trio
from cyclopts import Parameter
from cyclopts.validators import Number

import queueing.embedded as embedded
from engine import config as configuration
from engine import importing, logs, supervisor
from engine.config import ConfigFaulty
from engine.importing import ImportFailed
from engine.intake.faults import faults_in
from engine.intake.keys import ANY_TENANT, Scope, Service, make_key
from engine.records.errors import StoreBusy, StoreMissing, StoreUnavailable
from engine.vapid_key import KeyFileFaulty, read_or_make

log = structlog.get_logger()

app = cyclopts.App(
    name="klokke",
    help="Notification fan-out and delivery for a national school platform.",
    version_flags=[],
    help_format="markdown",
)

ConfigPath = Annotated[Path, Parameter(name=["--config", "-c"])]
STOP_MARGIN_SECONDS = 10.0


@app.command
def run(*, config: ConfigPath = Path("klokke.toml"), check: bool = False, verbose: bool = False) -> None:
    """Run the engine: the bundled store (unless one is configured) and every process of the layout.

    SIGTERM or Ctrl-C drains: nothing new is taken, what is in hand is finished, then everything stops.

    For example:

        ./klokke run --config klokke.toml --check

        ./klokke run --config klokke.toml

    Args:
        config: the configuration; klokke.example.toml is a commented one to copy.
        check: only say what is wrong with the configuration; an engine that runs with it is not disturbed.
        verbose: log more.
    """
    from engine.start_checks import start_faults

    reading = configuration.examine(config)
    loaded, path = reading.config, config.resolve()
    if faults := [*reading.faults, *start_faults(path.parent, loaded, check_only=check)]:
        raise ConfigFaulty(str(config), faults)
    if check:
        print(f"{config} is fine: {len(loaded.lanes)} lanes, {len(loaded.processes.layout)} processes")
        return
    logs.configure("supervisor", verbose=verbose)
    store = None
    if loaded.store.url is None:
        folder = path.parent / loaded.store.folder
        embedded.find_binary()
        store = supervisor.Store(
            spawn=partial(embedded.spawn, folder),
            wait_until_it_answers=partial(embedded.wait_until_it_answers, folder=folder),
            stop=embedded.stop,
        )
    specs = [_process(path, place, roles, verbose) for place, roles in enumerate(loaded.processes.layout)]
    log.info("running", api=f"http://{loaded.intake.listen}", gateway=f"http://{loaded.gateway.listen}")
    trio.run(supervisor.supervise, specs, store, loaded.dispatch.drain_seconds + STOP_MARGIN_SECONDS)


def _process(path: Path, place: int, roles: str, verbose: bool) -> supervisor.ProcessSpec:
    command = (sys.executable, "-m", "engine", "process", "--config", str(path), "--place", str(place))
    return supervisor.ProcessSpec(f"{roles}-{place}", (*command, *(("--verbose",) if verbose else ())))


@app.command(show=False)
def process(*, config: ConfigPath, place: int, verbose: bool = False) -> None:
    """Run one process of the layout; started by `run`."""
    loaded = configuration.load(config)
    logs.configure(f"{loaded.processes.layout[place]}-{place}", verbose=verbose)
    from engine.composition import run_process  # only here: the other commands start faster without all the rooms

    trio.run(run_process, config.resolve().parent, loaded, place)


@app.command(name="import")
def import_command(
    file: Path,
    *,
    url: str = "http://127.0.0.1:8600",
    key_file: Path | None = None,
    chunk_lines: Annotated[int, Parameter(validator=Number(gte=1, lte=50_000))] = 4000,
    again: Annotated[bool, Parameter(negative="")] = False,
) -> None:
    """Load people, groups, relations and strategies from an NDJSON file into a running engine.

    Stopped half-way, the same command goes on where it stopped. Lines that cannot be taken are listed with number and
    reason while the rest goes in; the exit status is then 1.

    For example:

        ./klokke import people.ndjson --key-file secrets/api.key

    Args:
        file: one JSON object a line; institutions and groups first, guardians before their children.
        url: the running engine's API.
        key_file: a file with an API key of scope `directory`; or set KLOKKE_API_KEY.
        chunk_lines: lines a request.
        again: start with the first line, however far an earlier run has come; lists what that refused once more.
    """
    key = importing.read_key(key_file) if key_file else os.environ.get("KLOKKE_API_KEY", "").strip()
    if not key:
        raise SystemExit("klokke: give --key-file, or set KLOKKE_API_KEY to an API key with the scope directory")
    if not (key.isascii() and key.isprintable()):
        raise SystemExit("klokke: KLOKKE_API_KEY holds something other than an API key")
    outcome = trio.run(partial(importing.import_file, file, url, key, chunk_lines=chunk_lines, again=again))
    print(f"taken {outcome.taken:,}, refused {outcome.refused:,}, handled by an earlier run {outcome.skipped:,}")
    raise SystemExit(outcome.exit_status)


@app.command
def resume(lane: str, *, config: ConfigPath = Path("klokke.toml")) -> None:
    """Let a parked lane send again, after its cause is mended.

    For example:

        ./klokke resume apns.parent --config klokke.toml

    Args:
        lane: a lane of the configuration.
        config: the configuration of the running engine.
    """
    from engine.composition import resume_lane

    loaded = configuration.load(config)
    if lane not in loaded.lanes:
        raise SystemExit(f"klokke: there is no lane {lane!r}; lanes are {', '.join(loaded.lanes)}")
    reason = trio.run(resume_lane, config.resolve().parent, loaded, lane)
    print(f"{lane} goes on; it was parked: {reason}" if reason else f"{lane} was not parked")


@app.command
def key(
    name: str,
    *,
    tenants: Annotated[list[str] | None, Parameter(consume_multiple=True, negative="")] = None,
    scopes: Annotated[list[str] | None, Parameter(consume_multiple=True, negative="")] = None,
) -> None:
    """Make an API key for a backend service; the key is shown once, the configuration keeps only its hash.

    Nothing is written: copy the [[service]] block that is printed into klokke.toml.

    For example:

        ./klokke key messages --tenants 0101 0751

        ./klokke key national-notices --tenants dk --scopes events ask

        ./klokke key importer --scopes directory

    Args:
        name: what the service is called in klokke.toml and in reports: small letters, digits and dashes.
        tenants: whom it speaks for: municipality codes, dk for national events, or * for all (when left out).
        scopes: what it may do: events, directory, inbox, ask; all of these when left out.
    """
    made, block = service_block(
        name,
        [ANY_TENANT] if tenants is None else tenants,  # `--tenants` with nothing behind it must not mean all
        [scope.value for scope in Scope] if scopes is None else scopes,
    )
    print(f"API key (give it to the service, it is not kept): {made}\n\nFor klokke.toml:\n\n{block}")


def service_block(name: str, tenants: list[str], scopes: list[str]) -> tuple[str, str]:
    """A fresh key and the `[[service]]` block for it.

    Raises:
        ArgumentsFaulty: with every fault of the arguments.
    """
    made, digest = make_key()
    service: dict[str, str | list[str]] = {"name": name, "key_sha256": digest, "tenants": tenants, "scopes": scopes}
    faults = [f"{fault.pointer[1:].split('/')[0]}: {fault.detail}" for fault in faults_in(service, Service)]
    faults += [
        f"{word}: names one of them twice"
        for word, words in (("tenants", tenants), ("scopes", scopes))
        if _repeats(words)
    ]
    if ANY_TENANT in tenants and len(tenants) > 1:
        faults.append("tenants: * holds all the others; leave them out")
    if faults:
        raise ArgumentsFaulty("no key was made:\n" + "\n".join(f"  - {fault}" for fault in dict.fromkeys(faults)))
    return made, "[[service]]\n" + "\n".join(f"{setting} = {json.dumps(value)}" for setting, value in service.items())


def _repeats(words: list[str]) -> bool:
    return len(set(words)) < len(words)


class ArgumentsFaulty(Exception):
    """Arguments of a command cannot be taken; the text says which and why."""


_SAID = (ArgumentsFaulty, ConfigFaulty, ImportFailed, KeyFileFaulty, StoreBusy, StoreMissing, StoreUnavailable, OSError)


@app.command
def vapid(key_file: Path) -> None:
    """Make the key that push services of browsers know us by, and print what web apps subscribe with.

    A key that is there already is only read: browsers that subscribed with it cannot be reached with another.

    For example:

        ./klokke vapid secrets/vapid.pem

    Args:
        key_file: where the private key is, or is to be.
    """
    made, public = read_or_make(key_file)
    print(f"{key_file} {'was made' if made else 'was there already'}\n")
    print("For klokke.toml, in each lane with provider webpush:\n")
    print(f'vapid_key_file = "{key_file}"\n')
    print(f"For the web app (applicationServerKey of pushManager.subscribe):\n\n{public}")


def main() -> None:
    """Run a command; what is wrong is said in a sentence, never as a traceback."""
    try:
        app()
    except _SAID as error:
        print(f"klokke: {error}", file=sys.stderr)
        raise SystemExit(1) from None
    except BaseExceptionGroup as group:  # a nursery wraps what ended it
        if group.split(_SAID)[1] is not None:
            raise
        print(f"klokke: {_first(group)}", file=sys.stderr)
        raise SystemExit(1) from None


def _first(error: BaseException) -> BaseException:
    return _first(error.exceptions[0]) if isinstance(error, BaseExceptionGroup) else error


if __name__ == "__main__":
    main()
