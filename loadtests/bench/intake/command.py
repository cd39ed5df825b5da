"""`./klokke bench intake`: the phases in order, and what is shown of them."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import msgspec
from cyclopts import Parameter
from cyclopts.validators import Number
from rich.console import Console

from loadtests.bench import report
from loadtests.bench.intake import figures, proof
from loadtests.bench.intake.figures import Phase
from loadtests.bench.intake.generator import Order
from loadtests.bench.intake.requests import Load
from loadtests.bench.intake.world import World
from loadtests.bench.measuring import cores, machine, usage
from loadtests.stage.processes import StageFault, signals_as_ctrl_c

_RECIPIENTS = 2_000
_CONNECTIONS = {"singles": 64, "batches": 48}
_PROOF_EVENTS_MAX = 40_000
_FLOOR, _PEER = "floor: GET /healthz here", "peer: empty app on Hypercorn"


class Lengths(NamedTuple):
    """Seconds of each kind of phase."""

    warm: float
    floor: float
    most: float
    at_rate: float


FULL, QUICK = Lengths(1.5, 3.0, 6.0, 10.0), Lengths(0.3, 0.5, 1.0, 1.0)


def intake(
    *,
    json_file: Annotated[Path | None, Parameter(name="--json")] = None,
    quick: Annotated[bool, Parameter(negative="")] = False,
    batch: Annotated[int, Parameter(validator=Number(gte=2, lte=1000))] = 100,
    folder: Path | None = None,
    seconds: Annotated[float | None, Parameter(validator=Number(gt=0, lte=60))] = None,
) -> int:
    """Measure the intake: durable events a second, one a request and in batches, and what each costs.

    Runs one engine process with the role intake and the bundled store (`appendfsync always`), which share no core
    where there are two; the load comes over loopback from a process of its own, on the store's core. Nothing else of
    the engine runs. Exit status 0 when every event that was answered 202 is known after the
    store was killed, 1 when not; a missed target is said, and is no failure.

    Args:
        json_file: Where to write the figures as JSON.
        quick: About 10 seconds instead of a minute: too short for figures that can be trusted.
        batch: Events a request in the batch phases.
        seconds: How long each phase takes, instead of 3 to 10 s.
        folder: Where the store keeps its files meanwhile; the speed of its disk counts. A temporary one if left out.
    """
    console = _console()
    if fault := report.json_fault(json_file) or _folder_fault(folder):
        console.print(f"klokke: {fault}", style="red", markup=False, highlight=False)
        return 1
    lengths = QUICK if quick else FULL
    if seconds is not None:
        lengths = lengths._replace(warm=min(seconds, lengths.warm), floor=seconds, most=seconds, at_rate=seconds)
    try:
        with signals_as_ctrl_c(), _place(folder) as place, ExitStack() as undo:
            available = cores()
            world = World(place, (available[0], available[-1]), undo)
            bench = _Bench(world, console, lengths, batch)
            world.fill(_RECIPIENTS)
            found = bench.run()
    except StageFault as fault:
        console.print(f"klokke: {fault}", style="red", markup=False, highlight=False)
        return 1
    except KeyboardInterrupt:
        print("klokke bench: stopped; nothing is left running", file=sys.stderr)
        return 130
    _show(console, found)
    if json_file is not None:
        report.write_json(json_file, found)
    return 0 if found["durable"]["known"] == found["durable"]["asked"] else 1


class _Bench:
    def __init__(self, world: World, console: Console, lengths: Lengths, batch: int) -> None:
        self._world = world
        self._console = console
        self._lengths = lengths
        self._batches = {"singles": 1, "batches": batch}
        self._phases: dict[str, Phase] = {}
        self._promised: list[tuple[Load, Path]] = []

    def run(self) -> dict[str, Any]:
        """All phases, then the proof."""
        lengths, world = self._lengths, self._world
        for kind in self._batches:
            self._events("warm", kind, lengths.warm)
        del self._phases["singles warm"], self._phases["batches warm"]
        self._floor(_FLOOR, world.port, world.intake.pid)
        if find_spec("hypercorn"):
            self._peer()
        for kind in self._batches:
            self._events("at most", kind, lengths.most)
            self._events("at rate", kind, lengths.at_rate, figures.TARGETS[kind])
        memory = {"intake": usage(world.intake.pid).peak_rss_mb, "store": usage(world.store.pid).peak_rss_mb}
        self._say("killing the store, asking for every event again")
        world.kill_store()
        share = _PROOF_EVENTS_MAX // len(self._promised)
        durable = proof.ask(
            world.url,
            world.api_key,
            (one for load, file in self._promised for one in proof.kept(load, file, share)),
        )
        return {
            "machine": machine(),
            "load_average": os.getloadavg()[0],
            "roles": ["intake"],
            "appendfsync": "always",
            "events_a_batch": self._batches["batches"],
            "phases": [msgspec.to_builtins(one) for one in self._phases.values()],
            "peak_rss_mb": memory,
            "durable": msgspec.to_builtins(durable),
            "ratios": ratios(self._phases),
            "targets": [msgspec.to_builtins(one) for one in figures.statements(self._phases, durable)],
        }

    def _events(self, how: str, kind: str, seconds: float, rate: int | None = None) -> None:
        name, batch, world = f"{kind} {how}", self._batches[kind], self._world
        load = Load(label=name.replace(" ", "-"), api_key=world.api_key, audiences=world.audiences, batch=batch)
        file = world.folder / f"{load.label}.answers"
        order = Order(
            load=load,
            port=world.port,
            connections=_CONNECTIONS[kind],
            seconds=seconds,
            rate_per_second=rate / batch if rate else None,
            answers_file=str(file),
        )
        self._measure(name, order, {"intake": world.intake.pid, "store": world.store.pid})
        self._promised.append((load, file))

    def _floor(self, name: str, port: int, pid: int) -> None:
        load = Load(label="floor", api_key="", audiences=(), method="GET", path="/healthz")
        order = Order(load=load, port=port, connections=_CONNECTIONS["singles"], seconds=self._lengths.floor)
        self._measure(name, order, {"intake": pid}, wanted=200)

    def _peer(self) -> None:
        world = self._world
        program = world.program("the peer", ["loadtests.bench.intake.empty_app"], world.cores[0], announces=True)
        port = int(program.announcement(20.0)["port"])
        load = Load(label="peer", api_key=world.api_key, audiences=world.audiences)
        order = Order(load=load, port=port, connections=_CONNECTIONS["singles"], seconds=self._lengths.floor)
        self._measure(_PEER, order, {"intake": program.pid})
        program.terminate()

    def _measure(self, name: str, order: Order, pids: dict[str, int], wanted: int = 202) -> None:
        self._say(name)
        before = {process: usage(pid).cpu_seconds for process, pid in pids.items()}
        result = self._world.drive(order)
        used = {process: usage(pid).cpu_seconds - before[process] for process, pid in pids.items()}
        self._phases[name] = figures.phase(
            name,
            result,
            used | {"generator": result.cpu_seconds},
            batch=order.load.batch,
            requests_per_second=order.rate_per_second or 0.0,
            wanted=wanted,
        )

    def _say(self, what: str) -> None:
        self._console.print(f"intake: {what} ...", style="dim", highlight=False)


def _console() -> Console:
    """As wide as the table where the output is no terminal."""
    console = Console()
    return console if console.is_terminal else Console(width=150)


def ratios(phases: dict[str, Phase]) -> dict[str, float]:
    """What an empty request costs the peer over what a whole durable event costs us: above 1 we are cheaper."""
    if _PEER not in phases:
        return {}
    peer = phases[_PEER].cpu_us_per_event["intake"]
    return {
        "hypercorn_empty_over_single_event": peer / phases["singles at most"].cpu_us_per_event["intake"],
        "hypercorn_empty_over_batched_event": peer / phases["batches at most"].cpu_us_per_event["intake"],
    }


def _show(console: Console, found: dict[str, Any]) -> None:
    if found["load_average"] > len(cores()) + 0.5:
        busy = f"load average {found['load_average']:.1f}: other work shares the cores, so rates are too low"
        console.print(f"intake: {busy} and CPU too high", style="yellow", highlight=False)
    columns = (
        "phase",
        "events/s",
        "asked/s",
        "p50 ms",
        "p99 ms",
        "worst",
        "errors",
        "intake us",
        "store us",
        "generator us",
    )
    rows = [
        (
            one["name"],
            f"{one['events_per_second']:,.0f}",
            f"{one['asked_per_second']:,.0f}" if one["asked_per_second"] else "-",
            *(f"{one[key]:.1f}" for key in ("p50_ms", "p99_ms", "worst_ms")),
            str(one["errors"]),
            *(
                f"{one['cpu_us_per_event'].get(process, float('nan')):.1f}"
                for process in ("intake", "store", "generator")
            ),
        )
        for one in found["phases"]
    ]
    report.show(
        console, "Intake: CPU microseconds are per event; ms from when a request was due to its answer", columns, rows
    )
    report.show(
        console,
        "Targets",
        ("target", "measured", "reached"),
        [(one["target"], one["measured"], "yes" if one["reached"] else "NO") for one in found["targets"]],
    )


def _folder_fault(folder: Path | None) -> str | None:
    if folder is None or (folder.is_dir() and os.access(folder, os.W_OK)):
        return None
    return f"--folder: {folder} is no folder that can be written to; make it first"


@contextmanager
def _place(folder: Path | None) -> Iterator[Path]:
    """A folder of our own in the given one or the system's, removed afterwards."""
    made = Path(tempfile.mkdtemp(prefix="klokke-bench-", dir=folder))
    try:
        yield made
    finally:
        shutil.rmtree(made, ignore_errors=True)
