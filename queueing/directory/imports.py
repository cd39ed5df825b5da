"""An import over HTTP in chunks: what has been taken is remembered by import id, so that it resumes after a cut."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import trio

from engine.ports import Refusal
from engine.records.errors import StoreUnavailable
from engine.records.person import Line
from queueing.directory.keys import importing
from queueing.directory.ndjson import read_line
from queueing.directory.store_directory import StoreDirectory
from queueing.link import Link

REMEMBERED_SECONDS = 30 * 24 * 3600
_LINES_A_STEP = 4000  # progress is noted after each: what a cut makes the client send again
_LINES_WITHOUT_REST = 250  # decoded before other tasks get their turn: a few ms


class ImportAnswer(NamedTuple):
    """`taken` lines of this chunk went in, `refused` did not; `next_line` is where the file goes on (from 1)."""

    taken: int
    refused: list[Refusal]
    next_line: int


class Step(NamedTuple):
    """Decoded lines that are written together."""

    good: list[tuple[int, Line]]
    faults: list[Refusal]
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
        if first_line > next_line:
            return ImportAnswer(0, [], next_line)
        lines = body.split(b"\n")
        if not lines[-1]:
            lines.pop()  # the file ends with a line feed
        answer = ImportAnswer(0, [], next_line)
        try:
            async with trio.open_nursery() as nursery:
                decoded, steps = trio.open_memory_channel[Step](0)
                nursery.start_soon(_decode_ahead, lines, first_line, next_line - first_line, decoded)
                async for step in steps:
                    answer = await self._take(import_id, step, answer, now_ms)
        except* StoreUnavailable as lost:
            raise StoreUnavailable("the store was lost during an import; go on from its next_line") from lost
        return answer

    async def _take(self, import_id: str, step: Step, before: ImportAnswer, now_ms: int) -> ImportAnswer:
        faults = step.faults + await self._directory.apply(step.good, now_ms)
        await self._link.ask("SET", importing(import_id), step.next_line, "EX", REMEMBERED_SECONDS)
        taken = before.taken + len(step.good) + len(step.faults) - len(faults)
        return ImportAnswer(taken, before.refused + sorted(faults), step.next_line)


async def _decode_ahead(
    lines: Sequence[bytes], first_line: int, skip: int, decoded: trio.MemorySendChannel[Step]
) -> None:
    """Decode a step while the one before is written: half of an import's time is waiting for the store."""
    async with decoded:
        for first in range(skip, len(lines), _LINES_A_STEP):
            await decoded.send(await _decode(lines[first : first + _LINES_A_STEP], first_line + first))


async def _decode(raw_lines: Sequence[bytes], first_line: int) -> Step:
    good: list[tuple[int, Line]] = []
    faults: list[Refusal] = []
    for number, raw in enumerate(raw_lines, first_line):
        if not raw.strip():
            continue
        line = read_line(raw)
        if isinstance(line, str):
            faults.append(Refusal(number, line))
        else:
            good.append((number, line))
        if not number % _LINES_WITHOUT_REST:
            await trio.lowlevel.checkpoint()
    return Step(good, faults, first_line + len(raw_lines))
