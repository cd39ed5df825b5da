"""What each answer leads to. The life of a delivery that does not go well:

1. It is sent; the provider answers, or does not.
2. *Accepted* and *rejected* are ends.
3. *Unreachable* (5xx, refused) and an endpoint's own *throttled* are tried again: after 10 to 30 seconds the first
   time, then at a random moment of a window that triples up to 15 minutes. Each try uses up an attempt.
4. *Unknown* (no answer in time) is resent on the same timetable with the same ids, so that the phone shows one banner.
5. A *lane-wide* throttle, a parked lane or a turn that did not come in time is not the delivery's fault: it is
   postponed and keeps its attempts.
6. After the sixth attempt it is a *dead* letter, with the last reason.
7. When the next time would not come before the event's expiry, it ends as *expired*.

A random draw out of a window (full jitter) keeps a million retries from meeting in the same second.
Sources: FCM asks for at least 10 s before the first retry and exponential backoff with jitter, Apple for backoff after
5xx. Where an answer names a time, that time counts (Retry-After, greylisting by the e-mail channel's table).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from engine.outcomes import Accepted, Outcome, Rejected, Throttled, Unknown, Unreachable
from engine.records.words import End

ATTEMPTS_MAX = 6
FIRST_WAIT_SECONDS = 10.0  # FCM: wait at least 10 s before any retry; every later wait keeps it as its floor
FIRST_WINDOW_SECONDS = 30.0
WINDOW_GROWTH = 3.0
WINDOW_SECONDS_MAX = 900.0

RETRY_AFTER_SECONDS_MIN = 1.0
RETRY_AFTER_SECONDS_MAX = 3600.0  # an absurd header must not silence a lane for years
RETRY_AFTER_JITTER = 0.1  # of the wait, so that those who wait do not wake together
LANE_WAIT_SECONDS = 60.0  # FCM: without Retry-After wait a minute

SLOW_ANSWERS_MIN = 3
SLOW_SHARE_MIN = 0.05
"""From so many throttled answers in a batch the whole lane waits: one busy server would otherwise
hold up a nation for a minute."""


class Ended(NamedTuple):
    """Over, for this reason."""

    end: End
    reason: str


class Again(NamedTuple):
    """Goes out again at that time; `burns_attempt` tells a retry from a postponement."""

    at_ms: int
    reason: str
    burns_attempt: bool
    is_unknown: bool = False


Step = Ended | Again


class Slow(NamedTuple):
    """The whole lane takes nothing until then."""

    until_ms: int
    reason: str


class Park(NamedTuple):
    """The whole lane stops until an operator resumes it."""

    reason: str


def next_step(outcome: Outcome, *, attempt: int, now_ms: int, expires_ms: int, draw: float) -> Step:
    """Decide what becomes of one delivery after an answer.

    Args:
        attempt: the attempt that was answered, 1 for the first.
        draw: a random number in [0, 1).
    """
    match outcome:
        case Accepted():
            return Ended(End.ACCEPTED, "")
        case Rejected(reason=reason):
            return Ended(End.REJECTED, reason)
        case Throttled(lane_wide=True, reason=reason, retry_after_seconds=seconds):
            return postpone(reason, now_ms=now_ms, expires_ms=expires_ms, at_ms=_after(now_ms, seconds, draw))
        case Throttled(reason=reason, retry_after_seconds=None):
            return _retry(reason, attempt, now_ms, expires_ms, draw)
        case Throttled(reason=reason, retry_after_seconds=seconds):
            return _burn(reason, attempt, _after(now_ms, seconds, draw), expires_ms)
        case Unreachable(park=True, reason=reason):
            return postpone(reason, now_ms=now_ms, expires_ms=expires_ms, at_ms=now_ms)
        case Unreachable(reason=reason):
            return _retry(reason, attempt, now_ms, expires_ms, draw)
        case Unknown(reason=reason):
            step = _retry(reason, attempt, now_ms, expires_ms, draw)
            return step._replace(is_unknown=True) if isinstance(step, Again) else step


def postpone(reason: str, *, now_ms: int, expires_ms: int, at_ms: int) -> Step:
    """Let a delivery wait until `at_ms` without using up an attempt (parked lane: now, and the lane holds it)."""
    if max(at_ms, now_ms) >= expires_ms:
        return Ended(End.EXPIRED, "")
    return Again(at_ms, reason, burns_attempt=False)


def lane_step(outcomes: Sequence[Outcome], *, now_ms: int, draw: float) -> Slow | Park | None:
    """Decide what a batch of answers means for the lane: parking beats slowing, the longest wait wins.

    A few throttled answers among many good ones slow nobody but themselves, unless they are certain.
    """
    until_ms, slow_reason, throttled, is_certain = 0, "", 0, False
    for outcome in outcomes:
        if isinstance(outcome, Unreachable) and outcome.park:
            return Park(outcome.reason)
        if isinstance(outcome, Throttled) and outcome.lane_wide:
            throttled += 1
            is_certain = is_certain or outcome.is_certain
            at_ms = _after(now_ms, outcome.retry_after_seconds, draw)
            if at_ms > until_ms:
                until_ms, slow_reason = at_ms, outcome.reason
    is_slow = is_certain or throttled >= max(SLOW_ANSWERS_MIN, SLOW_SHARE_MIN * len(outcomes))
    return Slow(until_ms, slow_reason) if is_slow else None


def wait_seconds(attempt: int, draw: float) -> float:
    """The wait after a failed attempt: a draw out of a window that grows from 30 s to 15 minutes."""
    window = min(WINDOW_SECONDS_MAX, FIRST_WINDOW_SECONDS * WINDOW_GROWTH ** (attempt - 1))
    return FIRST_WAIT_SECONDS + draw * (window - FIRST_WAIT_SECONDS)


def _retry(reason: str, attempt: int, now_ms: int, expires_ms: int, draw: float) -> Step:
    return _burn(reason, attempt, now_ms + round(1000 * wait_seconds(attempt, draw)), expires_ms)


def _burn(reason: str, attempt: int, at_ms: int, expires_ms: int) -> Step:
    if attempt >= ATTEMPTS_MAX:
        return Ended(End.DEAD, reason)
    if at_ms >= expires_ms:
        return Ended(End.EXPIRED, "")
    return Again(at_ms, reason, burns_attempt=True)


def _after(now_ms: int, seconds: float | None, draw: float) -> int:
    """When a Retry-After is over: clamped, with a little jitter. NaN counts as the longest wait."""
    asked = LANE_WAIT_SECONDS if seconds is None else seconds
    clamped = (
        max(min(asked, RETRY_AFTER_SECONDS_MAX), RETRY_AFTER_SECONDS_MIN)
        if asked == asked
        else (RETRY_AFTER_SECONDS_MAX)
    )
    return now_ms + round(1000 * clamped * (1 + RETRY_AFTER_JITTER * draw))
