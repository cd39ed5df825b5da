"""What time and operators do to work: delays, expiry, stops before, during and after planning, entities, the bell."""

from __future__ import annotations

import msgspec
import pytest
import trio

from engine.ports import Cancelled, Depth, EntityVerdict
from engine.records.event import Event
from engine.records.roster import Roster, roster_of
from engine.records.words import Channel, End, Stop, Urgency
from queueing import keys
from queueing.link import Link
from queueing.work import StoreWork
from queueing.work.expiring import LOOK_AGAIN_MS
from queueing.work.ledger import DAY_MS
from queueing.work.upkeep import share
from tests.queueing.work_audit import audit
from tests.queueing.work_examples import (
    HOUR_MS,
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

NATION = range(0, 16 * 256, 16)


async def plan_part(work: StoreWork, of: Event, block: int) -> bool:
    people = [number for number in NATION if number >> 8 == block]
    return await work.plan(part(of, [piece(of, "0", shard=block, people=people)], shard=block))


async def test_a_held_slice_waits_until_it_is_due(work: StoreWork, link: Link) -> None:
    one = event()
    await planned(work, one, piece(one, "0", due_ms=NOW_MS + 500))
    assert await work.promote(NOW_MS + 499, 10) == 0
    assert await claimed(work) == []
    assert await work.promote(NOW_MS + 500, 10) == 1
    assert await work.promote(NOW_MS + 500, 10) == 0
    assert len(await claimed(work)) == 1
    audit(link)


async def test_the_report_counts_the_people_who_wait_for_a_later_time(work: StoreWork) -> None:
    one = event()
    await planned(
        work,
        one,
        piece(one, "0", people=range(0, 5), due_ms=NOW_MS + 500),
        piece(one, "1", people=range(3, 7), due_ms=NOW_MS + 900),  # two of them have two devices
        piece(one, "2", people=range(20, 30)),
        piece(one, "3", lane=INAPP, people=range(0, 9)),
    )

    async def held(now_ms: int) -> tuple[int, int]:
        report = await work.report(one.number, now_ms)
        assert report is not None
        return report.channels[Channel.PUSH].held, report.channels[Channel.INAPP].held

    assert await held(NOW_MS) == (7, 0)
    assert await held(NOW_MS + 500) == (4, 0)
    assert await held(NOW_MS + 900) == (0, 0)
    (claim, *_) = await claimed(work)
    retry = piece(one, "2.0", people=range(20, 30), due_ms=NOW_MS + 500, attempt=2, is_retry=True)
    assert await work.settle([settlement(claim, children=(retry,))]) == [True]
    assert await held(NOW_MS) == (7, 0)


async def test_a_promotion_keeps_to_its_limit(work: StoreWork) -> None:
    for at in range(20):
        one = event(str(at))
        await planned(work, one, piece(one, "0", due_ms=NOW_MS + 5))
    assert [await work.promote(NOW_MS + 5, 7) for _ in range(4)] == [7, 7, 6, 0]


async def test_expiry_ends_what_waits_and_what_is_held_but_not_what_is_in_hand(work: StoreWork, link: Link) -> None:
    one = event(expires_ms=NOW_MS + 1000)
    await planned(
        work,
        one,
        piece(one, "0"),
        piece(one, "1", lane=INAPP, people=range(7)),
        piece(one, "2", lane="email", people=range(5), due_ms=NOW_MS + HOUR_MS),
    )
    (claim,) = await claimed(work)
    assert await work.expire(NOW_MS + 999, 10) == []
    assert await work.expire(NOW_MS + 1000, 10) == [one.number]
    assert await work.expire(NOW_MS + 1000, 10) == []
    assert await work.sweep(NOW_MS + 1000, 10) == 2
    report = await reported(work, one)
    assert (report.state, report.stop) == ("planned", Stop.EXPIRED)
    assert report.channels[Channel.INAPP].ends == {"expired": 7}
    assert report.channels[Channel.EMAIL].ends == {"expired": 5}
    assert report.channels[Channel.PUSH].live == 10
    child = piece(one, "0.0", people=range(3), due_ms=NOW_MS + 9999, attempt=2)
    assert await work.settle([settlement(claim, children=(child,))]) == [True]
    assert await work.sweep(NOW_MS + 1000, 10) == 1
    report = await reported(work, one)
    assert (report.state, report.channels[Channel.PUSH].ends) == ("closed", {"accepted": 7, "expired": 3})
    assert await work.ready() == []
    assert not link.run_now([("EXISTS", *keys.STOPPED)])[0]
    audit(link)


async def test_an_event_that_ended_in_time_does_not_expire(work: StoreWork) -> None:
    one = await planned(work, event())
    (claim,) = await claimed(work)
    await work.settle([settlement(claim)])
    assert await work.expire(one.expires_ms, 10) == []
    assert (await reported(work, one)).stop is None


async def test_the_ledger_of_a_closed_event_is_forgotten_after_a_while(link: Link) -> None:
    work = StoreWork(link, keep_days=3)
    one = event()
    await work.admit([one], [b""])
    await work.freeze(one, roster_of(NATION), range(16))
    for block in range(16):
        await plan_part(work, one, block)
    await work.finish_planning(one, NOW_MS)
    assert await work.expire(one.expires_ms, 10) == [one.number]
    assert await work.expire(one.expires_ms + LOOK_AGAIN_MS, 10) == []
    while await work.sweep(NOW_MS, 100):
        pass
    assert await work.expire(one.expires_ms + 2 * LOOK_AGAIN_MS, 10) == []
    assert (await reported(work, one)).channels[Channel.PUSH].ends == {"expired": len(NATION)}
    left = [name for name in contents(link) if b":key:" not in name]
    assert len(left) == 4 * 16
    lasts = link.run_now([("PTTL", name) for name in left])
    assert all(2 * DAY_MS < one <= 3 * DAY_MS for one in lasts)


async def test_a_sweep_keeps_to_its_limit_and_a_stopped_event_comes_to_its_end(work: StoreWork) -> None:
    one = event()
    await planned(work, one, *(piece(one, str(at), people=range(at * 10, at * 10 + 10)) for at in range(25)))
    await work.stop(one.number, Stop.CANCELLED, NOW_MS)
    assert [await work.sweep(NOW_MS, 10) for _ in range(4)] == [10, 10, 5, 0]
    assert (await reported(work, one)).channels[Channel.PUSH].ends == {"cancelled": 250}


async def test_a_reclaimed_slice_of_a_stopped_event_is_swept(work: StoreWork, link: Link) -> None:
    one = await planned(work, event())
    await claimed(work)
    await work.stop(one.number, Stop.CANCELLED, NOW_MS)
    assert await work.sweep(NOW_MS, 10) == 0
    await work.reclaim(NOW_MS + LEASE_MS, 10)
    assert await work.sweep(NOW_MS, 10) == 1
    assert (await reported(work, one)).state == "closed"
    audit(link)


async def test_the_first_stop_wins(work: StoreWork, link: Link) -> None:
    one = await planned(work, event())
    assert not await work.stop(12345, Stop.CANCELLED, NOW_MS)
    assert await work.stop(one.number, Stop.SUPERSEDED, NOW_MS)
    before = contents(link)
    assert not await work.stop(one.number, Stop.CANCELLED, NOW_MS + 1)
    assert contents(link) == before
    assert (await work.events([one.number]))[one.number] == (one, Stop.SUPERSEDED)


async def test_a_cancellation_says_every_time_whether_anything_was_left(work: StoreWork, link: Link) -> None:
    waiting, over, early = event("1"), event("2"), event("3")
    await planned(work, waiting)
    await planned(work, over)
    for claim in await claimed(work):
        if claim.event.number == over.number:
            assert await work.settle([settlement(claim)]) == [True]
    await work.admit([early], [b""])
    for _ in range(2):
        assert await work.cancel(waiting.number, NOW_MS) == Cancelled(Stop.CANCELLED, True)
        assert await work.cancel(over.number, NOW_MS) == Cancelled(Stop.CANCELLED, False)
        assert await work.cancel(early.number, NOW_MS) == Cancelled(Stop.CANCELLED, True)
        assert await work.cancel(12345, NOW_MS) is None
    one = await planned(work, event("4"))
    await work.stop(one.number, Stop.SUPERSEDED, NOW_MS)
    assert await work.cancel(one.number, NOW_MS) == Cancelled(Stop.SUPERSEDED, True)
    audit(link)


@pytest.mark.parametrize("settled", [15, 16])
async def test_a_cancellation_of_a_cut_event_asks_all_parts(work: StoreWork, settled: int) -> None:
    one = event()
    await work.admit([one], [b""])
    audience = roster_of(NATION)
    await work.freeze(one, audience, range(16))
    for block in sorted(audience):
        assert await plan_part(work, one, block)
    await work.finish_planning(one, NOW_MS)
    claims = await claimed(work)
    assert await work.settle([settlement(claim) for claim in claims[:settled]]) == [True] * settled
    assert len(claims) == 16
    for _ in range(2):
        assert await work.cancel(one.number, NOW_MS) == Cancelled(Stop.CANCELLED, settled < 16)


async def test_an_event_stopped_before_planning_is_closed_and_stays_empty(work: StoreWork, link: Link) -> None:
    one, other = event("1"), event("2")
    await work.admit([one, other], [b"", b""])
    (first, second) = await work.lease_unplanned(9, NOW_MS, LEASE_MS)
    for each in (first, second):
        assert await work.stop(each.number, Stop.CANCELLED, NOW_MS)
    assert await work.freeze(first, roster_of(range(99)), range(16)) is None
    assert not await work.plan(part(second, [piece(second)]))
    for each in (first, second):
        await work.finish_planning(each, NOW_MS + 7)
        report = await reported(work, each)
        assert (report.state, report.audience, report.channels) == ("closed", 0, {})
        assert report.planned_ms == NOW_MS
    assert await work.lease_unplanned(9, NOW_MS + 9 * LEASE_MS, LEASE_MS) == []
    assert await work.expire(one.expires_ms, 9) == []


async def test_an_event_stopped_in_the_queue_is_never_leased(work: StoreWork) -> None:
    await work.admit([event()], [b""])
    await work.stop(event().number, Stop.CANCELLED, NOW_MS)
    assert await work.lease_unplanned(9, NOW_MS, LEASE_MS) == []
    assert await work.ready() == []


@pytest.mark.parametrize("parts_before_the_stop", [0, 1, 9, 16])
async def test_a_cut_event_stopped_while_it_is_planned_adds_up(
    work: StoreWork, link: Link, parts_before_the_stop: int
) -> None:
    one = event()
    await work.admit([one], [b""])
    audience = roster_of(NATION)
    assert await work.freeze(one, audience, range(16)) == audience
    blocks = sorted(audience)
    for block in blocks[:parts_before_the_stop]:
        assert await plan_part(work, one, block)
    assert await work.stop(one.number, Stop.CANCELLED, NOW_MS)
    # another fan-out takes over: it is told what was frozen, and plans all parts
    assert await work.freeze(one, {}, []) == audience
    assert [await plan_part(work, one, block) for block in blocks] == [
        place >= parts_before_the_stop for place, _ in enumerate(blocks)
    ]
    await work.finish_planning(one, NOW_MS)
    assert sum(1 for claim in await claimed(work, people_max=1) if claim.stop is None) == 0
    while await work.sweep(NOW_MS, 100) or await work.reclaim(NOW_MS + LEASE_MS, 10):
        pass
    report = await reported(work, one)
    assert (report.state, report.audience) == ("closed", len(NATION))
    assert report.channels[Channel.PUSH].ends == {"cancelled": len(NATION)}
    audit(link)


async def test_the_sweep_finishes_a_stop_that_was_cut_off(work: StoreWork, link: Link) -> None:
    """Whoever stopped the event died after its home part knew and before the others did."""
    one = event()
    await work.admit([one], [b""])
    await work.freeze(one, roster_of(NATION), range(16))
    for block in range(16):
        assert await plan_part(work, one, block)
    await work.finish_planning(one, NOW_MS)
    home = keys.part(one.shard, one.number)
    link.run_now(
        [
            ("HSET", home, "stop", "cancelled"),
            ("SADD", keys.STOPPED[one.shard], keys.event_hex(one.number)),
        ]
    )
    while await work.sweep(NOW_MS, 100):
        pass
    assert (await reported(work, one)).channels[Channel.PUSH].ends == {"cancelled": len(NATION)}
    audit(link)


async def test_the_audience_that_was_frozen_first_is_planned_by_all(work: StoreWork) -> None:
    one = event()
    await work.admit([one], [b""])
    frozen: list[Roster | None] = []

    async def fan_out(people: range) -> None:
        frozen.append(await work.freeze(one, roster_of(people), range(16)))

    async with trio.open_nursery() as nursery:
        for end in (500, 600, 700):
            nursery.start_soon(fan_out, range(end))
    assert frozen[0] == frozen[1] == frozen[2]


async def test_repeating_what_fan_out_does_changes_nothing(work: StoreWork, link: Link) -> None:
    one = event(entity="0751/calendar/u/")
    await work.admit([one], [b""])
    await work.admit([one], [b""])
    await work.lease_unplanned(9, NOW_MS, LEASE_MS)
    for _ in range(2):
        assert await work.claim_entity(one) == EntityVerdict(False, ())
        assert await work.freeze(one, roster_of(range(10)), [one.shard]) == roster_of(range(10))
    await work.plan(part(one, [piece(one)]))
    await work.finish_planning(one, NOW_MS)
    before = contents(link)
    await work.finish_planning(one, NOW_MS + 5)
    await work.claim_entity(one)
    assert await work.freeze(one, {}, range(16)) is None
    await work.admit([one], [b""])
    assert contents(link) == before


async def test_a_newer_version_supersedes_all_older_ones_and_an_older_one_is_stale(work: StoreWork) -> None:
    versions = [event(str(at), entity="0751/calendar/u/", sequence=at) for at in range(4)]
    await work.admit(versions, [b""] * 4)
    numbers = [one.number for one in versions]
    assert await work.claim_entity(versions[0]) == EntityVerdict(False, ())
    assert await work.claim_entity(versions[2]) == EntityVerdict(False, (numbers[0],))
    assert await work.claim_entity(versions[1]) == EntityVerdict(True, (numbers[0],))
    assert await work.claim_entity(versions[3]) == EntityVerdict(False, (numbers[2], numbers[1], numbers[0]))
    assert await work.claim_entity(versions[3]) == EntityVerdict(False, (numbers[2], numbers[1], numbers[0]))
    assert await work.claim_entity(event("x", entity="0751/calendar/other/")) == EntityVerdict(False, ())
    assert await work.claim_entity(event("y")) == EntityVerdict(False, ())


async def test_of_two_versions_with_one_sequence_the_later_event_wins(work: StoreWork) -> None:
    first = event("1", entity="0751/calendar/u/", sequence=3)
    later = msgspec.structs.replace(first, number=first.number + 16, id="2")
    assert await work.claim_entity(first) == EntityVerdict(False, ())
    assert await work.claim_entity(later) == EntityVerdict(False, (first.number,))
    assert await work.claim_entity(first) == EntityVerdict(True, ())
    last = msgspec.structs.replace(first, number=first.number + 32, id="3")
    assert await work.claim_entity(last) == EntityVerdict(False, (later.number, first.number))


async def test_an_entity_remembers_only_its_latest_versions(work: StoreWork, link: Link) -> None:
    versions = [event(str(at), entity="0751/calendar/u/", sequence=at) for at in range(40)]
    verdicts = [await work.claim_entity(one) for one in versions]
    assert {number for verdict in verdicts for number in verdict.older} == {one.number for one in versions[:-1]}
    assert max(len(verdict.older) for verdict in verdicts) <= 17
    lasts = await link.ask("PTTL", keys.entity("0751/calendar/u/"))
    assert 399 * DAY_MS < lasts <= 400 * DAY_MS


async def test_depths_say_how_much_waits_and_since_when(work: StoreWork) -> None:
    for at in range(30):
        await planned(work, event(str(at), tenant=["0101", "0751"][at % 2], admitted_ms=NOW_MS + at))
    await work.admit([event("99", urgency=Urgency.URGENT, admitted_ms=NOW_MS + 99)], [b""])
    assert sorted(await work.depths()) == [
        Depth("+", Urgency.URGENT, 1, 1, NOW_MS + 99),
        Depth(PUSH, Urgency.NORMAL, 30, 300, NOW_MS),
    ]
    await work.settle([settlement(claim) for claim in await claimed(work)])
    assert [depth.lane for depth in await work.depths()] == ["+"]


async def test_the_bell_wakes_who_waits_and_a_ring_in_between_is_not_lost(work: StoreWork, link: Link) -> None:
    with trio.fail_after(20):
        async with trio.open_nursery() as nursery:
            await nursery.start(work.run)
            while not (await link.ask("PUBSUB", "NUMSUB", keys.BELL))[1]:
                await trio.lowlevel.checkpoint()
            await work.admit([event()], [b""])
            await work.wait_for_work(1000)
            await planned(work, event("2"))
            await work.wait_for_work(1000)
            nursery.cancel_scope.cancel()


async def test_without_a_bell_waiting_takes_its_full_time(work: StoreWork, autojump_clock: trio.abc.Clock) -> None:
    began = trio.current_time()
    await work.wait_for_work(12)
    assert trio.current_time() - began == pytest.approx(12)


@pytest.mark.parametrize(
    ("waiting", "limit", "total"),
    [([0, 0], 5, 0), ([3, 9], 100, 12), ([3, 9], 4, 4), ([1, 1, 100], 30, 30), ([1, 1, 1], 2, 2)],
)
def test_a_limit_is_shared_among_shards(waiting: list[int], limit: int, total: int) -> None:
    shares = dict(share(waiting, limit))
    assert sum(shares.values()) == total
    assert all(0 < count <= waiting[shard] for shard, count in shares.items())


async def test_who_is_settled_on_a_stopped_event_ends_as_the_worker_says(work: StoreWork) -> None:
    one = await planned(work, event())
    await work.stop(one.number, Stop.CANCELLED, NOW_MS)
    (claim,) = await claimed(work)
    assert await work.settle([settlement(claim, end=End.CANCELLED)]) == [True]
    assert await work.sweep(NOW_MS, 10) == 0
    assert (await reported(work, one)).state == "closed"
