"""Retry: what each answer leads to, and a timetable a human can read."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.outcomes import ACCEPTED, Outcome, Rejected, Throttled, Unknown, Unreachable
from engine.records.words import End
from engine.rules.retry import Again, Ended, Park, Slow, Step, lane_step, next_step, wait_seconds
from tests.rules.people import HOUR_MS, NOON_MS

EXPIRES_MS = NOON_MS + 48 * HOUR_MS


def step(outcome: Outcome, attempt: int = 1, draw: float = 0.5) -> Step:
    return next_step(outcome, attempt=attempt, now_ms=NOON_MS, expires_ms=EXPIRES_MS, draw=draw)


def after_seconds(found: Step) -> float:
    assert isinstance(found, Again)
    return (found.at_ms - NOON_MS) / 1000


@pytest.mark.parametrize(
    ("attempt", "earliest", "middle", "latest"),
    [  # seconds after the failed attempt
        (1, 10, 20, 30),
        (2, 10, 50, 90),
        (3, 10, 140, 270),
        (4, 10, 410, 810),
        (5, 10, 455, 900),
    ],
)
def test_the_push_timetable(attempt: int, earliest: float, middle: float, latest: float) -> None:
    found = [wait_seconds(attempt, draw) for draw in (0.0, 0.5, 1.0)]
    assert found == [earliest, middle, latest]


@pytest.mark.parametrize(
    ("outcome", "expected"),
    [
        (ACCEPTED, Ended(End.ACCEPTED, "")),
        (Rejected(reason="PayloadTooLarge", our_fault=True), Ended(End.REJECTED, "PayloadTooLarge")),
        (Unreachable(reason="503"), Again(NOON_MS + 20_000, "503", burns_attempt=True)),
        (Unknown(reason="timeout"), Again(NOON_MS + 20_000, "timeout", burns_attempt=True, is_unknown=True)),
        (Unreachable(reason="403", park=True), Again(NOON_MS, "403", burns_attempt=False)),
        (Throttled(reason="429", lane_wide=True), Again(NOON_MS + 63_000, "429", burns_attempt=False)),
        (
            Throttled(reason="429", lane_wide=True, retry_after_seconds=20),
            Again(NOON_MS + 21_000, "429", burns_attempt=False),
        ),
        (Throttled(reason="busy", lane_wide=False), Again(NOON_MS + 20_000, "busy", burns_attempt=True)),
        (
            Throttled(reason="busy", lane_wide=False, retry_after_seconds=100),
            Again(NOON_MS + 105_000, "busy", burns_attempt=True),
        ),
    ],
)
def test_what_an_answer_leads_to(outcome: Outcome, expected: Step) -> None:
    assert step(outcome) == expected


@pytest.mark.parametrize(
    ("asked", "waited"),
    [(-1.0, 1), (0.0, 1), (30.0, 30), (1e9, 3600), (float("inf"), 3600), (float("nan"), 3600)],
)
def test_an_absurd_retry_after_is_clamped(asked: float, waited: float) -> None:
    assert after_seconds(step(Throttled(reason="r", lane_wide=True, retry_after_seconds=asked), draw=0.0)) == waited


@pytest.mark.parametrize(
    "outcome", [Unreachable(reason="r"), Unknown(reason="r"), Throttled(reason="r", lane_wide=False)]
)
def test_the_sixth_failure_is_a_dead_letter(outcome: Outcome) -> None:
    assert isinstance(step(outcome, attempt=5), Again)
    assert step(outcome, attempt=6) == Ended(End.DEAD, "r")


@given(st.integers(1, 50))
def test_waiting_is_not_failing(attempt: int) -> None:
    for outcome in (Throttled(reason="r", lane_wide=True), Unreachable(reason="r", park=True)):
        found = step(outcome, attempt)
        assert isinstance(found, Again)
        assert not found.burns_attempt


outcomes = st.one_of(
    st.builds(Unreachable, reason=st.just("r"), park=st.booleans()),
    st.builds(Unknown, reason=st.just("r")),
    st.builds(
        Throttled,
        reason=st.just("r"),
        lane_wide=st.booleans(),
        retry_after_seconds=st.one_of(st.none(), st.floats()),
    ),
)


@given(outcomes, st.integers(1, 6), st.integers(-10, 4_000_000), st.floats(0, 0.999))
def test_nothing_goes_out_past_expiry(outcome: Outcome, attempt: int, left_ms: int, draw: float) -> None:
    expires_ms = NOON_MS + left_ms
    found = next_step(outcome, attempt=attempt, now_ms=NOON_MS, expires_ms=expires_ms, draw=draw)
    if isinstance(found, Again):
        assert NOON_MS <= found.at_ms < expires_ms
    else:
        assert found.end in (End.EXPIRED, End.DEAD)


def test_a_few_throttled_answers_among_many_do_not_slow_the_lane() -> None:
    busy = Throttled(reason="ServiceUnavailable", lane_wide=True)
    assert lane_step([busy], now_ms=NOON_MS, draw=0) is None
    assert lane_step([busy] * 51 + [ACCEPTED] * 973, now_ms=NOON_MS, draw=0) is None
    assert lane_step([busy] * 52 + [ACCEPTED] * 972, now_ms=NOON_MS, draw=0) == Slow(
        NOON_MS + 60_000, "ServiceUnavailable"
    )


def test_one_answer_about_the_projects_quota_slows_the_whole_lane_for_a_minute_unless_it_says_how_long() -> None:
    quota = Throttled(reason="QUOTA_EXCEEDED", lane_wide=True, is_certain=True)
    assert lane_step([quota] + [ACCEPTED] * 1023, now_ms=NOON_MS, draw=0) == Slow(NOON_MS + 60_000, "QUOTA_EXCEEDED")
    assert lane_step([quota], now_ms=NOON_MS, draw=0.999) == Slow(NOON_MS + 65_994, "QUOTA_EXCEEDED")
    told = Throttled(reason="QUOTA_EXCEEDED", lane_wide=True, retry_after_seconds=17, is_certain=True)
    assert lane_step([told, ACCEPTED], now_ms=NOON_MS, draw=0) == Slow(NOON_MS + 17_000, "QUOTA_EXCEEDED")


def test_a_batch_parks_or_slows_its_lane() -> None:
    slow = [Throttled(reason="a", lane_wide=True, retry_after_seconds=seconds) for seconds in (5, 90, 7)]
    assert lane_step([ACCEPTED, Unknown(reason="u")], now_ms=NOON_MS, draw=0) is None
    assert lane_step([ACCEPTED, *slow], now_ms=NOON_MS, draw=0) == Slow(NOON_MS + 90_000, "a")
    assert lane_step([*slow, Unreachable(reason="bad key", park=True)], now_ms=NOON_MS, draw=0) == Park("bad key")
