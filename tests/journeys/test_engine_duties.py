"""A dispatcher kept free for urgent work, and those that help it."""

from __future__ import annotations

from engine.dispatch import Duty
from engine.records.words import Urgency
from engine.rules.helping import HELP_SLICES_MIN
from tests.journeys.engine_world import APNS, World, school_class


def order(world: World) -> list[int]:
    """The events that were handed to the sender, in the order of their first deliveries."""
    return list(dict.fromkeys(one.event for one in world.senders[APNS].handed))


async def test_a_dispatcher_for_urgent_work_leaves_the_rest_alone(world: World) -> None:
    await world.people(school_class(3))
    bulk = await world.plan(urgency=Urgency.BULK)
    urgent = [await world.plan(urgency=urgency) for urgency in (Urgency.URGENT, Urgency.EMERGENCY)]
    async with world.dispatching(duty=Duty.URGENT):
        for event in urgent:
            await world.closed(event)
    assert bulk.number not in order(world)
    async with world.dispatching(duty=Duty.HELPING):
        await world.closed(bulk)


async def test_a_helping_dispatcher_takes_an_urgent_message_only_when_nobody_else_did(world: World) -> None:
    await world.people(school_class(3))
    urgent = await world.plan(urgency=Urgency.URGENT)
    normal = await world.plan(urgency=Urgency.NORMAL)
    async with world.dispatching(duty=Duty.HELPING):
        await world.closed(normal)
        assert order(world) == [normal.number]
        await world.closed(urgent)  # a second later
    assert order(world) == [normal.number, urgent.number]


async def test_a_helping_dispatcher_takes_much_urgent_work_at_once(world: World) -> None:
    await world.people(school_class(3))
    urgent = [await world.plan(urgency=Urgency.EMERGENCY) for _ in range(HELP_SLICES_MIN)]
    world.senders[APNS].close()  # so that none of this waits for a second look
    async with world.dispatching(duty=Duty.HELPING, look_seconds=60.0):  # one look, at the start
        await world.handed(APNS, 3 * HELP_SLICES_MIN)
        world.senders[APNS].is_open.set()
        for event in urgent:
            await world.closed(event)
