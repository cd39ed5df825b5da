"""Keeps a wrong configuration from deleting everyone's devices.

With a wrong APNs topic, a wrong environment or the wrong Firebase project the provider calls *every* token bad, and a
naive engine then empties its registry. So the answers of a lane pass through a window: when the share of
"endpoint gone" jumps, nothing is retired, nobody ends as rejected for it, and the lane parks until an operator looks.

Small messages matter as much: right after a start with a wrong configuration there is no window yet, and slices of 46
people come back one by one. So a majority of gone endpoints closes the guard much earlier than a share of many.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

from engine.outcomes import Outcome, Rejected

WINDOW_ANSWERS = 1000
GONE_SHARE_MAX = 0.05  # provider-semantics, "one rule above all others": above 5 % of the last 1,000
GONE_AT_LEAST = 50  # the same share of a full window, so that three dead phones of ten stop nothing
MAJORITY_AT_LEAST = 20  # so many, and more than half of the window: no school has lost half of its phones overnight


class MassGuard:
    """The last answers of one lane, in runs of (answers, gone).

    Args:
        share_max: raise it when a wave of replaced phones is expected, as after the summer break.
    """

    def __init__(self, share_max: float = GONE_SHARE_MAX, at_least: int = GONE_AT_LEAST) -> None:
        self._share_max = share_max
        self._at_least = at_least
        self._runs: deque[tuple[int, int]] = deque()
        self._answers = 0
        self._gone = 0

    def trips(self, answers: int, gone: int) -> bool:
        """Take in a batch of answers and say whether the guard closes; its own gone endpoints count already.

        After it closed it starts afresh, so that a lane that was mended and resumed is judged by new answers.
        """
        self._runs.append((answers, gone))
        self._answers += answers
        self._gone += gone
        while self._answers - self._runs[0][0] >= WINDOW_ANSWERS:
            old_answers, old_gone = self._runs.popleft()
            self._answers -= old_answers
            self._gone -= old_gone
        is_jump = self._gone >= self._at_least and self._gone > self._share_max * self._answers
        is_majority = self._gone >= MAJORITY_AT_LEAST and self._gone > self._answers / 2
        is_tripped = is_jump or is_majority
        if is_tripped:
            self._runs.clear()
            self._answers = self._gone = 0
        return is_tripped

    @property
    def reason(self) -> str:
        """What an operator reads at the parked lane."""
        return "endpoints_gone: wrong topic, environment or project?"


def calls_endpoint_gone(outcome: Outcome) -> bool:
    return isinstance(outcome, Rejected) and outcome.endpoint_gone


def gone_count(outcomes: Sequence[Outcome]) -> int:
    """How many answers of a batch call their endpoint gone."""
    return sum(map(calls_endpoint_gone, outcomes))
