"""What became of one person: the fold as a table, and once against the store."""

from __future__ import annotations

import pytest

from engine.records.roster import Roster, roster_of
from engine.records.words import Channel, End, Reason, Stop
from engine.records.work import PersonStep, Suppressed
from queueing.work import StoreWork
from queueing.work.codec import LedgerEntry, PartAudience
from queueing.work.live import LiveSlice
from queueing.work.stories import tell
from tests.queueing.work_examples import (
    EMAIL,
    INAPP,
    LEASE_MS,
    NOW_MS,
    PUSH,
    claimed,
    event,
    part,
    piece,
    planned,
    settlement,
)

ME, OTHER = 300, 301
MINE = roster_of([ME])
OTHERS = roster_of([OTHER])
AUDIENCE = PartAudience(roster_of([ME, OTHER]), ())


def entry(at_ms: int, *ends: tuple[End, str, Roster], marked: Roster | None = None, attempt: int = 1) -> LedgerEntry:
    return LedgerEntry(at_ms, PUSH, 1, attempt, ends, marked or {})


def live(epoch: int = 0, *, marked: bool = False, due_ms: int = 0, attempt: int = 1, mine: bool = True) -> LiveSlice:
    people = [ME] if mine else [OTHER]
    slice_ = piece(event(), people=people, due_ms=due_ms, attempt=attempt, is_retry=attempt > 1)
    return LiveSlice(slice_, "", epoch, roster_of(people) if marked else {}, 77 if marked else 0)


def step(state: str, reason: str = "", at_ms: int | None = None, attempt: int | None = 1, slot: int = 0) -> PersonStep:
    return PersonStep(
        channel=Channel.PUSH, lane=PUSH, slot=slot, state=state, reason=reason, at_ms=at_ms, attempt=attempt
    )


@pytest.mark.parametrize(
    ("present", "history", "told"),
    [
        ([live()], [], [step("waiting")]),
        ([live(mine=False)], [], []),
        ([live(due_ms=50)], [], [step("waiting", "held", 50)]),
        ([live(1)], [], [step("in_hand")]),
        ([live(2)], [], [step("waiting")]),
        ([live(3, marked=True)], [], [step("in_hand", "sending", 77)]),
        ([live(attempt=2, due_ms=90)], [], [step("retrying", "held", 90, 2)]),
        ([], [entry(5, (End.ACCEPTED, "", MINE))], [step("accepted", "", 5, slot=1)]),
        (
            [],
            [entry(5, (End.ACCEPTED, "", OTHERS), (End.REJECTED, "Gone", MINE))],
            [step("rejected", "Gone", 5, slot=1)],
        ),
        ([], [entry(5, (End.ACCEPTED, "", OTHERS))], []),
        (
            [],
            [entry(9, (End.DEAD, "timeout", MINE), attempt=2), entry(5, marked=MINE), entry(6, marked=OTHERS)],
            [step("retrying", "unknown", 5, slot=1), step("dead", "timeout", 9, 2, slot=1)],
        ),
    ],
)
def test_a_story_tells_the_past_first_and_only_of_this_person(
    present: list[LiveSlice], history: list[LedgerEntry], told: list[PersonStep]
) -> None:
    assert tell(ME, AUDIENCE, present, history, 1) == told


def test_who_is_not_in_the_audience_has_no_story() -> None:
    assert tell(299, AUDIENCE, [live()], [], 1) is None


def test_a_suppression_says_why_on_which_channel() -> None:
    missed = (
        Suppressed(channel=Channel.EMAIL, reason=Reason.OPTED_OUT, people=MINE),
        Suppressed(channel=Channel.PUSH, reason=Reason.NO_ENDPOINT, people=OTHERS),
    )
    (only,) = tell(ME, PartAudience(AUDIENCE.people, missed), [], [], 42) or []
    assert (only.channel, only.state, only.reason, only.at_ms, only.lane) == (
        Channel.EMAIL,
        "suppressed",
        "opted_out",
        42,
        None,
    )


async def test_the_store_tells_the_story_of_each_channel(work: StoreWork) -> None:
    one = event()
    slices = (piece(one, "0", people=[ME]), piece(one, "1", lane=INAPP, people=[ME, OTHER]))
    await planned(work, one, *slices)
    (claim,) = await claimed(work, PUSH)
    await work.settle([settlement(claim, at_ms=NOW_MS + 3)])
    (lost,) = await claimed(work, INAPP)
    await work.mark([(lost, MINE)], NOW_MS)
    await work.reclaim(NOW_MS + LEASE_MS, 10)
    await work.stop(one.number, Stop.CANCELLED, NOW_MS)
    await work.sweep(NOW_MS + LEASE_MS + 1, 10)
    told = await work.story(one.number, ME)
    assert told is not None
    assert [(each.channel.value, each.lane, each.state, each.reason, each.at_ms) for each in told] == [
        ("email", None, "suppressed", "no_endpoint", NOW_MS),
        ("push", PUSH, "accepted", "", NOW_MS + 3),
        ("inapp", INAPP, "retrying", "unknown", NOW_MS + LEASE_MS),
        ("inapp", INAPP, "cancelled", "", NOW_MS + LEASE_MS + 1),
    ]
    assert await work.story(one.number, 5000) is None
    assert await work.story(12345, ME) is None


async def test_a_person_of_a_cut_event_is_found_in_the_part_of_its_block(work: StoreWork) -> None:
    one = event()
    blocks = range(5)
    await work.admit([one], [b""])
    await work.freeze(one, roster_of(block << 8 for block in blocks), blocks)
    for block in blocks:
        await work.plan(part(one, [piece(one, "0", lane=EMAIL, people=[block << 8], shard=block)], shard=block))
    for block in blocks:
        told = await work.story(one.number, block << 8)
        assert told is not None
        assert [each.state for each in told if each.channel is Channel.EMAIL] == ["waiting"]
    assert await work.story(one.number, 9 << 8) is None
