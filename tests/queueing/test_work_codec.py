"""Packed records read back as they were written."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.records.roster import Roster, numbers_of, pack, roster_of, unpack
from engine.records.words import Urgency
from queueing.work.codec import covers, pack_mark, pack_slice, unpack_marks, unpack_slice
from queueing.work.references import queue_name, queue_parts, slice_reference
from tests.queueing.work_examples import event, piece

PEOPLE = st.sets(st.integers(0, 3000), max_size=120) | st.integers(0, 2000).map(lambda n: set(range(n, n + 600)))
ROSTERS = PEOPLE.map(roster_of)


@given(ROSTERS)
def test_a_roster_reads_back(roster: Roster) -> None:
    assert unpack(pack(roster)) == roster


@given(ROSTERS, st.integers(0, 5), st.booleans(), st.sampled_from(list(Urgency)))
def test_a_slice_reads_back_with_its_reference(roster: Roster, attempt: int, is_retry: bool, urgency: Urgency) -> None:
    one = event(urgency=urgency)
    slice_ = piece(one, "3.1.4", people=numbers_of(roster), attempt=attempt, is_retry=is_retry, due_ms=attempt * 7)
    reference = slice_reference(slice_)
    assert unpack_slice(pack_slice(slice_, reference), one.shard) == (slice_, reference)


@given(st.lists(st.tuples(PEOPLE, st.integers(0, 1 << 42)), min_size=1, max_size=4))
def test_marks_add_up(marks: list[tuple[set[int], int]]) -> None:
    packed = b"".join(pack_mark(roster_of(people), now_ms) for people, now_ms in marks)
    at_ms, roster = unpack_marks(packed)
    assert at_ms == marks[-1][1]
    assert set(numbers_of(roster)) == set().union(*(people for people, _ in marks))


@given(PEOPLE, st.lists(PEOPLE, max_size=4))
def test_parts_cover_a_whole_when_each_person_is_in_exactly_one(whole: set[int], parts: list[set[int]]) -> None:
    everyone = sorted(number for part in parts for number in part)
    assert covers(roster_of(whole), [roster_of(part) for part in parts]) == (everyone == sorted(whole))


@given(PEOPLE, st.data())
def test_a_split_covers_its_whole_and_a_fault_is_seen(whole: set[int], data: st.DataObject) -> None:
    cut = data.draw(st.sets(st.sampled_from(sorted(whole)))) if whole else set()
    parts = [roster_of(cut), roster_of(whole - cut), {}, {5: 0}]
    assert covers(roster_of(whole), parts)
    if whole:
        wrong = data.draw(st.sampled_from(sorted(whole)))
        assert not covers(roster_of(whole), [*parts, roster_of([wrong])])
        assert not covers(roster_of(whole - {wrong}), parts)


@pytest.mark.parametrize("lane", ["apns.parent", "email", "+"])
@pytest.mark.parametrize("urgency", Urgency)
def test_a_queue_name_reads_back(lane: str, urgency: Urgency) -> None:
    assert queue_parts(queue_name(lane, urgency)) == (lane, urgency)
