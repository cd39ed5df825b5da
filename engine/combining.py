"""Gathers the calls of many tasks into one round trip.

Each claim is carried by a task of its own, in a straight line. While a round trip is under way, the tasks that come
next gather; the following one takes all of them. So a lone class message waits for nobody, and under load a round
trip, a thread and a wake-up are shared by dozens of slices.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, TypeVar

import trio

from engine.records.errors import StoreUnavailable

TOGETHER_MAX = 64  # of 1,024 people each: a pipeline of a few milliseconds

_Item = TypeVar("_Item")
_Answer = TypeVar("_Answer")


class _Call(Generic[_Item, _Answer]):
    def __init__(self, item: _Item) -> None:
        self.item = item
        self.is_done = trio.Event()
        self.answers: list[_Answer] = []  # one, or none when the store was away
        self.error: StoreUnavailable | None = None


class Combiner(Generic[_Item, _Answer]):
    """One verb that takes many items at a time.

    A call that is made while a round trip is under way is never part of it: what it reads is at least as new as
    the call.

    Args:
        act: takes the items, returns an answer for each in order. StoreUnavailable goes to all who asked.
        together_max: how many items go together.
    """

    def __init__(
        self,
        act: Callable[[Sequence[_Item]], Awaitable[Sequence[_Answer]]],
        together_max: int = TOGETHER_MAX,
    ) -> None:
        self._act = act
        self._together_max = together_max
        self._waiting: list[_Call[_Item, _Answer]] = []
        self._is_called = trio.Event()

    async def run(self) -> None:
        """Serve until cancelled."""
        while True:
            await self._is_called.wait()
            batch, self._waiting = self._waiting[: self._together_max], self._waiting[self._together_max :]
            if not self._waiting:
                self._is_called = trio.Event()
            await self._serve(batch)

    async def __call__(self, item: _Item) -> _Answer:
        """Ask for one item.

        Raises:
            StoreUnavailable: the store was away.
        """
        call: _Call[_Item, _Answer] = _Call(item)
        self._waiting.append(call)
        self._is_called.set()
        await call.is_done.wait()
        if call.error is not None:
            raise StoreUnavailable(*call.error.args) from call.error
        return call.answers[0]

    async def _serve(self, batch: Sequence[_Call[_Item, _Answer]]) -> None:
        try:
            answers = await self._act([call.item for call in batch])
        except StoreUnavailable as error:
            for call in batch:
                call.error = error
                call.is_done.set()
            return
        for call, answer in zip(batch, answers, strict=True):
            call.answers.append(answer)
            call.is_done.set()
