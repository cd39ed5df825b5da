"""Two reads of the store at the same time, where neither needs the other's answer.

A round trip costs an urgent message several milliseconds on a busy machine; a dozen of them stand between its 202 and
the provider.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TypeVar

import trio

from engine.records.errors import StoreUnavailable

_First = TypeVar("_First")
_Second = TypeVar("_Second")


async def side_by_side(
    first: Callable[[], Awaitable[_First]], second: Callable[[], Awaitable[_Second]]
) -> tuple[_First, _Second]:
    """Await both and return both answers.

    Raises:
        StoreUnavailable: either said so; as itself, not in a group.
    """
    firsts: list[_First] = []
    seconds: list[_Second] = []
    failures: list[StoreUnavailable] = []

    async def run_second() -> None:
        try:
            seconds.append(await second())
        except StoreUnavailable as error:
            failures.append(error)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(run_second)
        try:
            firsts.append(await first())
        except StoreUnavailable as error:
            failures.append(error)
    if failures:
        raise failures[0]
    return firsts[0], seconds[0]
