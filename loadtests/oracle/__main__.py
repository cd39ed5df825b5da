"""Compares ledgers with what must have happened; see `python -m loadtests.oracle --help`."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Annotated

from cyclopts import App, Parameter

from loadtests.oracle import posted
from loadtests.oracle.comparison import Comparison, Fault
from loadtests.oracle.ledger import LedgerUnreadable
from loadtests.oracle.verify import compare, expectations

app = App(
    name="python -m loadtests.oracle",
    version_flags=[],
    help="""Say what must have happened, person by person, and what the simulators' ledgers show instead.

Prints JSON; exit status 1 when anything was lost, unexpected, repeated or wrong. `--events` is a folder of files as
the demo writes them: `{"id": ..., "posted_ms": ..., "body": <the CloudEvent>}`.

For example:

    python -m loadtests.oracle --people people.ndjson --events posted --ledger apns.tsv --ledger smtp.tsv
""",
    help_format="markdown",
)


@app.default
def check(
    *,
    people: Path,
    events: Path,
    ledger: Annotated[list[Path], Parameter(negative="")],
    seen_ms: int | None = None,
    seed: int = 1,
) -> None:
    """Compare.

    Args:
        people: The population's NDJSON.
        events: The folder of posted events.
        ledger: A simulator's ledger; may be given several times.
        seen_ms: When the ledgers were last written, Unix milliseconds; now when left out. Decides about quiet hours.
        seed: Of the sample above 200,000 people.
    """
    moment_ms = int(time.time() * 1000) if seen_ms is None else seen_ms
    expected = expectations(people, posted.read(events), seen_ms=moment_ms, seed=seed)
    comparison = compare(expected, ledger)
    print(json.dumps({"people_looked_at": expected.people, **findings(comparison)}, indent=2))
    sys.exit(1 if comparison.faults or comparison.repeated_lines().total() else 0)


def findings(comparison: Comparison) -> dict[str, object]:
    """Everything that was found, ready for JSON."""
    return {
        **{fault.value: comparison.count(fault) for fault in Fault},
        "repeated_lines": comparison.repeated_lines().total(),
        "received": sum(comparison.received.values()),
        "refused": sum(comparison.refused.values()),
        "foreign_lines": comparison.foreign_lines,
        "examples": [finding._asdict() for found in comparison.examples.values() for finding in found],
    }


if __name__ == "__main__":
    try:
        app()
    except (LedgerUnreadable, OSError) as error:
        sys.exit(str(error))
