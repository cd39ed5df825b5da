"""The mass guard, the breaker and the table of a delivery's life."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.outcomes import ACCEPTED, Rejected, Throttled, Unknown, Unreachable
from engine.records.words import End
from engine.rules.breaker import Breaker, failure_count
from engine.rules.lifecycle import ENDS, TRANSITIONS, Happening, State, after
from engine.rules.mass_guard import MassGuard, gone_count

GONE = Rejected(reason="BadDeviceToken", endpoint_gone=True)


@pytest.mark.parametrize(
    ("batches", "trips"),
    [
        ([(1000, 50)], False),  # exactly 5 % of the window is not above it
        ([(1000, 51)], True),
        ([(200, 49)], False),  # fewer than 50 stop nothing at a small share
        ([(200, 50)], True),
        ([(46, 46)], True),  # one class message after a start with a wrong topic
        ([(60, 31)], True),
        ([(60, 30)], False),  # half is no majority
        ([(20, 19)], False),
        ([(10, 10), (9, 9)], False),
        ([(10, 10), (10, 10)], True),
        ([(1000, 0), (46, 46)], False),
        ([(1000, 0), (1000, 0), (51, 51)], False),  # 51 of 1,051 is below 5 %
        ([(1000, 0), (1000, 0), (60, 60)], True),
        ([(500, 49), (1000, 0), (500, 49)], False),  # the first ones have left the window
        ([(100, 5)] * 30, False),
    ],
)
def test_the_guard_trips_above_five_percent_and_fifty(batches: list[tuple[int, int]], trips: bool) -> None:
    guard = MassGuard()
    assert [guard.trips(*batch) for batch in batches][-1] is trips


def test_a_tripped_guard_starts_afresh() -> None:
    guard = MassGuard()
    assert guard.trips(100, 100)
    assert not guard.trips(100, 40)
    assert guard.trips(10, 10)


def test_only_gone_endpoints_are_counted() -> None:
    assert gone_count([ACCEPTED, GONE, Rejected(reason="PayloadTooLarge"), Unknown(reason="t"), GONE]) == 2


def test_the_breaker_waits_longer_each_time_until_one_answer_is_different() -> None:
    breaker = Breaker()
    assert breaker.hear(10, 10) is None
    assert [breaker.hear(10, 10) for _ in range(6)] == [5, 10, 20, 40, 60, 60]
    assert breaker.hear(10, 9) is None
    assert breaker.hear(19, 19) is None
    assert breaker.hear(1, 1) == 5
    assert breaker.hear(0, 0) is None


def test_unreachable_and_unknown_are_failures() -> None:
    assert failure_count([ACCEPTED, Unreachable(reason="r"), Unknown(reason="r"), GONE]) == 2
    busy = [Throttled(reason="503", lane_wide=True), Throttled(reason="429", lane_wide=False)]
    assert failure_count(busy) == 1  # one device that is asked too often says nothing about the provider


def test_only_what_was_marked_can_be_answered() -> None:
    with pytest.raises(ValueError, match="in_hand"):
        after(State.IN_HAND, Happening.ENDED, End.ACCEPTED)
    with pytest.raises(ValueError, match="waiting"):
        after(State.WAITING, Happening.MARKED)
    assert after(State.MARKED, Happening.ENDED, End.ACCEPTED) is End.ACCEPTED


def test_every_end_can_be_reached_and_every_state_left() -> None:
    assert frozenset().union(*ENDS.values()) == set(End)
    assert set(TRANSITIONS) == set(ENDS) == set(State)


@given(st.lists(st.sampled_from([*Happening]), max_size=12), st.sampled_from(End))
def test_nothing_unmarked_is_ever_accepted(history: list[Happening], end: End) -> None:
    state: State | End = State.WAITING
    was_marked = False
    for happening in history:
        if isinstance(state, End):
            return
        try:
            state = after(state, happening, end)
        except ValueError:
            continue
        was_marked = was_marked or state is State.MARKED
    assert was_marked or state not in (End.ACCEPTED, End.REJECTED)
