"""The memory of changes equals looking through the whole journal."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from engine.rules.journal import Journal, stamp_of


def test_stamps_are_numbers_not_text() -> None:
    assert stamp_of("9-1") < stamp_of("10-0")
    assert stamp_of("5-9") < stamp_of("5-10")
    assert stamp_of("0") == (0, 0)


def test_a_slice_is_touched_when_its_block_or_roster_changed_after_its_stamp() -> None:
    journal = Journal("10-0")
    journal.learn("10-0", "20-0", [3], ["group/3b/guardian"])
    assert journal.is_touched("10-0", [1, 3], [])
    assert journal.is_touched("10-0", [], ["group/3b/guardian"])
    assert not journal.is_touched("10-0", [1, 2], ["group/3b/pupil"])
    assert not journal.is_touched("20-0", [3], ["group/3b/guardian"])


def test_a_stamp_from_before_the_memory_is_touched_until_read_back() -> None:
    journal = Journal("10-0")
    assert journal.is_touched("5-0", [1], [])
    assert journal.reach_back_to(["12-0", "7-0", "5-0"]) == "5-0"
    journal.learn("5-0", "10-0", [2], [])
    assert not journal.is_touched("5-0", [1], [])
    assert journal.is_touched("5-0", [2], [])
    assert journal.reach_back_to(["5-0", "6-0"]) is None


def test_what_the_journal_forgot_stays_touched_and_is_not_asked_again() -> None:
    journal = Journal("10-0")
    journal.lost("5-0", "11-0")
    assert journal.reach_back_to(["5-0", "4-0"]) is None
    assert journal.reach_back_to(["6-0"]) == "6-0"
    assert journal.is_touched("5-0", [1], [])
    assert not journal.is_touched("10-0", [1], [])


def test_a_gap_at_our_own_end_begins_anew() -> None:
    journal = Journal("10-0")
    journal.learn("10-0", "20-0", [1], [])
    journal.lost("20-0", "90-0")
    assert journal.newest == "90-0"
    assert journal.is_touched("20-0", [7], [])
    assert not journal.is_touched("90-0", [1], [])


@given(
    st.lists(st.tuples(st.integers(0, 5), st.integers(1, 4)), max_size=20),
    st.lists(st.integers(0, 20), max_size=5),
    st.integers(0, 20),
    st.integers(0, 20),
    st.frozensets(st.integers(0, 5), max_size=2),
)
def test_no_change_is_ever_missed(
    changes: list[tuple[int, int]], reads: list[int], start: int, planned: int, blocks: frozenset[int]
) -> None:
    """Changes carry rising stamps; the memory starts somewhere, reads on at some points, and is asked at the end."""
    log: list[tuple[int, int]] = []
    at = 0
    for block, step in changes:
        at += step
        log.append((at, block))
    journal = Journal(f"{start}-0")

    def read(since: str, until: int) -> None:
        low = stamp_of(since)[0]
        found = {block for stamp, block in log if low < stamp <= until}
        journal.learn(since, f"{max(low, until)}-0", found, [])

    for until in sorted(reads):
        read(journal.newest, until)
    end = max(at, stamp_of(journal.newest)[0])
    if back := journal.reach_back_to([f"{planned}-0"]):
        read(back, end)
    read(journal.newest, end)
    if any(stamp > planned and block in blocks for stamp, block in log):
        assert journal.is_touched(f"{planned}-0", blocks, [])
