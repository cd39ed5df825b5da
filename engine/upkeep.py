"""What nobody waits for: delays end, leases lapse, events expire, what waits of stopped events is settled.

Each verb is a loop of its own with a bounded step, repeated at once while there is more, so that a million due
slices neither block the store nor wait for the next tick. Any number of upkeeps may run; the scripts are idempotent.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import msgspec
import trio

from engine.drain import Drain
from engine.patience import Backoff
from engine.ports import Observer, Work
from engine.records.errors import StoreUnavailable


class UpkeepSettings(msgspec.Struct, frozen=True, kw_only=True):
    """How often each verb looks, and how much it does in one step."""

    promote_seconds: float = 0.15  # what is due is late by at most this
    reclaim_seconds: float = 1.0
    expire_seconds: float = 0.5
    step_max: int = 500


class Upkeep:
    """Runs the four verbs until drained."""

    def __init__(
        self,
        work: Work,
        observer: Observer,
        now_ms: Callable[[], int],
        settings: UpkeepSettings | None = None,
    ) -> None:
        self._work = work
        self._observer = observer
        self._now_ms = now_ms
        self._settings = settings or UpkeepSettings()

    async def run(self, drain: Drain) -> None:
        """Keep the queues up until the drain begins."""
        settings = self._settings
        async with drain.hands() as hands:
            hands.start_soon(self._repeat, drain, settings.promote_seconds, self.promote)
            hands.start_soon(self._repeat, drain, settings.reclaim_seconds, self.reclaim)
            hands.start_soon(self._repeat, drain, settings.expire_seconds, self.expire)
            hands.start_soon(self._repeat, drain, settings.expire_seconds, self.sweep)

    async def promote(self) -> int:
        """Queue what is due."""
        return await self._work.promote(self._now_ms(), self._settings.step_max)

    async def reclaim(self) -> int:
        """Give back what a lost worker had in hand."""
        count = await self._work.reclaim(self._now_ms(), self._settings.step_max)
        if count:
            self._observer.reclaimed(count)
        return count

    async def expire(self) -> int:
        """Stop events whose time is over."""
        return len(await self._work.expire(self._now_ms(), self._settings.step_max))

    async def sweep(self) -> int:
        """Settle what waits of stopped events."""
        return await self._work.sweep(self._now_ms(), self._settings.step_max)

    async def _repeat(self, drain: Drain, seconds: float, step: Callable[[], Awaitable[int]]) -> None:
        backoff = Backoff()
        while not drain.is_asked:
            try:
                is_more = await step() > 0
                backoff.reset()
            except StoreUnavailable:
                await drain.sleep(backoff.next_seconds())
                continue
            if is_more:
                await trio.lowlevel.checkpoint()
            else:
                await drain.sleep(seconds)
