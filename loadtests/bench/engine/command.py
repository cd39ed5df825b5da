"""`./klokke bench engine`: the command line, and the order of things."""

from __future__ import annotations

import os
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter
from cyclopts.validators import Number
from rich.console import Console

from loadtests.bench import measuring, report
from loadtests.bench.engine import ledgers
from loadtests.bench.engine.blast import Blast, Class, Sent, blast, post_urgent, wait_until_ended
from loadtests.bench.engine.figures import Figures, figures, latencies_ms, of_size, targets
from loadtests.bench.engine.gauges import Gauges, Spent
from loadtests.bench.engine.people import Expected, expected
from loadtests.bench.engine.preparing import Population, check_room, import_into, kept, people_of, store_of
from loadtests.bench.engine.tables import show_end, show_size
from loadtests.oracle.ledger import LedgerUnreadable
from loadtests.stage.api import Api
from loadtests.stage.building import Stage, stage
from loadtests.stage.filling import progress
from loadtests.stage.processes import StageFault
from loadtests.stage.settings import StagePlan

SIZES = (20_000, 200_000)
"""Measured before a larger population, to see what a recipient costs at each size."""

CORES = 2
RATE_PER_SECOND = 400_000  # of each lane: the limiter is asked as always, and grants all that this machine can send
CONNECTIONS = 1  # of a process to each app's provider: loopback answers within a millisecond, 60 ms would need more
CLASSES = 60
WARM_UPS = 3  # class messages that open connections and fetch tokens
IDLE_MESSAGES = 10
IDLE_EVERY_SECONDS = 0.2
LEDGER_FLUSH_SECONDS = 0.5  # simulators write at least every 200 ms
_SHORT, _MIDDLE = 50_000, 500_000  # recipients; a short blast is repeated, since one moment of noise would be all of it


def engine(
    *,
    recipients: Annotated[int, Parameter(validator=Number(gte=1_000, lte=9_000_000))] = 2_000_000,
    years: Annotated[int, Parameter(validator=Number(gte=0, lte=50))] = 0,
    json_file: Annotated[Path | None, Parameter(name="--json")] = None,
    alone: Annotated[bool, Parameter(negative="")] = False,
    dispatchers: Annotated[int, Parameter(validator=Number(gte=1, lte=8))] = 1,
    rounds: Annotated[int | None, Parameter(validator=Number(gte=1, lte=50))] = None,
    seed: Annotated[int, Parameter(validator=Number(gte=0))] = 1,
    keep: Path | None = None,
) -> int:
    """Measure the whole engine: one event to everybody by push and in-app, from its 202 to the last answer.

    Real engine processes, the bundled store and simulated APNs and FCM (accept-all, their ledgers kept) share two
    cores. People, devices and apps are those of the population model, but for quiet hours, which are left out so that
    nobody is held. While the event runs, a class of about 46 guardians gets an urgent message every second. Importing
    the people is not timed. At the end the ledgers must hold every delivery once.

    Exit status 0 when they do, 1 when not; a missed target is said, and is no failure.

    Args:
        recipients: How many people; smaller sizes (20,000 and 200,000) are measured first.
        years: Years since the first people joined; moves scatter families over the recipient numbers.
        json_file: Where to write the figures as JSON.
        alone: Measure the given size only.
        dispatchers: How many processes send bulk, beside the one for urgent messages. On two cores one leaves room for
            urgent messages; two are a little faster.
        rounds: Blasts at each size, of which the median counts; by default 5, 3 or, for a large size, 1.
        seed: Another seed makes other people.
        keep: A folder that keeps the imported people, so that the next run begins at once.
    """
    if fault := report.json_fault(json_file):
        raise _refused(fault)
    console = Console(highlight=False)
    os.sched_setaffinity(0, measuring.cores()[:CORES])  # what we start inherits it
    layout = ("intake+gateway", "fanout+upkeep", "urgent", *["dispatch"] * dispatchers)
    plan = StagePlan(
        "bench",
        seed=seed,
        is_accept_all=True,
        has_email=False,
        has_browsers=False,
        layout=layout,
        rate_per_second=RATE_PER_SECOND,
        connections=CONNECTIONS,
    )
    sizes = [*([] if alone else [size for size in SIZES if size < recipients]), recipients]
    try:
        check_room(Path(tempfile.gettempdir()), recipients)
        found = [
            _measure_size(console, Population(size, seed, years), plan, rounds or _rounds(size), keep) for size in sizes
        ]
    except (StageFault, LedgerUnreadable) as fault:
        raise _refused(str(fault)) from None
    except KeyboardInterrupt:
        print("klokke bench: stopped; nothing is left running", file=sys.stderr)
        return 130
    reached = targets(found)
    show_end(console, found, reached)
    if json_file is not None:
        head = {"benchmark": "engine", "machine": measuring.machine(), "cores_used": CORES, "years": years}
        rows = [{**target._asdict(), "sentence": target.sentence()} for target in reached]
        balanced = not any(size["faults"] for size in found)
        report.write_json(json_file, {**head, "sizes": found, "targets": rows, "balanced": balanced})
    return 1 if any(size["faults"] for size in found) else 0


def _refused(sentence: str) -> SystemExit:
    return SystemExit(f"klokke bench: {sentence}")


def _rounds(recipients: int) -> int:
    if recipients <= _SHORT:
        return 5
    return 3 if recipients <= _MIDDLE else 1


def _measure_size(console: Console, who: Population, plan: StagePlan, rounds: int, keep: Path | None) -> Figures:
    """Build a stage with so many people and measure it."""

    def say(text: str) -> None:
        console.print(f"[dim]{who.recipients:,}: {text} ...[/dim]")

    home = None
    if keep is not None:
        home = kept(console, keep.resolve(), who, plan, say)
        plan = plan._replace(store=store_of(home))
    with (
        stage(plan, is_kept=False, say=say) as built,
        Api(built.addresses.api, built.addresses.gateway, built.api_key) as api,
    ):
        file = people_of(home) if home is not None else import_into(console, built, api, who)
        say("counting what must be delivered")
        with file.open("rb") as lines:
            counted = expected(lines, CLASSES)
        size = _measure(console, built, api, plan, counted, rounds, say)
    show_size(console, size)
    return size


class _Round:
    """One blast and what was read around it."""

    def __init__(self, done: Blast, spent: list[Spent], store: dict[str, str]) -> None:
        self.done, self.spent, self.store = done, spent, store


def _measure(
    console: Console,
    built: Stage,
    api: Api,
    plan: StagePlan,
    counted: Expected,
    rounds: int,
    say: Callable[[str], None],
) -> Figures:
    """Warm up, then blast as often as asked; the ledgers are read when everything is over."""
    gauges = Gauges(built, plan.layout)
    idle = _post_when_idle(built, api, counted.classes)
    measured: list[_Round] = []
    for at in range(rounds):
        gauges.start()
        say(f"sending, round {at + 1} of {rounds}" if rounds > 1 else "sending")
        with progress(console, "sending", counted.push + counted.inapp) as advance:
            done = blast(built, api, counted.classes[WARM_UPS:], advance)
        measured.append(_Round(done, gauges.stop(), dict(gauges.store_info())))
    time.sleep(LEDGER_FLUSH_SECONDS)
    say("reading the providers' ledgers")
    events = [*idle, *(one for each in measured for one in (each.done.national, *each.done.urgent))]
    arrivals = ledgers.arrived(ledgers.read(built.ledgers.values()), [one.id for one in events])
    return of_size(
        [figures(counted, one.done, one.spent, arrivals, one.store) for one in measured],
        latencies_ms(idle, arrivals, until_ms=float("inf")),
    )


def _post_when_idle(built: Stage, api: Api, classes: list[Class]) -> list[Sent]:
    """Class messages with nothing beside them; the first few open connections and are not counted."""
    if len(classes) <= WARM_UPS:
        raise StageFault("so few people make no school classes; ask for more with --recipients")
    wait_until_ended(api, [post_urgent(api, one) for one in classes[:WARM_UPS]], built.check)
    sent = []
    for at in range(IDLE_MESSAGES):
        sent.append(post_urgent(api, classes[at % len(classes)]))
        time.sleep(IDLE_EVERY_SECONDS)
    wait_until_ended(api, sent, built.check)
    return sent
