"""What survives: killed workers, lost leases, drains, a fan-out that dies half way, a store that goes away."""

from __future__ import annotations

from pathlib import Path

import trio

from engine.drain import Drain
from engine.fanout import FanOut
from engine.ports import Directory
from engine.records.event import Audience, Term
from engine.records.roster import FULL_MASK, Roster
from engine.records.words import Channel, End, Reason, Urgency
from engine.records.work import PartPlan
from queueing import embedded
from queueing.lanes import LaneLimit
from queueing.link import Link
from queueing.work import StoreWork
from tests.journeys.engine_world import APNS, INAPP, LANES, LEASE_SECONDS, World, school_class
from tests.journeys.paper_directory import PaperDirectory

EVERYONE = Audience(include=(Term(everyone=True),))


class Crowd(PaperDirectory):
    """Tens of thousands of people with an inbox and nothing else."""

    def __init__(self, blocks: int) -> None:
        super().__init__()
        self.members: Roster = dict.fromkeys(range(blocks), FULL_MASK)

    def leave(self, keep: int) -> None:
        """All but the first blocks leave the school."""
        left = frozenset(self.members.keys() - range(keep))
        self.members = dict.fromkeys(range(keep), FULL_MASK)
        self.journal.append((left, frozenset(("everyone/pupil",))))

    async def rosters(self, names: object, blocks: object = None) -> dict[str, Roster]:
        return {"everyone/pupil": dict(self.members)}

    async def planes(self, blocks: object, names: object) -> dict[str, Roster]:
        return {"off.inapp.message": {0: 0b111}}


async def test_a_killed_worker_is_resent_with_the_same_delivery_ids(world: World) -> None:
    await world.people(school_class(5))
    message = await world.plan()
    world.senders[APNS].close()
    async with trio.open_nursery() as victim:
        await victim.start(world.dispatcher("victim").run, Drain())
        await world.handed(APNS, 5)  # marked and on the wire, not settled
        victim.cancel_scope.cancel()
    first = {one.number: one.delivery for one in world.senders[APNS].handed}
    world.senders[APNS].is_open.set()
    world.now_ms += round(1000 * LEASE_SECONDS) + 1
    assert await world.upkeep.reclaim() >= 1
    async with world.dispatching("heir"):
        report = await world.closed(message)
    push = report.channels[Channel.PUSH]
    assert (push.ends, push.unknown) == ({End.ACCEPTED: 5}, 5)
    assert {one.number: one.delivery for one in world.senders[APNS].handed[5:]} == first
    assert world.heard.counts["reclaimed"] >= 1


async def test_a_worker_that_slept_through_its_lease_changes_nothing(world: World) -> None:
    await world.people(school_class(3))
    message = await world.plan()
    world.senders[APNS].close()
    async with world.dispatching("sleeper"):
        await world.handed(APNS, 3)
        world.now_ms += round(1000 * LEASE_SECONDS) + 1
        await world.upkeep.reclaim()
        sleepers = world.senders[APNS].is_open
        world.senders[APNS].is_open = trio.Event()
        world.senders[APNS].is_open.set()  # for the next one, not for the sleeper
        async with world.dispatching("heir"):
            await world.until(message, lambda report: report.channels[Channel.PUSH].live == 0)
        sleepers.set()
        with trio.fail_after(10):
            while world.heard.counts["fenced"] == 0:
                await trio.sleep(0.005)
        report = await world.closed(message)
    assert report.channels[Channel.PUSH].ends == {End.ACCEPTED: 3}
    assert world.heard.ends[Channel.PUSH, End.ACCEPTED, ""] == 3


async def test_a_heartbeat_keeps_the_lease_of_slow_work(world: World) -> None:
    await world.people(school_class(2))
    message = await world.plan()
    world.senders[APNS].close()
    async with world.dispatching(lease_seconds=0.06):  # beats every 20 ms of real time; leases count our clock
        await world.handed(APNS, 2)
        for _ in range(10):
            world.now_ms += 50
            await trio.sleep(0.03)
            assert await world.upkeep.reclaim() == 0
        world.senders[APNS].is_open.set()
        report = await world.closed(message)
    assert report.channels[Channel.PUSH].unknown == 0


async def test_a_drain_takes_nothing_new_and_finishes_what_is_in_hand(world: World) -> None:
    await world.people(school_class(4))
    message = await world.plan()
    world.senders[APNS].close()
    async with world.dispatching() as drain:
        await world.handed(APNS, 4)
        drain.begin()
        later = await world.plan()
        world.senders[APNS].is_open.set()
    report = await world.report(message)
    assert report.channels[Channel.PUSH].ends == {End.ACCEPTED: 4}
    assert (await world.counts(later)).live == 4
    assert len(world.senders[APNS].handed) == 4


async def test_a_drain_ends_even_when_a_provider_never_answers(world: World) -> None:
    await world.people(school_class(1))
    message = await world.plan()
    world.senders[APNS].close()
    drain = Drain(grace_seconds=0.05)
    with trio.fail_after(10):
        async with trio.open_nursery() as nursery:
            await nursery.start(world.dispatcher().run, drain)
            await world.handed(APNS, 1)
            drain.begin()
    assert (await world.counts(message)).live == 1


async def test_a_national_event_is_cut_into_sixteen_parts_and_adds_up(link: Link) -> None:
    world = World(link, Crowd(80))
    message = await world.plan(EVERYONE)
    async with world.dispatching():
        report = await world.closed(message)
    assert report.audience == 80 * 256
    inapp = report.channels[Channel.INAPP]
    assert inapp.suppressed == {Reason.OPTED_OUT: 3}
    assert inapp.ends == {End.ACCEPTED: 80 * 256 - 3}
    numbers = world.senders[INAPP].numbers
    assert len(numbers) == len(set(numbers)) == 80 * 256 - 3


class DyingWork(StoreWork):
    """A store whose fan-out is killed after it has written some parts."""

    def __init__(self, link: Link, parts: int) -> None:
        super().__init__(link)
        self.parts_left = parts
        self.plan_for_real = self.plan
        self.plan = self.plan_or_die

    async def plan_or_die(self, part: PartPlan) -> bool:
        if self.parts_left == 0:
            raise KeyboardInterrupt
        self.parts_left -= 1
        return await self.plan_for_real(part)


async def test_a_fan_out_that_dies_half_way_is_resumed_from_the_frozen_audience(link: Link) -> None:
    crowd = Crowd(80)
    world = World(link, crowd)
    message = await world.admit(EVERYONE)
    dying = FanOut(DyingWork(link, parts=5), crowd, LANES, world.heard, world.now)
    (leased,) = await world.work.lease_unplanned(1, world.now_ms, 60_000)
    died = False
    try:
        await dying.plan(leased)
    except* KeyboardInterrupt:
        died = True
    assert died
    crowd.leave(keep=2)
    world.now_ms += 60_001
    (again,) = await world.work.lease_unplanned(1, world.now_ms, 60_000)
    await world.fanout.plan(again)
    assert (await world.report(message)).audience == 80 * 256
    async with world.dispatching():
        report = await world.closed(message)
    inapp = report.channels[Channel.INAPP]
    assert inapp.ends == {End.ACCEPTED: 2 * 256 - 3, End.SUPPRESSED: 78 * 256}


async def test_permits_bound_what_is_sent_and_nothing_is_lost(link: Link, directory: Directory) -> None:
    world = World(link, directory, {APNS: LaneLimit(rate_per_second=10, burst=4)})
    await world.people(school_class(10))
    message = await world.plan()
    async with world.dispatching():
        await world.handed(APNS, 4)
        await world.until(message, lambda report: report.channels[Channel.PUSH].ends.get(End.ACCEPTED) == 4)
        assert (await world.lanes.take(APNS, 1, world.now_ms)).granted == 0
        report = await world.closed(message, step_seconds=0.2)
    push = report.channels[Channel.PUSH]
    assert (push.ends, push.retries) == ({End.ACCEPTED: 10}, 0)
    assert len(world.senders[APNS].handed) == 10


async def test_permits_that_were_not_used_go_back(link: Link, directory: Directory) -> None:
    world = World(link, directory, {APNS: LaneLimit(rate_per_second=0.001, burst=4)})
    await world.people(school_class(2))
    message = await world.plan()
    world.now_ms += 49 * 3_600_000  # expired: claimed, not sent
    async with world.dispatching():
        await world.closed(message)
        with trio.fail_after(10):
            while (permits := await world.lanes.take(APNS, 4, world.now_ms)).granted < 4:
                await world.lanes.give_back(APNS, permits.granted, world.now_ms)
                await trio.sleep(0.005)


async def test_an_urgent_message_passes_a_bulk_one_that_waits_for_permits(link: Link, directory: Directory) -> None:
    world = World(link, directory, {APNS: LaneLimit(rate_per_second=100, burst=10)})
    await world.people(school_class(30))
    await world.lanes.take(APNS, 10, world.now_ms)
    bulk = await world.plan(urgency=Urgency.BULK)
    async with world.dispatching():
        await world.until(bulk, lambda report: report.channels[Channel.INAPP].live == 0)
        urgent = await world.plan(urgency=Urgency.URGENT)
        await world.until(urgent, lambda report: report.channels[Channel.INAPP].live == 0)
        await world.closed(urgent, step_seconds=0.02)
        await world.closed(bulk, step_seconds=0.02)
    order = [one.event for one in world.senders[APNS].handed]
    assert max(at for at, event in enumerate(order) if event == urgent.number) < order.count(bulk.number) + 15


async def test_a_store_that_goes_away_and_comes_back_loses_nothing(tmp_path: Path) -> None:
    server = embedded.start(tmp_path)
    link = Link(embedded.url(tmp_path))
    try:
        world = World(link, PaperDirectory())
        await world.people(school_class(4))
        world.senders[APNS].close()
        message = await world.plan()
        async with world.running():
            await world.handed(APNS, 4)
            await world.until(message, lambda report: report.channels[Channel.INAPP].live == 0)
            await trio.to_thread.run_sync(server.kill)
            await trio.to_thread.run_sync(server.wait)
            world.senders[APNS].is_open.set()  # answered while there is nobody to write it down
            server = await trio.to_thread.run_sync(embedded.start, tmp_path)
            report = await world.closed(message)
            later = await world.closed(await world.admit())
        assert report.channels[Channel.PUSH].ends == {End.ACCEPTED: 4}
        assert len(world.senders[APNS].handed) == 8
        assert later.channels[Channel.PUSH].ends == {End.ACCEPTED: 4}
    finally:
        link.close()
        embedded.stop(server)
