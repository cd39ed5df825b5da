"""How much and how fast: sizes, deadlines, a service's share, and who waits when the engine is busy. Pure.

The sizes are those of docs/api.md. Header sizes and header deadlines are kept by serving.py.
"""

from __future__ import annotations

from typing import NamedTuple

import msgspec

from engine.records.words import Urgency

EVENT_BYTES_MAX = 256 * 1024
BATCH_BYTES_MAX = 4 * 1024 * 1024
BATCH_EVENTS_MAX = 1_000
IMPORT_BYTES_MAX = 8 * 1024 * 1024
IMPORT_LINES_MAX = 50_000  # each may be refused with a sentence of its own
CHANGE_BYTES_MAX = 256 * 1024

BODY_SECONDS_MAX = 20.0  # a body of 256 KiB at 13 KiB/s; a slower sender holds memory for nothing
LARGE_BODY_SECONDS_MAX = 120.0
ADMIT_SECONDS_MAX = 10.0  # a frozen store: answer 503 rather than hold the caller
READY_SECONDS_MAX = 2.0

EVENTS_WAITING_MAX = 20_000  # about four seconds of work; what waits longer is better sent again later
_SHARES: dict[Urgency, float] = {
    Urgency.BULK: 0.5,
    Urgency.NORMAL: 0.75,
    Urgency.URGENT: 0.9,
    Urgency.EMERGENCY: 1.0,
}
_DAY_SECONDS = 86_400


def is_shed(urgency: Urgency, waiting: int) -> bool:
    """Whether an event of this urgency is turned away while so many wait for the store: the least urgent first."""
    return waiting >= EVENTS_WAITING_MAX * _SHARES[urgency]


class Verdict(NamedTuple):
    """Whether events are let in; when not, which limit says so and when to come back."""

    refused_by: str | None
    wait_seconds: int


_LET_IN = Verdict(None, 0)


class Share(msgspec.Struct):
    """What one service has used of its events a second and a day (0: no bound). A bucket holds two seconds' worth."""

    rate_per_second: int
    per_day: int
    tokens: float = 0.0
    filled_seconds: float = float("-inf")
    day: int = -1
    used: int = 0

    def take(self, events: int, now_seconds: float) -> Verdict:
        """Take the room for events, or say when there is some. A batch larger than the bucket needs a full one."""
        day = int(now_seconds // _DAY_SECONDS)
        if day != self.day:
            self.day, self.used = day, 0
        if self.per_day and self.used + events > self.per_day:
            return Verdict("quota", int((day + 1) * _DAY_SECONDS - now_seconds) + 1)
        if self.rate_per_second:
            wait_seconds = self._fill_and_take(events, now_seconds)
            if wait_seconds:
                return Verdict("rate-limit", wait_seconds)
        self.used += events
        return _LET_IN

    def _fill_and_take(self, events: int, now_seconds: float) -> int:
        room = 2.0 * self.rate_per_second
        gained = max(0.0, now_seconds - self.filled_seconds) * self.rate_per_second
        self.tokens, self.filled_seconds = min(room, self.tokens + gained), now_seconds
        needed = min(events, room)
        if self.tokens >= needed:
            self.tokens -= events  # may go below zero: a large batch is paid off before the next
            return 0
        return int((needed - self.tokens) / self.rate_per_second) + 1
