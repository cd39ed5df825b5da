"""Quiet hours: half-hours of the Danish week, DST nights, and rippling equals asking each person."""

from __future__ import annotations

from datetime import datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.records.roster import Roster, numbers_of, roster_of
from engine.records.words import Channel, Urgency
from engine.rules import quiet
from engine.rules.quiet import HALF_HOUR_MS, half_hour
from tests.rules.people import HOUR_MS

WEEK_MS = 7 * 24 * HOUR_MS
COPENHAGEN = ZoneInfo("Europe/Copenhagen")


def ms(text: str, fold: int = 0) -> int:
    """Local time in Copenhagen; fold 1 is the second of a time that comes twice."""
    return int(datetime.fromisoformat(text).replace(tzinfo=COPENHAGEN, fold=fold).timestamp() * 1000)


def index(day: int, hour: int, minute: int = 0) -> int:
    return day * 48 + hour * 2 + minute // 30


def due(now_ms: int, quiet_from_until: tuple[int, int], expires_ms: int) -> int:
    """When a person who is quiet in these half-hours (inclusive, exclusive) is released."""
    planes = {f"quiet.{at}": {0: 1} for at in range(*quiet_from_until)}
    held: Roster = {0: 1}
    for steps in quiet.windows(now_ms, expires_ms):
        releases, held = quiet.ripple(held, steps, planes)
        if releases:
            return releases[0].at_ms
    return quiet.horizon_ms(now_ms, expires_ms)


@pytest.mark.parametrize(
    ("local", "expected"),
    [
        ("2026-03-09 00:00", index(0, 0)),
        ("2026-03-09 00:29:59", index(0, 0)),
        ("2026-03-09 00:30", index(0, 0, 30)),
        ("2026-03-15 23:59", 335),
        ("2026-07-01 12:00", index(2, 12)),
        ("2026-03-29 01:59", index(6, 1, 30)),
        ("2026-03-29 03:00", index(6, 3)),
    ],
)
def test_a_moment_lies_in_a_half_hour_of_the_local_week(local: str, expected: int) -> None:
    assert half_hour(ms(local)) == expected


def test_the_hour_that_comes_twice_has_the_same_planes_twice() -> None:
    first, second = ms("2026-10-25 02:30"), ms("2026-10-25 02:30", fold=1)
    assert second - first == HOUR_MS
    assert half_hour(first) == half_hour(second) == index(6, 2, 30)


@pytest.mark.parametrize(
    ("now", "quiet_hours", "release"),
    [
        # a plain night: Thursday 22:00 to Friday 07:00
        ("2026-03-12 23:10", (index(3, 22), index(4, 7)), "2026-03-13 07:00"),
        # 29 March 2026: 02:00-03:00 is missing; quiet until 02:30 ends when 03:00 begins
        ("2026-03-29 01:10", (index(6, 0), index(6, 2, 30)), "2026-03-29 03:00"),
        ("2026-03-28 23:00", (index(5, 22), index(6, 7)), "2026-03-29 07:00"),
        # 25 October 2026: 02:00-03:00 comes twice; quiet until 02:30 ends the first time, and holds again the second
        ("2026-10-25 01:10", (index(6, 0), index(6, 2, 30)), "2026-10-25 02:30"),
        ("2026-10-24 23:00", (index(5, 22), index(6, 7)), "2026-10-25 07:00"),
    ],
)
def test_held_people_are_released_when_their_quiet_hours_end(
    now: str, quiet_hours: tuple[int, int], release: str
) -> None:
    assert due(ms(now), quiet_hours, ms(now) + WEEK_MS) == ms(release)


def test_the_summer_night_is_an_hour_shorter_and_the_winter_night_an_hour_longer() -> None:
    nights = (index(5, 22), index(6, 7))
    spring, autumn = ms("2026-03-28 22:00"), ms("2026-10-24 22:00")
    assert due(spring, nights, spring + WEEK_MS) - spring == 8 * HOUR_MS
    assert due(autumn, nights, autumn + WEEK_MS) - autumn == 10 * HOUR_MS


def test_quiet_until_half_past_two_is_quiet_in_both_first_halves_of_the_hour_that_comes_twice() -> None:
    in_the_second_two_o_clock = ms("2026-10-25 02:10", fold=1)
    release = due(in_the_second_two_o_clock, (index(6, 0), index(6, 2, 30)), in_the_second_two_o_clock + WEEK_MS)
    assert release == ms("2026-10-25 02:30", fold=1)


def test_who_is_quiet_all_week_is_asked_again_after_a_week_or_held_until_expiry() -> None:
    now = ms("2026-03-12 12:00")
    assert due(now, (0, 336), now + 30 * 24 * HOUR_MS) == now + WEEK_MS
    assert due(now, (0, 336), now + HOUR_MS) == now + HOUR_MS


def test_no_window_reaches_beyond_expiry() -> None:
    now = ms("2026-03-12 12:00")
    assert [len(steps) for steps in quiet.windows(now, now + 90 * 60_000)] == [2]
    assert sum(len(steps) for steps in quiet.windows(now, now + 2 * WEEK_MS)) == quiet.WEEK_STEPS


@pytest.mark.parametrize(
    ("urgency", "channel", "expected"),
    [
        (Urgency.EMERGENCY, Channel.PUSH, False),
        (Urgency.URGENT, Channel.PUSH, True),
        (Urgency.NORMAL, Channel.EMAIL, True),
        (Urgency.NORMAL, Channel.INAPP, False),
    ],
)
def test_emergencies_and_the_inbox_pass_quiet_hours(urgency: Urgency, channel: Channel, expected: bool) -> None:
    assert quiet.respects_quiet(urgency, channel) is expected


@given(
    st.integers(ms("2026-03-20 00:00"), ms("2026-11-01 00:00")),
    st.dictionaries(st.integers(0, 600), st.frozensets(st.integers(0, 335), max_size=330), max_size=8),
    st.integers(1, 9 * 24 * 60),
)
def test_rippling_equals_asking_each_person(
    now_ms: int, weeks: dict[int, frozenset[int]], minutes_to_expiry: int
) -> None:
    expires_ms = now_ms + minutes_to_expiry * 60_000
    planes = {f"quiet.{at}": roster_of(n for n, week in weeks.items() if at in week) for at in range(336)}
    held = roster_of(weeks)
    found: dict[int, int] = {}
    for steps in quiet.windows(now_ms, expires_ms):
        releases, held = quiet.ripple(held, steps, planes)
        found.update((number, release.at_ms) for release in releases for number in numbers_of(release.people))
    found.update(dict.fromkeys(numbers_of(held), quiet.horizon_ms(now_ms, expires_ms)))

    def alone(week: frozenset[int]) -> int:
        moment = (now_ms // HALF_HOUR_MS + 1) * HALF_HOUR_MS
        end = min(expires_ms, now_ms // HALF_HOUR_MS * HALF_HOUR_MS + WEEK_MS)
        while moment < expires_ms and moment <= end:
            local = datetime.fromtimestamp(moment / 1000, COPENHAGEN)
            if index(local.weekday(), local.hour, local.minute) not in week:
                return moment
            moment += HALF_HOUR_MS
        return end

    assert found == {number: alone(week) for number, week in weeks.items()}
