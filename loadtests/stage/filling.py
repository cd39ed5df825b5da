"""Makes the population and imports it over HTTP, each with a progress bar (plain lines without a terminal)."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from loadtests.population.lines import population
from loadtests.stage.api import Api
from loadtests.stage.processes import StageFault

CHUNK_BYTES = 4 * 1024 * 1024  # the intake takes 8 MiB at once
_PLAIN_LINES = 10

Advance = Callable[[int], None]


class Filled(NamedTuple):
    people: int
    generated_seconds: float
    imported_seconds: float


def fill(
    console: Console,
    api: Api,
    file: Path,
    *,
    recipients: int,
    seed: int,
    years: int,
    web_origin: str = "",
    has_quiet_hours: bool = True,
) -> Filled:
    """Write the population to `file` and import it; every line must be taken."""
    started = time.monotonic()
    with progress(console, "making people", recipients) as advance, file.open("wb") as out:
        for text, people in population(recipients, seed, years, web_origin, has_quiet_hours=has_quiet_hours):
            out.write(text)
            advance(people)
    generated = time.monotonic()
    with progress(console, "importing", recipients) as advance:
        import_file(api, file, advance)
    return Filled(recipients, generated - started, time.monotonic() - generated)


def import_file(api: Api, file: Path, advance: Advance) -> None:
    """Import a file in chunks of whole lines.

    Raises:
        StageFault: the engine refused a line.
    """
    first_line = 1
    for chunk in chunks(file):
        lines = chunk.count(b"\n")
        answer = api.import_lines("demo", first_line, chunk)
        if answer["refused"]:
            first = answer["refused"][0]
            where = f"the first is line {first['line']}: {first['reason']}"
            raise StageFault(f"the import refused {len(answer['refused'])} lines; {where}")
        first_line += lines
        if answer["next_line"] != first_line:
            raise StageFault(f"the import wants to go on with line {answer['next_line']} instead of {first_line}")
        advance(chunk.count(b'{"kind":"person"'))


def chunks(file: Path, chunk_bytes: int = CHUNK_BYTES) -> Iterator[bytes]:
    """Cut a file into pieces of whole lines."""
    rest = b""
    with file.open("rb") as source:
        while block := source.read(chunk_bytes):
            end = block.rfind(b"\n") + 1
            if end:
                yield rest + block[:end]
                rest = block[end:]
            else:
                rest += block
    if rest:
        yield rest + b"\n"


@contextmanager
def progress(console: Console, what: str, total: int) -> Iterator[Advance]:
    """Show how far something is: a bar on a terminal, about ten lines elsewhere."""
    if not console.is_terminal:
        yield _PlainProgress(console, what, total).advance
        return
    columns = (TextColumn("{task.description:15}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, TimeRemainingColumn(), console=console) as bar:
        task = bar.add_task(what, total=total)
        yield lambda count: bar.advance(task, count)


class _PlainProgress:
    def __init__(self, console: Console, what: str, total: int) -> None:
        self._console, self._what, self._total = console, what, total
        self._done = self._shown = 0

    def advance(self, count: int) -> None:
        self._done += count
        if self._done * _PLAIN_LINES >= (self._shown + 1) * self._total:
            self._shown = self._done * _PLAIN_LINES // self._total
            self._console.print(f"{self._what}: {self._done:,} of {self._total:,}")
