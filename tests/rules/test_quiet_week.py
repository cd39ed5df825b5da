"""Weekly quiet hours, against a walk through the week minute by minute."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.records.person import QuietHours
from engine.rules.quiet_week import HALF_HOURS_OF_A_WEEK, quiet_half_hours

clocks = st.builds(lambda hour, half: f"{hour:02d}:{'30' if half else '00'}", st.integers(0, 23), st.booleans())
hours = st.builds(QuietHours, days=st.lists(st.integers(0, 6), max_size=7).map(tuple), start=clocks, until=clocks)


def minutes_walked(entry: QuietHours) -> set[int]:
    """Start each day's quiet time and walk on, minute by minute, until the clock shows `until`."""
    quiet = set()
    for day in entry.days:
        at = day * 1440 + int(entry.start[:2]) * 60 + int(entry.start[3:])
        while True:
            quiet.add(at % (7 * 1440))
            at += 1
            if f"{at % 1440 // 60:02d}:{at % 60:02d}" == entry.until:
                break
    return quiet


@given(st.lists(hours, max_size=3))
def test_half_hours_equal_a_walk_through_the_week(entries: list[QuietHours]) -> None:
    minutes = set().union(*map(minutes_walked, entries))
    expected = {at for at in range(HALF_HOURS_OF_A_WEEK) if at * 30 in minutes}
    assert quiet_half_hours(entries) == expected


@pytest.mark.parametrize(
    ("days", "start", "until", "expected"),
    [
        ((0,), "07:00", "08:00", {14, 15}),
        ((0,), "22:30", "01:00", {45, 46, 47, 48, 49}),  # until <= from ends the next day
        ((6,), "23:30", "00:30", {335, 0}),  # Sunday night runs into Monday
        ((2,), "12:00", "12:00", set(range(2 * 48 + 24, 3 * 48 + 24))),  # equal times: a whole day
        ((), "12:00", "13:00", set()),
    ],
)
def test_nights_and_weekends(days: tuple[int, ...], start: str, until: str, expected: set[int]) -> None:
    assert quiet_half_hours([QuietHours(days=days, start=start, until=until)]) == expected
