"""Slows a lane whose provider is down, so that an outage of an hour does not turn a backlog into dead letters.

When the last 20 answers in a row were all unreachable, unknown or "the whole lane, not now" (a provider's 503), the
lane takes nothing for 5 seconds, then 10, up to a minute, until one answer is of another kind; longer where an answer
asked for more. Who was surely not processed meanwhile keeps the attempt.
"""

from __future__ import annotations

from collections.abc import Iterable

from engine.outcomes import Outcome, Throttled, Unknown, Unreachable

FAILURES_IN_A_ROW = 20
FIRST_WAIT_SECONDS = 5.0
WAIT_SECONDS_MAX = 60.0  # after an outage the lane is back within a minute
PROVIDER_DOWN = "provider_down"


class Breaker:
    """The failures in a row of one lane."""

    def __init__(self) -> None:
        self._failures = 0
        self._waits = 0

    def hear(self, answers: int, failures: int) -> float | None:
        """Take in a batch of answers; how many seconds the lane should wait, or None."""
        if not answers:
            return None
        if failures < answers:
            self._failures = self._waits = 0
            return None
        self._failures += failures
        if self._failures < FAILURES_IN_A_ROW:
            return None
        wait_seconds = min(WAIT_SECONDS_MAX, FIRST_WAIT_SECONDS * 2.0 ** min(self._waits, 8))
        self._waits += 1
        return wait_seconds


def failure_count(outcomes: Iterable[Outcome]) -> int:
    """How many answers say that the provider is not there for anybody."""
    return sum(
        outcome.lane_wide if isinstance(outcome, Throttled) else isinstance(outcome, Unreachable | Unknown)
        for outcome in outcomes
    )
