"""`./klokke demo`: starts everything, plays a school day, checks every delivery. See `--help`."""

from __future__ import annotations

import json
import os
import secrets
import sys
import time
from contextlib import suppress
from datetime import date
from pathlib import Path
from typing import Annotated, Any

from cyclopts import App, Parameter
from cyclopts.validators import Number
from rich.console import Console

from loadtests.demo import verdict
from loadtests.demo.cast import choose
from loadtests.demo.school_day import Played, scenes
from loadtests.demo.summary import summary
from loadtests.demo.tables import closing_lines, event_lines, simulators_table
from loadtests.demo.watching import AllowedLive, is_at_rest, play, replaced, watch
from loadtests.oracle import posted
from loadtests.oracle.ledger import LedgerUnreadable
from loadtests.oracle.verify import Expectations, compare, expectations
from loadtests.stage.api import Api
from loadtests.stage.building import Stage, stage
from loadtests.stage.filling import fill
from loadtests.stage.processes import StageFault
from loadtests.stage.settings import StagePlan

LEDGER_FLUSH_SECONDS = 0.5  # simulators write at least every 200 ms
_INBOX_ITEMS_MAX = 200
_HALF_HOUR_MS = 30 * 60 * 1000

app = App(
    name="./klokke demo",
    version_flags=[],
    suppress_keyboard_interrupt=False,  # `main` says what became of the stage
    help="""Start everything on this machine, play a school day and check every delivery.

Nothing is needed but this program: the store is bundled, the push and mail providers are simulated on loopback, all
in a temporary folder that is gone afterwards. What must have happened is worked out person by person, apart from the
engine, and compared with what the simulated providers wrote into their own ledgers.

Exit status 0 when every event's ledger balances and both comparisons agree; 1 when not; 130 after Ctrl-C.

For example:

    ./klokke demo                                   100,000 people, about a minute

    ./klokke demo --recipients 2000 --json run.json

    ./klokke demo --keep                            leaves it running for you to look around
""",
    help_format="markdown",
)


@app.default
def demo(
    *,
    recipients: Annotated[int, Parameter(validator=Number(gte=60, lte=9_000_000))] = 100_000,
    json_file: Annotated[Path | None, Parameter(name="--json")] = None,
    keep: Annotated[bool, Parameter(negative="")] = False,
    seed: Annotated[int, Parameter(validator=Number(gte=0))] = 1,
    years: Annotated[int, Parameter(validator=Number(gte=0, lte=50))] = 0,
    lease_seconds: Annotated[float, Parameter(validator=Number(gte=2, lte=300))] = 30.0,
) -> int:
    """Run the demo.

    Args:
        recipients: How many people the school platform has; 2,000,000 is Denmark.
        json_file: Where to write the figures as JSON.
        keep: Leave everything running until Ctrl-C and print where it is; the folder stays.
        seed: Another seed makes other people.
        years: Years since the first people joined; moves scatter families over the recipient numbers.
        lease_seconds: After a `kill -9` of an engine process its work goes on elsewhere within this time.
    """
    if json_file is not None and not (json_file.parent.is_dir() and os.access(json_file.parent, os.W_OK)):
        raise StageFault(f"--json: there is no folder {json_file.parent} that can be written to")
    console = Console(highlight=False)
    plan = StagePlan("demo", seed=seed, lease_seconds=lease_seconds)
    with stage(plan, is_kept=keep, say=lambda text: console.print(f"[dim]{text} ...[/dim]")) as built:
        figures = _run(console, built, recipients, seed, years)
        if json_file is not None:
            json_file.write_text(json.dumps(figures, ensure_ascii=False, indent=2) + "\n", "utf-8")
        if keep:
            _stay(console, built)
    return 0 if figures["agreed"] else 1


def _run(console: Console, built: Stage, recipients: int, seed: int, years: int) -> dict[str, Any]:
    """Fill, play, watch, judge, show."""
    with Api(built.addresses.api, built.addresses.gateway, built.api_key) as api:
        web_origin = built.addresses.webpush_url
        filled = fill(
            console, api, built.people_file, recipients=recipients, seed=seed, years=years, web_origin=web_origin
        )
        day = scenes(choose(built.people_file), secrets.token_hex(4), date.today())
        console.print(f"[dim]posting {len(day)} events ...[/dim]")
        played = play(api, day, lambda at, event: posted.write(built.posted_folder, at, event))
        events = [one.posted for one in played]
        seen_ms = int(time.time() * 1000)
        expected = expectations(built.people_file, events, seen_ms=seen_ms, seed=seed)
        allowed = _allowed_live(played, expected)
        reports = watch(console, api, played, allowed, built.check)
        time.sleep(LEDGER_FLUSH_SECONDS)
        console.print("[dim]comparing with the providers' ledgers ...[/dim]")
        now_ms = int(time.time() * 1000)
        if now_ms // _HALF_HOUR_MS != seen_ms // _HALF_HOUR_MS:  # quiet hours may have begun or ended meanwhile
            expected = expectations(built.people_file, events, seen_ms=now_ms, seed=seed)
        comparison = compare(expected, built.ledgers.values())
        gone = replaced(played)
        resting = {id for id, report in reports.items() if is_at_rest(report, allowed, float("inf"))}
        titles = {one.posted.id: one.scene.title for one in played}
        found = {inbox.person: api.inbox(inbox.person, _INBOX_ITEMS_MAX) for inbox in expected.inboxes}
    checks = [
        verdict.balance(played, reports, resting),
        verdict.deliveries(comparison, titles, reports),
        verdict.agreement(played, reports, comparison, gone, is_complete=expected.is_complete),
        verdict.inboxes(expected.inboxes, found, set(titles)),
    ]
    figures = summary(filled, played, reports, comparison, checks, people_looked_at=expected.people)
    console.print()
    for line in event_lines(figures):
        console.print(line, markup=False, soft_wrap=True, style="" if line.startswith(" ") else "bold")
    console.print("", simulators_table(figures), "", sep="\n")
    for line in closing_lines(figures, checks):
        console.print(line, markup=False, soft_wrap=True)
    return figures


def _allowed_live(played: list[Played], expected: Expectations) -> AllowedLive | None:
    """How much of each event quiet hours may hold; None when the oracle looks at a sample only."""
    if not expected.is_complete:
        return None
    gone = replaced(played)
    allowed = {}
    for one in played:
        for channel in ("push", "email"):
            tally = expected.comparison.tally(one.posted.id, channel)
            allowed[one.posted.id, channel] = 0 if one.posted.id in gone else tally.held + tally.unsure
    return allowed


def _stay(console: Console, built: Stage) -> None:
    """Say where everything is, and wait for Ctrl-C."""
    addresses = built.addresses
    for line in (
        "",
        "Everything keeps running until Ctrl-C. Look around:",
        f"  API        {addresses.api}   (OpenAPI: {addresses.api}/openapi.json)",
        f"  gateway    {addresses.gateway}",
        f"  metrics    {addresses.metrics}   and the ports after it, one a process",
        f"  API key    {built.folder / 'api.key'}",
        f"  ledgers    {', '.join(str(path) for path in built.ledgers.values())}",
        f"  events     {built.posted_folder}",
        "The commands of docs/api.md work here; in another bash:",
        f"  export KLOKKE={addresses.api} GATEWAY={addresses.gateway} KEY=$(cat {built.folder / 'api.key'})",
        '  curl $KLOKKE/v1/people/p-0000001 -H "Authorization: Bearer $KEY"',
        f"The folder {built.folder} stays; remove it when you are done.",
    ):
        console.print(line, markup=False, soft_wrap=True)
    with suppress(KeyboardInterrupt):  # the wished end here
        while True:
            built.check()
            time.sleep(0.5)


def main() -> int:
    """Run the command line; faults and Ctrl-C end with one sentence, never a traceback."""
    try:
        return int(app(sys.argv[1:]) or 0)
    except (StageFault, LedgerUnreadable) as fault:
        print(f"klokke demo: {fault}", file=sys.stderr)
        return 1
    except OSError as error:
        print(f"klokke demo: {error.strerror}: {error.filename or ''}".rstrip(": "), file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("klokke demo: stopped; nothing is left running", file=sys.stderr)
        return 130


if __name__ == "__main__":
    sys.exit(main())
