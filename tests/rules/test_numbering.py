"""Event numbers: their shape, order and home."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.records.event import SHARD_COUNT, event_number, public_id
from engine.rules.numbering import DRAW_BITS, home_shard, propose_number

TIMES = st.integers(0, (1 << 42) - 1)
WORDS = st.text(max_size=20)


@given(WORDS, WORDS, WORDS, TIMES, st.integers(0, 1 << 40))
def test_a_number_fits_63_bits_and_says_its_time_and_home(
    tenant: str, source: str, id: str, now: int, draw: int
) -> None:
    number = propose_number(tenant, source, id, now, draw)
    assert 0 <= number < 1 << 63
    assert number // (SHARD_COUNT << DRAW_BITS) == now
    assert number % SHARD_COUNT == home_shard(tenant, source, id)
    assert event_number(public_id(number)) == number


@given(TIMES, TIMES, st.integers(0, 1 << 17), st.integers(0, 1 << 17))
def test_numbers_stand_in_the_order_of_their_milliseconds(one: int, other: int, draw: int, other_draw: int) -> None:
    first, second = propose_number("dk", "/s", "1", one, draw), propose_number("dk", "/s", "2", other, other_draw)
    assert one == other or (first < second) == (one < other)


def test_a_counting_draw_never_repeats_within_a_millisecond() -> None:
    assert len({propose_number("dk", "/s", "1", 1, draw) for draw in range(1 << 17)}) == 1 << 17


def test_the_parts_of_the_key_are_kept_apart_and_all_shards_are_used() -> None:
    homes = [home_shard("dk", "/s", str(id)) for id in range(4000)]
    assert all(150 < homes.count(shard) < 350 for shard in range(SHARD_COUNT))
    assert len({home_shard(*words) for words in (("a", "b", str(n)) for n in range(99))}) == SHARD_COUNT
    assert [home_shard("ab", "c", str(n)) for n in range(32)] != [home_shard("a", "bc", str(n)) for n in range(32)]


@pytest.mark.parametrize("now_ms", [-1, 1 << 42])
def test_a_time_out_of_range_is_refused(now_ms: int) -> None:
    with pytest.raises(ValueError, match="now_ms"):
        propose_number("dk", "/s", "1", now_ms, 0)
