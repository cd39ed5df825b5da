"""Truth at send time: what changed after planning is respected at claim, at permit, at retry and at release."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import msgspec
import pytest

from engine.outcomes import ACCEPTED, Outcome, Unreachable
from engine.ports import Directory
from engine.records.event import Audience, Event, Term
from engine.records.person import Person, QuietHours, Strategy
from engine.records.words import Category, Channel, End, Reason, Role, Stop
from engine.records.work import Batch, Endpoint, EventReport
from engine.resolving import STRATEGY_MS
from queueing.directory import StoreDirectory
from queueing.link import Link
from tests.journeys.engine_world import APNS, INAPP, World, guardian, pupil
from tests.journeys.paper_directory import PaperDirectory
from tests.rules.people import HOUR_MS, NOON_MS

ENTITY = "0101/calendar/trip@school/"
AUDIENCE = Audience(include=(Term(group="3b", role=Role.GUARDIAN), Term(group="choir", role=Role.GUARDIAN)))
QUIET = (QuietHours(days=tuple(range(7)), start="22:00", until="07:00"),)

Change = Callable[[World, Event], Awaitable[None]]
Moment = Callable[[World, Change], Awaitable[tuple[Event, EventReport]]]


async def school(world: World, *, quiet: tuple[QuietHours, ...] = (), also_in_choir: bool = False) -> None:
    """Anna is in 3b, her father carries the phone; her sister sings in the choir, when the test says so."""
    people: list[Person] = [guardian("father", "father-phone", quiet=quiet), pupil("anna", "father")]
    if also_in_choir:
        people.append(pupil("sister", "father", groups=("choir",)))
    await world.people(people)


@pytest.fixture(params=["paper", "store"])
def directory(request: pytest.FixtureRequest, link: Link) -> Directory:
    """Both implementations of the port: people on paper, and the store's."""
    return PaperDirectory() if request.param == "paper" else StoreDirectory(link)


# --- moments: the slice is planned, something changes, and only then it may go out --------------------------------


async def at_claim(world: World, change: Change) -> tuple[Event, EventReport]:
    message = await world.plan(AUDIENCE, entity=ENTITY, sequence=1)
    await change(world, message)
    async with world.dispatching():
        await world.upkeep.sweep()
        return message, await world.closed(message)


async def at_permit(world: World, change: Change) -> tuple[Event, EventReport]:
    """The lane gives no permits when the slice is planned; a dispatcher is already waiting for them."""
    await world.lanes.slow(APNS, world.now_ms + 60_000, "retry-after")
    async with world.dispatching():
        message = await world.plan(AUDIENCE, entity=ENTITY, sequence=1)
        await world.until(message, lambda report: report.channels[Channel.INAPP].live == 0)
        await change(world, message)
        world.now_ms += 61_000
        await world.upkeep.sweep()
        return message, await world.closed(message)


async def at_retry(world: World, change: Change) -> tuple[Event, EventReport]:
    """The first attempt fails; what changes before the second is respected."""
    attempts: list[int] = []

    def answer(batch: Batch, endpoint: Endpoint) -> Outcome:
        attempts.append(endpoint.number)
        return Unreachable(reason="503") if len(attempts) == 1 else ACCEPTED

    world.senders[APNS].answer = answer
    async with world.dispatching():
        message = await world.plan(AUDIENCE, entity=ENTITY, sequence=1)
        await world.until(message, lambda report: report.channels[Channel.PUSH].retries == 1)
        world.senders[APNS].handed.clear()
        await change(world, message)
        await world.promote(31)
        await world.upkeep.sweep()
        return message, await world.closed(message)


async def at_release(world: World, change: Change) -> tuple[Event, EventReport]:
    """The father is quiet: the slice is held until the morning."""
    world.now_ms += 11 * HOUR_MS
    async with world.dispatching():
        message = await world.plan(AUDIENCE, entity=ENTITY, sequence=1, expires_ms=NOON_MS + 48 * HOUR_MS)
        await world.until(message, lambda report: report.channels[Channel.INAPP].live == 0)
        assert (await world.counts(message)).live == 1
        await change(world, message)
        await world.promote(9 * 3600)
        await world.upkeep.sweep()
        return message, await world.closed(message)


MOMENTS: list[Moment] = [at_claim, at_permit, at_retry, at_release]
moments = pytest.mark.parametrize("moment", MOMENTS, ids=lambda moment: moment.__name__)


def quiet_for(moment: Moment) -> tuple[QuietHours, ...]:
    return QUIET if moment is at_release else ()


# --- changes --------------------------------------------------------------------------------------------------------


async def custody_is_lost(world: World, message: Event) -> None:
    await world.directory.change("anna", lambda anna: msgspec.structs.replace(anna, guardians=()), world.now_ms)


async def push_is_switched_off(world: World, message: Event) -> None:
    off = {Channel.PUSH: (Category.MESSAGE,)}
    await world.directory.change("father", lambda father: msgspec.structs.replace(father, off=off), world.now_ms)


async def the_event_is_cancelled(world: World, message: Event) -> None:
    assert await world.work.stop(message.number, Stop.CANCELLED, world.now_ms)


async def a_newer_version_comes(world: World, message: Event) -> None:
    await world.plan(Audience(include=(Term(people=("nobody",)),)), entity=ENTITY, sequence=2)


async def nothing_changes(world: World, message: Event) -> None:
    pass


@moments
async def test_without_a_change_it_goes_out(world: World, moment: Moment) -> None:
    await school(world, quiet=quiet_for(moment))
    _, report = await moment(world, nothing_changes)
    assert report.channels[Channel.PUSH].ends == {End.ACCEPTED: 1}


@moments
async def test_a_guardian_who_lost_custody_gets_nothing(world: World, moment: Moment) -> None:
    await school(world, quiet=quiet_for(moment))
    _, report = await moment(world, custody_is_lost)
    assert report.channels[Channel.PUSH].ends == {End.SUPPRESSED: 1}
    assert world.heard.ends[Channel.PUSH, End.SUPPRESSED, Reason.NOT_IN_AUDIENCE] == 1
    assert not world.senders[APNS].handed


@moments
async def test_a_guardian_who_is_still_entitled_through_another_group_gets_it(world: World, moment: Moment) -> None:
    await school(world, quiet=quiet_for(moment), also_in_choir=True)
    _, report = await moment(world, custody_is_lost)
    assert report.channels[Channel.PUSH].ends == {End.ACCEPTED: 1}


@moments
async def test_who_opted_out_gets_nothing(world: World, moment: Moment) -> None:
    await school(world, quiet=quiet_for(moment), also_in_choir=True)
    _, report = await moment(world, push_is_switched_off)
    assert report.channels[Channel.PUSH].ends == {End.SUPPRESSED: 1}
    assert world.heard.ends[Channel.PUSH, End.SUPPRESSED, Reason.OPTED_OUT] == 1
    assert not world.senders[APNS].handed


@moments
async def test_a_cancelled_event_sends_nothing_more(world: World, moment: Moment) -> None:
    await school(world, quiet=quiet_for(moment))
    _, report = await moment(world, the_event_is_cancelled)
    assert report.channels[Channel.PUSH].ends == {End.CANCELLED: 1}
    assert not world.senders[APNS].handed


@moments
async def test_an_older_version_sends_nothing_more(world: World, moment: Moment) -> None:
    await school(world, quiet=quiet_for(moment))
    _, report = await moment(world, a_newer_version_comes)
    assert report.channels[Channel.PUSH].ends == {End.SUPERSEDED: 1}
    assert not world.senders[APNS].handed


async def test_a_version_that_comes_too_late_is_stale(world: World) -> None:
    await school(world)
    await world.plan(AUDIENCE, entity=ENTITY, sequence=2)
    late = await world.plan(AUDIENCE, entity=ENTITY, sequence=1)
    report = await world.closed(late)
    assert (report.stop, report.audience) == (Stop.SUPERSEDED, 0)


async def test_a_slice_that_waited_into_quiet_hours_is_held_for_push_and_not_for_the_inbox(world: World) -> None:
    await school(world, quiet=QUIET)
    message = await world.plan(AUDIENCE)
    world.now_ms += 11 * HOUR_MS
    async with world.dispatching():
        await world.until(message, lambda report: report.channels[Channel.INAPP].live == 0)
        await world.until(message, lambda report: report.channels[Channel.PUSH].live == 1)
        await world.promote(7 * 3600)
        assert not world.senders[APNS].handed
        await world.promote(HOUR_MS / 1000 + 601)
        await world.closed(message)
    assert len(world.senders[APNS].handed) == 1
    assert world.heard.counts["retried 503"] == 0
    assert len(world.senders[INAPP].handed) == 1


async def test_a_phone_that_was_given_up_is_no_endpoint(world: World) -> None:
    await school(world)
    message = await world.plan(AUDIENCE)
    await world.directory.change("father", lambda father: msgspec.structs.replace(father, devices=()), world.now_ms)
    async with world.dispatching():
        report = await world.closed(message)
    assert report.channels[Channel.PUSH].ends == {End.SUPPRESSED: 1}
    assert world.heard.ends[Channel.PUSH, End.SUPPRESSED, Reason.NO_ENDPOINT] == 1


async def test_a_channel_that_the_municipality_gave_up_is_not_used_any_more(world: World) -> None:
    await school(world)
    message = await world.plan(AUDIENCE)
    line = Strategy(tenant="0101", category=Category.MESSAGE, channels=(Channel.INAPP,))
    assert not await world.directory.apply([(1, line)], world.now_ms)
    world.now_ms += STRATEGY_MS
    async with world.dispatching():
        report = await world.closed(message)
    assert report.channels[Channel.PUSH].ends == {End.SUPPRESSED: 1}
    assert world.heard.ends[Channel.PUSH, End.SUPPRESSED, Reason.STRATEGY] == 1
    assert report.channels[Channel.INAPP].ends == {End.ACCEPTED: 1}
    later = await world.plan(AUDIENCE)
    assert (await world.counts(later)).suppressed == {Reason.STRATEGY: 1}


async def test_guardians_of_a_named_pupil_are_asked_again_too(world: World) -> None:
    await school(world)
    """He keeps the sister in the same class, so that no roster changes, yet this is about Anna."""
    await world.people([pupil("sister", "father")])
    message = await world.plan(Audience(include=(Term(guardians_of=("anna",)),)))
    await custody_is_lost(world, message)
    async with world.dispatching():
        report = await world.closed(message)
    assert report.channels[Channel.PUSH].ends == {End.SUPPRESSED: 1}
