"""Where work waits, asked once for all lanes of a process."""

from __future__ import annotations

from collections.abc import Iterable

import trio

from engine.patience import Backoff
from engine.ports import Work
from engine.records.errors import StoreUnavailable
from engine.records.words import Urgency

LOOK_SECONDS_MIN = 0.01  # bells may ring hundreds of times a second; a look is sixteen small reads
LOOK_SECONDS_MAX = 0.5  # a bell can be missed


class Watch:
    """Looks when the bell rings, at the latest after `look_seconds`, and wakes all lanes."""

    def __init__(self, work: Work, look_seconds: float = LOOK_SECONDS_MAX) -> None:
        self._work = work
        self._look_seconds = look_seconds
        self._waiting: dict[tuple[str, Urgency], int] = {}
        self._since: dict[tuple[str, Urgency], float] = {}
        self._changed = trio.Event()

    def sees(self, lane: str, urgencies: Iterable[Urgency]) -> bool:
        """Whether anything waited there when we last looked."""
        return any(self._waiting.get((lane, urgency)) for urgency in urgencies)

    def waiting(self, lane: str, urgencies: Iterable[Urgency]) -> tuple[int, float]:
        """How many slices waited there when we last looked, and for how many seconds some have been seen there."""
        keys = [(lane, urgency) for urgency in urgencies if self._waiting.get((lane, urgency))]
        if not keys:
            return 0, 0.0
        return sum(self._waiting[key] for key in keys), trio.current_time() - min(self._since[key] for key in keys)

    def emptied(self, lane: str, urgencies: Iterable[Urgency]) -> None:
        """A claim found less than it asked for: nothing waits there until the next look says so."""
        for urgency in urgencies:
            self._waiting.pop((lane, urgency), None)
            self._since.pop((lane, urgency), None)

    async def wait(self) -> None:
        """Return after the next look or `wake`."""
        await self._changed.wait()

    def wake(self) -> None:
        """Wake all who wait."""
        self._changed.set()
        self._changed = trio.Event()

    async def run(self) -> None:
        """Look until cancelled."""
        backoff = Backoff()
        while True:
            try:
                await self.look()
                await self._work.wait_for_work(self._look_seconds)
                backoff.reset()
            except StoreUnavailable:
                await trio.sleep(backoff.next_seconds())
            await trio.sleep(LOOK_SECONDS_MIN)

    async def look(self) -> None:
        """Look once."""
        found = await self._work.ready()
        self._waiting = {}
        for one in found:
            key = one.lane, one.urgency
            self._waiting[key] = self._waiting.get(key, 0) + one.slices
        now = trio.current_time()
        self._since = {key: self._since.get(key, now) for key in self._waiting}
        self.wake()
