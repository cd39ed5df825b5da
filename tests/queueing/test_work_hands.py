"""Slices in hand: leases, fences, marks, tenants in turns, several hands at once."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence

import msgspec
import pytest
import trio

from engine.records.roster import headcount, roster_of
from engine.records.words import Channel, End, Stop, Urgency
from engine.records.work import Claim, Settlement
from queueing import keys
from queueing.link import Command, Link, Reply, Script
from queueing.work import StoreWork, scripts
from queueing.work.claims import Claims, share_people
from tests.queueing.work_audit import audit
from tests.queueing.work_examples import (
    INAPP,
    LEASE_MS,
    NOW_MS,
    PUSH,
    claimed,
    contents,
    event,
    part,
    piece,
    planned,
    reported,
    settlement,
)


async def test_a_reclaimed_slice_is_fenced_off_from_its_former_worker(work: StoreWork, link: Link) -> None:
    await planned(work, event())
    (late,) = await claimed(work)
    assert await work.reclaim(NOW_MS + LEASE_MS, 10) == 1
    for _ in range(2):  # once while it waits, once while another worker has it
        before = contents(link)
        assert await work.mark([(late, late.slice.people)], NOW_MS) == [False]
        assert await work.extend([late], NOW_MS, LEASE_MS) == [False]
        assert await work.settle([settlement(late)]) == [False]
        assert contents(link) == before
        await claimed(work)


async def test_a_claim_that_goes_by_a_look_of_before_finds_what_came_after_others_were_faster(
    work: StoreWork, store_url: str
) -> None:
    slow = StoreWork(Link(store_url))
    first, second = event("1"), event("2")
    await planned(work, first)
    await slow.ready()
    assert [claim.event.number for claim in await claimed(work)] == [first.number]
    await planned(work, second)
    assert [claim.event.number for claim in await claimed(slow)] == [second.number]
    assert await claimed(slow) == []


async def test_the_store_knows_who_has_a_slice_in_hand(work: StoreWork, link: Link) -> None:
    one = await planned(work, event())
    field = (keys.slices(one.shard, one.number), "0w")
    await claimed(work, worker="dispatch-3")
    assert await link.ask("HGET", *field) == b"dispatch-3"
    await work.reclaim(NOW_MS + LEASE_MS, 10)
    assert await link.ask("HGET", *field) is None


async def test_the_new_owner_settles_once_whatever_the_former_one_does(work: StoreWork, link: Link) -> None:
    one = await planned(work, event())
    (late,) = await claimed(work)
    await work.reclaim(NOW_MS + LEASE_MS, 10)
    (fresh,) = await claimed(work)
    assert (late.epoch, fresh.epoch) == (1, 3)
    assert await work.settle([settlement(fresh)]) == [True]
    assert await work.settle([settlement(late, end=End.DEAD)]) == [False]
    assert (await reported(work, one)).channels[Channel.PUSH].ends == {"accepted": 10}


async def test_a_kept_lease_is_not_reclaimed_and_is_never_shortened(work: StoreWork) -> None:
    await planned(work, event())
    (claim,) = await claimed(work)
    assert await work.extend([claim], NOW_MS + 20_000, LEASE_MS) == [True]
    assert await work.extend([claim], NOW_MS, LEASE_MS) == [True]
    assert await work.reclaim(NOW_MS + LEASE_MS, 10) == 0
    assert await work.reclaim(NOW_MS + 20_000 + LEASE_MS, 10) == 1


async def test_a_reclaim_counts_who_was_marked_as_unknown(work: StoreWork, link: Link) -> None:
    one = await planned(work, event())
    (claim,) = await claimed(work)
    await work.mark([(claim, roster_of([0, 1, 2]))], NOW_MS)
    await work.mark([(claim, roster_of([2, 3]))], NOW_MS + 1)
    assert await work.reclaim(NOW_MS + LEASE_MS, 10) == 1
    assert (await reported(work, one)).channels[Channel.PUSH].unknown == 4
    assert await work.marked_at_reclaim(one.number) == 4
    (again,) = await claimed(work)
    assert again.slice == claim.slice
    assert await work.reclaim(NOW_MS + LEASE_MS, 10) == 1  # marked nobody this time
    (last,) = await claimed(work)
    assert await work.settle([settlement(last)]) == [True]
    assert await work.marked_at_reclaim(one.number) == 4
    audit(link)


class MeddlingLink(Link):
    """A link on which something else happens between what upkeep reads and the script it runs then."""

    def __init__(self, url: str, script: Script, meddle: Callable[[], Awaitable[object]]) -> None:
        super().__init__(url)
        self._sha, self._meddle = script.sha, meddle

    async def run(self, commands: Sequence[Command]) -> list[Reply]:
        if any(command[1] == self._sha for command in commands):
            await self._meddle()
        return await super().run(commands)


async def test_a_mark_made_while_a_reclaim_counts_is_not_lost(work: StoreWork, link: Link) -> None:
    one = await planned(work, event())
    (claim,) = await claimed(work)
    await work.mark([(claim, roster_of([1]))], NOW_MS)

    async def mark_more() -> None:
        assert await work.mark([(claim, roster_of([2, 3]))], NOW_MS) == [True]

    meddled = MeddlingLink(link.url, scripts.RECLAIM, mark_more)
    assert await StoreWork(meddled).reclaim(NOW_MS + LEASE_MS, 10) == 0
    meddled.close()
    assert await work.reclaim(NOW_MS + LEASE_MS, 10) == 1
    assert await work.marked_at_reclaim(one.number) == 3


async def test_a_lease_kept_while_a_reclaim_counts_is_kept(work: StoreWork, link: Link) -> None:
    await planned(work, event())
    (claim,) = await claimed(work)

    async def keep() -> None:
        assert await work.extend([claim], NOW_MS + LEASE_MS, LEASE_MS) == [True]

    meddled = MeddlingLink(link.url, scripts.RECLAIM, keep)
    assert await StoreWork(meddled).reclaim(NOW_MS + LEASE_MS, 10) == 0
    meddled.close()
    assert await work.settle([settlement(claim)]) == [True]
    audit(link)


async def test_a_slice_claimed_while_a_sweep_looks_is_left_to_its_worker(work: StoreWork, link: Link) -> None:
    one = await planned(work, event())
    await work.stop(one.number, Stop.CANCELLED, NOW_MS)
    claims: list[Claim] = []

    async def claim() -> None:
        claims.extend(await claimed(work))

    meddled = MeddlingLink(link.url, scripts.SETTLE, claim)
    assert await StoreWork(meddled).sweep(NOW_MS, 10) == 0
    meddled.close()
    assert await work.settle([settlement(claims[0], end=End.CANCELLED)]) == [True]
    assert (await reported(work, one)).channels[Channel.PUSH].ends == {"cancelled": 10}
    audit(link)


async def test_a_reclaimed_slice_goes_to_the_front(work: StoreWork) -> None:
    first = await planned(work, event("1"))
    (claim,) = await claimed(work)
    twin = msgspec.structs.replace(event("2"), number=first.number + 16)
    await planned(work, twin)
    await work.reclaim(NOW_MS + LEASE_MS, 10)
    (front,) = await claimed(work, people_max=1)
    assert front.slice == claim.slice


async def test_settling_twice_counts_once(work: StoreWork, link: Link) -> None:
    one = await planned(work, event())
    (claim,) = await claimed(work)
    child = piece(one, "0.0", people=range(4), due_ms=NOW_MS + 5_000, attempt=2, is_retry=True)
    done = settlement(claim, children=(child,), unknown=3)
    assert await work.settle([done]) == [True]
    before = contents(link)
    assert await work.settle([done]) == [True]
    assert contents(link) == before
    counts = (await reported(work, one)).channels[Channel.PUSH]
    assert (counts.ends, counts.live, counts.retries, counts.unknown) == ({"accepted": 6}, 4, 4, 3)
    audit(link)


async def test_a_child_that_burns_no_attempt_is_no_retry(work: StoreWork) -> None:
    one = await planned(work, event())
    (claim,) = await claimed(work)
    await work.settle([settlement(claim, children=(piece(one, "0.0", people=range(4), is_retry=True),))])
    assert (await reported(work, one)).channels[Channel.PUSH].retries == 0
    (rest,) = await claimed(work)
    assert rest.slice.people == roster_of(range(4))


@pytest.mark.parametrize("wrong", [range(9), range(11), [*range(9), 300]])
async def test_a_settlement_that_does_not_add_up_is_refused(work: StoreWork, link: Link, wrong: range) -> None:
    await planned(work, event())
    (claim,) = await claimed(work)
    before = contents(link)
    done = Settlement(
        claim=claim, at_ms=NOW_MS, ends=(msgspec.structs.replace(settlement(claim).ends[0], people=roster_of(wrong)),)
    )
    with pytest.raises(ValueError, match="each once"):
        await work.settle([done])
    assert contents(link) == before


async def test_a_claim_takes_the_most_urgent_first_over_all_shards(work: StoreWork) -> None:
    for at in range(24):
        await planned(work, event(str(at), urgency=list(Urgency)[at % 4]))
    claims = [claim for _ in range(8) for claim in await claimed(work, people_max=30)]
    order = [list(Urgency).index(claim.slice.urgency) for claim in claims]
    assert order == sorted(order)
    assert len(claims) == 24


async def test_only_the_urgencies_and_the_lane_that_were_asked_for_are_claimed(work: StoreWork) -> None:
    one = event(urgency=Urgency.BULK)
    await planned(work, one, piece(one, "0"), piece(one, "1", lane=INAPP))
    assert await work.claim(PUSH, (Urgency.URGENT, Urgency.NORMAL), 100, "w", NOW_MS, LEASE_MS) == []
    (claim,) = await work.claim(INAPP, (Urgency.BULK,), 100, "w", NOW_MS, LEASE_MS)
    assert claim.slice.lane == INAPP


async def test_only_the_last_claim_exceeds_the_permits(work: StoreWork) -> None:
    for at in range(40):
        await planned(work, event(str(at)))
    claims = await claimed(work, people_max=95)
    assert [headcount(claim.slice.people) for claim in claims] == [10] * 10


async def test_a_tenant_with_a_million_queued_does_not_delay_another_tenants_slice(work: StoreWork) -> None:
    nation = event("nation", tenant="dk")
    await work.admit([nation], [b""])
    slices = [piece(nation, str(at), people=range(at * 1024, at * 1024 + 1024)) for at in range(1000)]
    assert await work.plan(part(nation, slices))
    small = next(one for at in range(999) if (one := event(str(at), tenant="0751")).shard == nation.shard)
    await planned(work, small)
    order = [claim.slice.tenant for _ in range(4) for claim in await claimed(work, people_max=1024)]
    assert order.index("0751") <= 1


async def test_tenants_take_turns_by_people_not_by_slices(work: StoreWork, link: Link) -> None:
    """One sends slices of 1,024, the other of 64: in the long run both get as many people through."""
    big, small = event("a", tenant="0101"), event("b", tenant="0751")
    small = msgspec.structs.replace(small, number=small.number // 16 * 16 + big.shard)
    await work.admit([big, small], [b"", b""])
    await work.plan(part(big, [piece(big, str(at), people=range(at * 1024, at * 1024 + 1024)) for at in range(20)]))
    await work.plan(part(small, [piece(small, str(at), people=range(at * 64, at * 64 + 64)) for at in range(320)]))
    sent = {"0101": 0, "0751": 0}
    while sum(sent.values()) < 20_000:
        claims = await claimed(work, people_max=500)
        assert claims
        for claim in claims:
            sent[claim.slice.tenant] += headcount(claim.slice.people)
    assert abs(sent["0101"] - sent["0751"]) <= 2 * 1024
    audit(link)


async def test_hands_at_once_never_hold_the_same_slice(work: StoreWork, link: Link) -> None:
    for at in range(60):
        await planned(work, event(str(at), tenant=["0101", "0751", "dk"][at % 3]))
    held: list[Claim] = []

    async def hand(name: str) -> None:
        while claims := await claimed(work, people_max=25, worker=name):
            held.extend(claims)

    async with trio.open_nursery() as nursery:
        for name in "abcd":
            nursery.start_soon(hand, name)
    assert len(held) == 60
    assert len({claim.slice.event for claim in held}) == 60
    audit(link)


async def test_a_claim_says_freshly_that_its_event_was_stopped(work: StoreWork) -> None:
    one = event()
    await planned(work, one, piece(one, "0"), piece(one, "1", people=range(50)))
    (first,) = await claimed(work, people_max=1)
    await work.stop(one.number, Stop.SUPERSEDED, NOW_MS)
    (second,) = await claimed(work, people_max=1)
    assert (first.stop, second.stop) == (None, Stop.SUPERSEDED)
    assert second.event == one


async def test_a_claim_whose_body_is_gone_does_not_stop_its_neighbours(work: StoreWork, link: Link) -> None:
    orphan, whole = event("1"), event("2")
    await planned(work, orphan)
    await planned(work, whole)
    link.run_now([("DEL", keys.body(orphan.shard, orphan.number))])
    assert [claim.event for claim in await claimed(work)] == [whole]
    assert await work.ready() == []


async def test_a_deleted_queue_does_not_stop_its_neighbours(work: StoreWork, link: Link) -> None:
    lost = await planned(work, event("1", tenant="0101"))
    kept = next(one for at in range(2, 999) if (one := event(str(at), tenant="0751")).shard == lost.shard)
    await planned(work, kept)
    link.run_now([("DEL", f"{keys.QUEUES[lost.shard][3]}{PUSH}|2|0101")])
    assert [claim.event for claim in await claimed(work, people_max=10) + await claimed(work)] == [kept]
    assert await claimed(work) == []
    assert await work.ready() == []


async def test_an_event_is_still_known_when_many_others_were_claimed_with_it(work: StoreWork, link: Link) -> None:
    forgetful = Claims(link, events_kept_max=2)
    events = [event(str(at)) for at in range(60)]
    for one in events:
        await planned(work, one, piece(one, "0"), piece(one, "1", people=range(20, 40)), piece(one, "2", lane=INAPP))
    for lane in (INAPP, PUSH):
        claims = await forgetful.claim(lane, (Urgency.NORMAL,), 4096, "w", NOW_MS, LEASE_MS)
    assert len(claims) == 120
    assert all(claim.event in events and claim.event.number == claim.slice.event for claim in claims)


@pytest.mark.parametrize(
    ("waiting", "people_max", "first", "shares"),
    [
        ([[0, 0], [0, 0]], 10, 0, []),
        ([[5, 0], [5, 0]], 100, 0, [(0, 0, 5), (1, 0, 5)]),
        ([[5, 0], [5, 0]], 100, 1, [(1, 0, 5), (0, 0, 5)]),
        ([[5, 0], [5, 0]], 7, 0, [(0, 0, 5), (1, 0, 2)]),
        ([[5, 9], [5, 9]], 12, 0, [(0, 0, 5), (1, 0, 5), (0, 1, 2)]),
        ([[5, 9], [5, 9]], 0, 0, []),
    ],
)
def test_people_are_shared_by_urgency_then_shard(
    waiting: list[list[int]], people_max: int, first: int, shares: list[tuple[int, int, int]]
) -> None:
    assert list(share_people(waiting, people_max, first)) == shares
