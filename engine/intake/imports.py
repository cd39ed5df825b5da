"""Bulk changes of the directory as NDJSON, in chunks, so that an import of 2 million lines can stop and go on.

The caller names the import and says with which line of the whole file a chunk starts. Lines that cannot be taken are
listed with number and reason while the rest goes in. A chunk that was taken before changes nothing.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Protocol

from engine.intake.exchange import Answer, Call
from engine.intake.limits import IMPORT_BYTES_MAX, IMPORT_LINES_MAX, LARGE_BODY_SECONDS_MAX
from engine.intake.people import path_id
from engine.intake.problems import Problem
from engine.intake.wire import ImportPlace, ImportTaken, RefusedLine
from engine.ports import Refusal

NDJSON = "application/x-ndjson"
_LINE_MAX = 2**53


class ImportAnswer(Protocol):
    """What taking a chunk came to; `queueing/directory/imports.py` makes these."""

    @property
    def taken(self) -> int: ...

    @property
    def refused(self) -> Sequence[Refusal]: ...

    @property
    def next_line(self) -> int: ...


TakeChunk = Callable[[str, int, bytes, int], Awaitable[ImportAnswer]]
"""(import id, number of the first line, NDJSON, now in ms) -> what came of it."""
NextLine = Callable[[str], Awaitable[int]]
"""Import id -> the line to go on with; 1 for an unknown import."""


class ImportCalls:
    def __init__(self, take_chunk: TakeChunk, next_line: NextLine, now_ms: Callable[[], int]) -> None:
        self._take_chunk = take_chunk
        self._next_line = next_line
        self._now_ms = now_ms

    async def post(self, call: Call) -> Answer:
        """Take one chunk."""
        self._check(call)
        if call.media_type() != NDJSON:
            raise Problem("unsupported-media-type", f"send Content-Type: {NDJSON}")
        first_line = _first_line(call)
        body = await call.body(IMPORT_BYTES_MAX, LARGE_BODY_SECONDS_MAX)
        if body.count(b"\n") > IMPORT_LINES_MAX:
            raise Problem("body-too-large", f"send at most {IMPORT_LINES_MAX:,} lines in one request")
        answer = await self._take_chunk(path_id(call), first_line, body, self._now_ms())
        refused = tuple(RefusedLine(refusal.line, refusal.reason) for refusal in answer.refused)
        return Answer(200, ImportTaken(answer.taken, refused, answer.next_line))

    async def place(self, call: Call) -> Answer:
        """Where to go on."""
        self._check(call)
        return Answer(200, ImportPlace(await self._next_line(path_id(call))))

    def _check(self, call: Call) -> None:
        if not call.caller.serves_all:
            raise Problem("forbidden", "An import may hold people of every tenant: it needs a key for all of them (*).")


def _first_line(call: Call) -> int:
    given = call.query()
    text = given.pop("first_line", "1")
    if given:
        raise Problem("malformed-request", "the only query parameter here is first_line")
    if not text.isascii() or not text.isdigit() or len(text) > 16 or not 1 <= int(text) <= _LINE_MAX:
        raise Problem("malformed-request", "first_line is the number of a line, from 1")
    return int(text)
