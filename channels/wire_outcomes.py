"""Outcomes that every HTTP provider shares: failures of the connection, and Retry-After. Pure."""

from __future__ import annotations

from email.utils import parsedate_to_datetime

from channels.http2.jobs import OUT_OF_TIME, Failure, FailureKind
from engine.outcomes import Outcome, Throttled, Unknown, Unreachable

RETRY_AFTER_MIN_SECONDS = 1.0
RETRY_AFTER_MAX_SECONDS = 3_600.0  # a provider that asks for more is asked again after an hour

_OPERATOR_MUST_ACT = frozenset({"certificate_refused", "no_http2", "private_address"})


def failure_outcome(failure: Failure) -> Outcome:
    """A failure to send: surely not processed, or unknown.

    A refused certificate parks the lane, and so does a name that leads into a private network: waiting cures neither.
    A push whose turn did not come in time was not sent: the lane is slower than we claim, so it pauses and the push
    keeps its attempts.
    """
    if failure.kind is FailureKind.UNKNOWN:
        return Unknown(reason=failure.reason)
    if failure.reason == OUT_OF_TIME:
        return Throttled(reason=OUT_OF_TIME, lane_wide=True, retry_after_seconds=RETRY_AFTER_MIN_SECONDS)
    return Unreachable(reason=failure.reason, park=failure.reason in _OPERATOR_MUST_ACT)


def unrecognised(status: int) -> Unreachable:
    """The explicit default for an answer that no table knows: try again later, and count it under its class."""
    return Unreachable(reason=f"unrecognised_{status // 100}xx")


def retry_after_seconds(value: bytes | None, now_seconds: float) -> float | None:
    """Read Retry-After (RFC 9110 section 10.2.3), seconds or a date, clamped to 1 s..1 h; None when unreadable."""
    if value is None:
        return None
    text = value.decode("ascii", "replace").strip()
    if text.isascii() and text.isdigit():
        seconds = float(text[:9])
    else:
        try:
            seconds = parsedate_to_datetime(text).timestamp() - now_seconds
        except (ValueError, TypeError, OverflowError, IndexError):
            return None
    return min(max(seconds, RETRY_AFTER_MIN_SECONDS), RETRY_AFTER_MAX_SECONDS)
