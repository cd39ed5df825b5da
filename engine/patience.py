"""Going on after the store was away: the same call again, a little later each time.

Every changing call of the store may be repeated with the same arguments, so that a lost answer is asked for again.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TypeVar

import trio

from engine.records.errors import StoreUnavailable

FIRST_WAIT_SECONDS = 0.05
WAIT_SECONDS_MAX = 2.0  # a store that came back is noticed soon, and is not stormed

_Answer = TypeVar("_Answer")


class Backoff:
    """Waits that double from 50 ms to 2 s; `reset` after a success."""

    def __init__(self) -> None:
        self._seconds = FIRST_WAIT_SECONDS

    def next_seconds(self) -> float:
        seconds, self._seconds = self._seconds, min(WAIT_SECONDS_MAX, 2 * self._seconds)
        return seconds

    def reset(self) -> None:
        self._seconds = FIRST_WAIT_SECONDS


async def patiently(call: Callable[[], Awaitable[_Answer]]) -> _Answer:
    """Repeat a call until the store answers; the caller's cancellation (a drain, an end) is the only other way out."""
    backoff = Backoff()
    answers: list[_Answer] = []
    while not answers:
        try:
            answers.append(await call())
        except* StoreUnavailable:  # alone, or out of a nursery
            await trio.sleep(backoff.next_seconds())
    return answers[0]
