"""Stopping in order: no new work, finish what is in hand, then end.

A process makes one `Drain` and hands it to its shells. `begin` is what SIGTERM calls. Shells take nothing more from
then on; what they have in hand gets `grace_seconds` to come to its end, and is cancelled after that. A slice that was
cancelled is given back by its lease; who was marked by then counts as unknown.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import trio


class Drain:
    """Whether this process is to stop, and how long it may take.

    Args:
        grace_seconds: more than an answer may take; 20 covers a provider's 15.
    """

    def __init__(self, grace_seconds: float = 20.0) -> None:
        self.grace_seconds = grace_seconds
        self._asked = trio.Event()

    def begin(self) -> None:
        """Ask all shells of this process to stop; asking twice is asking once."""
        self._asked.set()

    @property
    def is_asked(self) -> bool:
        return self._asked.is_set()

    async def wait(self) -> None:
        """Return when the process is to stop."""
        await self._asked.wait()

    async def sleep(self, seconds: float) -> None:
        """Sleep, but not into a stop."""
        with trio.move_on_after(seconds):
            await self._asked.wait()

    @asynccontextmanager
    async def hands(self) -> AsyncIterator[trio.Nursery]:
        """A nursery for what is in hand: its tasks have `grace_seconds` after `begin`, then they are cancelled."""
        async with trio.open_nursery() as limit:
            limit.start_soon(self._cut_off, limit.cancel_scope)
            async with trio.open_nursery() as inner:
                yield inner
            limit.cancel_scope.cancel()

    async def _cut_off(self, scope: trio.CancelScope) -> None:
        await self._asked.wait()
        await trio.sleep(self.grace_seconds)
        scope.cancel()
