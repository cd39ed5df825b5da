"""Writes a population: `python -m loadtests.population --recipients 100000 --seed 1 --out people.ndjson`."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, BinaryIO

from cyclopts import App, Parameter
from cyclopts.validators import Number

from loadtests.population.lines import population

app = App(
    name="python -m loadtests.population",
    version_flags=[],
    help="""Write a seeded school population as NDJSON, ready for `./klokke import`.

For example:

    python -m loadtests.population --recipients 100000 --seed 1 --out people.ndjson

    python -m loadtests.population --recipients 2000000 --seed 1 --years 10 --out - | gzip > aged.ndjson.gz
""",
    help_format="markdown",
)


@app.default
def write(
    *,
    recipients: Annotated[int, Parameter(validator=Number(gte=1, lte=9_999_999))] = 100_000,
    seed: int = 1,
    years: Annotated[int, Parameter(validator=Number(gte=0, lte=50))] = 0,
    web_origin: str = "",
    out: Annotated[str, Parameter(allow_leading_hyphen=True)] = "-",
) -> None:
    """Write the population.

    Args:
        recipients: How many people lines are written, exactly.
        seed: The same seed gives the same bytes.
        years: Year rolls since the first people joined; newcomers stand at the end, so neighbourhood erodes.
        web_origin: Push service of the guardians' browsers, for which the engine needs a lane: the simulated one's
            https://localhost:8444 for example. Without it nobody uses a browser.
        out: A file, or - for standard output.
    """
    started = time.monotonic()
    people = size = 0
    with _opened(out) as file:
        for text, count in population(recipients, seed, years, web_origin.rstrip("/")):
            file.write(text)
            people += count
            size += len(text)
    seconds = time.monotonic() - started
    print(f"{people:,} people, {size / 1e6:,.1f} MB, {seconds:.1f} s", file=sys.stderr)


@contextmanager
def _opened(out: str) -> Iterator[BinaryIO]:
    if out == "-":
        yield sys.stdout.buffer
        sys.stdout.buffer.flush()
        return
    with Path(out).open("wb") as file:
        yield file


if __name__ == "__main__":
    try:
        app()
    except BrokenPipeError:  # the reader has seen enough: `... | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except OSError as error:
        sys.exit(f"the population could not be written: {error.strerror}: {error.filename}")
