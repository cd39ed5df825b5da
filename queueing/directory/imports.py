"""An import over HTTP in chunks: what has been taken is remembered by import id, so that it resumes after a cut."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import trio

from engine.ports import Refusal
from engine.records.person import Line
from queueing.directory.keys import importing
from queueing.directory.ndjson import read_line
from queueing.directory.store_directory import StoreDirectory
from queueing.link import Link

REMEMBERED_SECONDS = 30 * 24 * 3600
_LINES_A_STEP = 2000  # progress is noted after each: what a cut makes the client send again
_LINES_WITHOUT_REST = 250  # decoded before other tasks get their turn: a few ms


class ImportAnswer(NamedTuple):
    """`taken` lines of this chunk went in, `refused` did not; `next_line` is where the file goes on (from 1)."""

    taken: int
    refused: list[Refusal]
    next_line: int


class Imports:
    """Takes chunks of NDJSON files. A chunk holds whole lines."""

    def __init__(self, link: Link, directory: StoreDirectory) -> None:
        self._link = link
        self._directory = directory

    async def next_line(self, import_id: str) -> int:
        """The line (from 1) that an import goes on with; 1 when it is new or was a month ago."""
        return int(await self._link.ask("GET", importing(import_id)) or 1)

    async def take_chunk(self, import_id: str, first_line: int, body: bytes, now_ms: int) -> ImportAnswer:
        """Take the lines of `body`, the first of which is line `first_line` of the file.

        Lines before `next_line` were taken before and are skipped. A chunk that begins after it would leave a gap:
        nothing is taken, and the answer says where to go on.
        """
        next_line = await self.next_line(import_id)
        taken, refused = 0, list[Refusal]()
        if first_line > next_line:
            return ImportAnswer(0, refused, next_line)
        lines = body.split(b"\n")
        if not lines[-1]:
            lines.pop()  # the file ends with a line feed
        for first in range(next_line - first_line, len(lines), _LINES_A_STEP):
            step = lines[first : first + _LINES_A_STEP]
            good, faults = await _decode(step, first_line + first)
            faults += await self._directory.apply(good, now_ms)
            refused += sorted(faults)
            taken += sum(1 for raw in step if raw.strip()) - len(faults)
            next_line = first_line + first + len(step)
            await self._link.ask("SET", importing(import_id), next_line, "EX", REMEMBERED_SECONDS)
        return ImportAnswer(taken, refused, next_line)


async def _decode(raw_lines: Sequence[bytes], first_line: int) -> tuple[list[tuple[int, Line]], list[Refusal]]:
    good: list[tuple[int, Line]] = []
    refused: list[Refusal] = []
    for number, raw in enumerate(raw_lines, first_line):
        if not raw.strip():
            continue
        line = read_line(raw)
        if isinstance(line, str):
            refused.append(Refusal(number, line))
        else:
            good.append((number, line))
        if not number % _LINES_WITHOUT_REST:
            await trio.lowlevel.checkpoint()
    return good, refused
