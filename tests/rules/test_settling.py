"""Settlements: groups of ends, at most four children, conservation."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.records.roster import headcount, numbers_of, roster_of
from engine.records.words import End
from engine.records.work import Settled, Settlement
from engine.rules import roster as rosters
from engine.rules.retry import Again, Ended, Step
from engine.rules.settling import check, children_of, ends_of, settlement, whole
from tests.rules.people import NOON_MS, claim

steps = st.one_of(
    st.builds(Ended, st.sampled_from([End.ACCEPTED, End.REJECTED, End.DEAD]), st.sampled_from(["", "a", "b"])),
    st.builds(
        Again,
        st.integers(NOON_MS, NOON_MS + 100_000),
        st.just("r"),
        burns_attempt=st.booleans(),
        is_unknown=st.just(False),
    ),
)


@given(st.dictionaries(st.integers(0, 700), steps, min_size=1, max_size=40))
def test_every_person_of_a_slice_is_settled_once(became: dict[int, Step]) -> None:
    ends, again = ends_of(became.items())
    children = children_of(again, attempt=2)
    settled = settlement(claim(set(became), attempt=2), NOON_MS, ends, children, stamp="9-0")
    check(settled)
    assert len(settled.children) <= 4
    due = {number: child.due_ms for child in settled.children for number in numbers_of(child.people)}
    attempts = {number: child.attempt for child in settled.children for number in numbers_of(child.people)}
    for number, found in became.items():
        if isinstance(found, Again):
            assert due[number] >= found.at_ms
            assert attempts[number] == (3 if found.burns_attempt else 2)
        else:
            group = next(group for group in settled.ends if rosters.contains(group.people, number))
            assert (group.end, group.reason) == found


def test_retries_are_split_by_due_time_into_four() -> None:
    again = [(number, Again(NOON_MS + number * 100, "503", burns_attempt=True)) for number in range(401)]
    children = children_of(again, attempt=1)
    assert [headcount(child.people) for child in children] == [100, 100, 100, 101]
    assert [child.due_ms - NOON_MS for child in children] == [9_900, 19_900, 29_900, 40_000]
    assert all(child.is_retry and child.attempt == 2 for child in children)


def test_unknown_outcomes_are_counted() -> None:
    again = [(n, Again(NOON_MS, "timeout", burns_attempt=True, is_unknown=n < 3)) for n in range(5)]
    settled = settlement(claim(set(range(5))), NOON_MS, [], children_of(again, 1), stamp="9-0")
    assert settled.unknown == 3
    assert [child.id for child in settled.children] == ["0.0"]
    assert settled.children[0].stamp == "9-0"


def test_somebody_settled_twice_or_not_at_all_is_noticed() -> None:
    of = claim({1, 2})
    one = Settled(end=End.ACCEPTED, reason="", people=roster_of([1]))
    with pytest.raises(ValueError, match="twice"):
        check(Settlement(claim=of, at_ms=0, ends=(one, one)))
    with pytest.raises(ValueError, match="not the slice's"):
        check(Settlement(claim=of, at_ms=0, ends=(one,)))
    check(whole(of, 0, End.CANCELLED))
