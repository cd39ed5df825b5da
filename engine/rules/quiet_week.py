"""Weekly quiet hours as half-hours of the local week: 0 is Monday 00:00, 335 is Sunday 23:30."""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache

from engine.records.person import QuietHours

HALF_HOURS_OF_A_DAY = 48
HALF_HOURS_OF_A_WEEK = 7 * HALF_HOURS_OF_A_DAY


def quiet_half_hours(hours: Iterable[QuietHours]) -> frozenset[int]:
    """The half-hours that are quiet. `until` at or before `from` ends the next day; Sunday runs into Monday."""
    quiet: set[int] = set()
    for entry in hours:
        quiet.update(half_hours(entry.days, entry.start, entry.until))
    return frozenset(quiet)


@lru_cache(maxsize=4096)  # people choose few different schedules
def half_hours(days: tuple[int, ...], start: str, until: str) -> frozenset[int]:
    """The half-hours of one entry; `start` and `until` are local times, `21:30` for example."""
    first, last = _of_the_day(start), _of_the_day(until)
    length = (last - first - 1) % HALF_HOURS_OF_A_DAY + 1  # equal times are a whole day
    return frozenset(
        (day * HALF_HOURS_OF_A_DAY + first + step) % HALF_HOURS_OF_A_WEEK for day in days for step in range(length)
    )


def _of_the_day(clock: str) -> int:
    return int(clock[:2]) * 2 + (clock[3:] == "30")
