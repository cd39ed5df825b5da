"""Roster algebra equals set algebra."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.records.roster import BLOCK_SIZE, FULL_MASK, Roster, headcount, numbers_of, roster_of
from engine.rules import roster as rosters
from tests.rules.people import numbers, people


@given(st.lists(people, max_size=4))
def test_union_is_the_union_of_sets(sets: list[frozenset[int]]) -> None:
    assert rosters.union(*map(roster_of, sets)) == roster_of(frozenset().union(*sets))


@given(people, people)
def test_minus_and_intersect_are_those_of_sets(one: frozenset[int], other: frozenset[int]) -> None:
    assert rosters.minus(roster_of(one), roster_of(other)) == roster_of(one - other)
    assert rosters.intersect(roster_of(one), roster_of(other)) == roster_of(one & other)


@given(people, st.integers(-1, 70))
def test_cut_takes_the_first_people_in_order(members: frozenset[int], count: int) -> None:
    taken, rest = rosters.cut(roster_of(members), count)
    ordered = sorted(members)
    assert list(numbers_of(taken)) == ordered[: max(count, 0)]
    assert list(numbers_of(rest)) == ordered[max(count, 0) :]
    assert all(taken.values())
    assert all(rest.values())


@given(st.integers(0, FULL_MASK), st.integers(0, BLOCK_SIZE))
def test_lowest_bits_are_a_prefix_of_the_mask(mask: int, count: int) -> None:
    lowest = rosters.lowest_bits(mask, count)
    assert lowest.bit_count() == min(count, mask.bit_count())
    assert lowest & mask == lowest
    left = mask ^ lowest
    assert not left or lowest.bit_length() <= (left & -left).bit_length()


@given(st.dictionaries(st.integers(0, 60), st.integers(0, FULL_MASK), max_size=30), st.integers(256, 1024))
def test_slices_are_bounded_ascending_and_lose_nobody(roster: Roster, most: int) -> None:
    pieces = list(rosters.slices(roster, most))
    assert rosters.union(*pieces) == rosters.union(roster)
    assert all(0 < headcount(piece) <= most for piece in pieces)
    blocks = [block for piece in pieces for block in sorted(piece)]
    assert blocks == sorted(set(blocks))


def test_full_blocks_are_cut_four_to_a_slice() -> None:
    pieces = list(rosters.slices(dict.fromkeys(range(9), FULL_MASK)))
    assert [sorted(piece) for piece in pieces] == [[0, 1, 2, 3], [4, 5, 6, 7], [8]]


def test_slices_smaller_than_a_block_are_refused() -> None:
    with pytest.raises(ValueError, match="at least 256"):
        list(rosters.slices({0: 1}, 255))


@given(st.frozensets(st.integers(0, 20_000), max_size=80))
def test_parts_go_by_block_and_add_up(members: frozenset[int]) -> None:
    parts = rosters.by_shard(roster_of(members))
    assert rosters.union(*parts.values()) == roster_of(members)
    assert all(block % 16 == shard for shard, part in parts.items() for block in part)


@given(people, numbers)
def test_contains_asks_for_one_person(members: frozenset[int], number: int) -> None:
    assert rosters.contains(roster_of(members), number) == (number in members)


@given(people, st.integers(1, 3))
def test_chunks_hold_a_few_blocks_each(members: frozenset[int], most: int) -> None:
    chunks = list(rosters.chunks_of_blocks(roster_of(members), most))
    assert rosters.union(*chunks) == roster_of(members)
    assert all(1 <= len(chunk) <= most for chunk in chunks)
