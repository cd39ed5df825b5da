"""Outcomes in a word, for tables: what an answer means for message, endpoint and lane."""

from __future__ import annotations

from engine.outcomes import Outcome, Rejected, Throttled, Unreachable


def gone(reason: str) -> Outcome:
    return Rejected(reason=reason, endpoint_gone=True)


def fault(reason: str) -> Outcome:
    return Rejected(reason=reason, our_fault=True)


def park(reason: str) -> Outcome:
    return Unreachable(reason=reason, park=True)


def later(reason: str) -> Outcome:
    return Unreachable(reason=reason)


def slow(reason: str, lane_wide: bool, seconds: float | None = None) -> Outcome:
    return Throttled(reason=reason, lane_wide=lane_wide, retry_after_seconds=seconds)


def quota(seconds: float) -> Throttled:
    """The project's quota is used up: one answer speaks for the lane."""
    return Throttled(reason="QUOTA_EXCEEDED", lane_wide=True, retry_after_seconds=seconds, is_certain=True)
