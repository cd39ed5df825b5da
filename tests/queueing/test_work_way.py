"""The way of an event through the work store: admit, lease, freeze, plan, claim, mark, settle, report."""

from __future__ import annotations

import msgspec

from engine.ports import Ready, Work
from engine.records.event import Admission
from engine.records.roster import headcount, roster_of
from engine.records.words import Channel, End, Urgency
from queueing import keys
from queueing.link import Link
from queueing.work import StoreWork
from tests.queueing.work_examples import (
    EMAIL,
    INAPP,
    LEASE_MS,
    NOW_MS,
    PUSH,
    claimed,
    contents,
    event,
    part,
    piece,
    settlement,
)


def test_the_store_satisfies_the_port(link: Link) -> None:
    port: Work = StoreWork(link)
    assert port


async def test_an_event_is_admitted_once_per_idempotency_key(work: StoreWork) -> None:
    first, again = event(), event(draw=8)
    assert await work.admit([first], [b"print"]) == [Admission(first.number, "new")]
    assert await work.admit([again], [b"print"]) == [Admission(first.number, "same")]
    assert await work.admit([again], [b"other"]) == [Admission(first.number, "conflict")]
    assert await work.events([first.number, again.number]) == {first.number: (first, None)}


async def test_twins_in_one_batch_become_one_event(work: StoreWork) -> None:
    answers = await work.admit([event(), event(draw=8), event("2")], [b"a", b"a", b"b"])
    assert [answer.status for answer in answers] == ["new", "same", "new"]
    assert answers[0].number == answers[1].number


async def test_a_taken_number_is_replaced_by_the_next(work: StoreWork) -> None:
    first = event("1")
    twin = msgspec.structs.replace(event("2"), number=first.number)
    new, moved = await work.admit([first, twin], [b"a", b"b"])
    assert moved == Admission(first.number + 16, "new")
    found = await work.events([new.number, moved.number])
    assert (found[new.number][0].id, found[moved.number][0].id) == ("1", "2")
    assert found[moved.number][0].number == moved.number


async def test_the_idempotency_record_expires_after_seven_days(work: StoreWork, link: Link) -> None:
    await work.admit([event()], [b"print"])
    (record,) = [key for key in contents(link) if b":key:" in key]
    lasts = await link.ask("PTTL", record)
    assert 7 * 24 * 3600 * 1000 - 60_000 < lasts <= 7 * 24 * 3600 * 1000


async def test_fan_out_gets_the_most_urgent_first_and_each_once(work: StoreWork) -> None:
    events = [event(str(at), urgency=list(Urgency)[-1 - at % 4]) for at in range(12)]
    await work.admit(events, [b""] * 12)
    first = await work.lease_unplanned(5, NOW_MS, LEASE_MS)
    rest = await work.lease_unplanned(50, NOW_MS, LEASE_MS)
    order = [list(Urgency).index(one.urgency) for one in first + rest]
    assert order == sorted(order)
    assert {one.number for one in first + rest} == {one.number for one in events}
    assert len(first) == 5
    assert len(rest) == 7


async def test_a_lost_fan_out_gives_its_events_back(work: StoreWork, link: Link) -> None:
    await work.admit([event()], [b""])
    assert await work.lease_unplanned(9, NOW_MS, LEASE_MS) == [event()]
    assert await work.lease_unplanned(9, NOW_MS + LEASE_MS - 1, LEASE_MS) == []
    assert await work.lease_unplanned(9, NOW_MS + LEASE_MS, LEASE_MS) == [event()]
    await work.finish_planning(event(), NOW_MS)
    assert await link.ask("EXISTS", *keys.PLANNING) == 0
    assert await work.lease_unplanned(9, NOW_MS + 9 * LEASE_MS, LEASE_MS) == []


async def test_planning_that_ends_after_its_lease_takes_the_event_off_the_queue(work: StoreWork, link: Link) -> None:
    await work.admit([event()], [b""])
    await work.lease_unplanned(9, NOW_MS, LEASE_MS)
    await work.admit([event("2")], [b""])
    await work.lease_unplanned(1, NOW_MS + LEASE_MS, LEASE_MS)  # gives both back, takes one of the two
    assert sum(await link.run([("ZCARD", name) for name in keys.PLANNING])) == 1
    for one in (event(), event("2")):
        await work.finish_planning(one, NOW_MS)
    assert await link.ask("EXISTS", *keys.PLANNING, *keys.READY) == 0


async def test_the_whole_way_of_a_small_event_balances(work: StoreWork) -> None:
    one = event()
    await work.admit([one], [b""])
    await work.lease_unplanned(1, NOW_MS, LEASE_MS)
    pieces = [
        piece(one, "0", lane=PUSH, people=range(0, 40)),
        piece(one, "1", lane=INAPP, people=range(0, 46)),
        piece(one, "2", lane=EMAIL, people=range(20, 30)),
    ]
    assert await work.plan(part(one, pieces))
    await work.finish_planning(one, NOW_MS + 5)
    assert sorted(await work.ready()) == sorted(
        Ready(one.shard, lane, Urgency.NORMAL, 1) for lane in (PUSH, INAPP, EMAIL)
    )
    for lane, plan in zip((PUSH, INAPP, EMAIL), pieces, strict=True):
        (claim,) = await claimed(work, lane)
        assert (claim.slice, claim.event, claim.epoch, claim.stop) == (plan, one, 1, None)
        assert await work.mark([(claim, claim.slice.people)], NOW_MS) == [True]
        assert await work.settle([settlement(claim, at_ms=NOW_MS + 9)]) == [True]
    assert await work.ready() == []
    report = await work.report(one.number)
    assert report is not None
    assert (report.state, report.stop, report.audience) == ("closed", None, 46)
    assert (report.planned_ms, report.last_settled_ms) == (NOW_MS + 5, NOW_MS + 9)
    assert {channel: counts.ends for channel, counts in report.channels.items()} == {
        Channel.PUSH: {"accepted": 40},
        Channel.INAPP: {"accepted": 46},
        Channel.EMAIL: {"accepted": 10},
    }
    for counts in report.channels.values():
        assert counts.people + sum(counts.suppressed.values()) == 46
        assert counts.live == 0


async def test_the_first_frozen_audience_is_kept(work: StoreWork) -> None:
    one = event()
    await work.admit([one], [b""])
    first, later = roster_of(range(5000)), roster_of(range(6000))
    assert await work.freeze(one, first, range(16)) == first
    assert await work.freeze(one, later, range(16)) == first
    await work.finish_planning(one, NOW_MS)
    assert await work.freeze(one, later, range(16)) is None


async def test_planning_twice_writes_once(work: StoreWork, link: Link) -> None:
    one = event()
    await work.admit([one], [b""])
    assert await work.plan(part(one, [piece(one, "0"), piece(one, "1", due_ms=NOW_MS + 5)]))
    before = contents(link)
    assert not await work.plan(part(one, [piece(one, "0", people=range(99)), piece(one, "7")]))
    assert contents(link) == before


async def test_a_cut_event_is_planned_claimed_and_reported_over_its_parts(work: StoreWork) -> None:
    one = event()
    audience = roster_of(range(0, 16 * 256, 8))
    await work.admit([one], [b""])
    assert await work.freeze(one, audience, range(16)) == audience
    for block, mask in audience.items():
        shard = block % 16
        people = roster_of(n for n in range(0, 16 * 256, 8) if n >> 8 == block)
        assert people == {block: mask}
        slice_ = piece(one, "0", shard=shard, people=[n for n in range(0, 16 * 256, 8) if n >> 8 == block])
        assert await work.plan(part(one, [slice_], shard=shard))
    await work.finish_planning(one, NOW_MS)
    claims = await claimed(work)
    assert sum(headcount(claim.slice.people) for claim in claims) == 512
    assert {claim.slice.shard for claim in claims} == set(range(16))
    assert all(claim.event == one for claim in claims)
    await work.settle([settlement(claim, end=End.REJECTED, reason="BadDeviceToken") for claim in claims])
    report = await work.report(one.number)
    assert report is not None
    assert (report.state, report.audience) == ("closed", 512)
    assert report.channels[Channel.PUSH].ends == {"rejected": 512}
    assert report.channels[Channel.PUSH].rejected_reasons == {"BadDeviceToken": 512}
