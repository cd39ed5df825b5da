"""Everything at once, seeded: random answers, killed workers, changing people, and the ledger still adds up."""

from __future__ import annotations

from random import Random

import msgspec
import pytest
import trio

from engine.drain import Drain
from engine.outcomes import ACCEPTED, Outcome, Rejected, Throttled, Unknown, Unreachable
from engine.records.event import Event
from engine.records.person import QuietHours
from engine.records.words import Category, Channel, End, Stop, Urgency, channel_of
from engine.records.work import Batch, Endpoint
from tests.journeys.engine_world import INAPP, LEASE_SECONDS, World, balanced, guardian, pupil

SIZE = 40
ANSWERS: list[Outcome] = [
    *[ACCEPTED] * 12,
    Rejected(reason="BadPayload"),
    Rejected(reason="Unregistered", endpoint_gone=True),
    Throttled(reason="429", lane_wide=True, retry_after_seconds=3),
    Throttled(reason="busy", lane_wide=False),
    Unreachable(reason="503"),
    Unknown(reason="timeout"),
]
NIGHT = QuietHours(days=tuple(range(7)), start="13:00", until="14:00")


async def school(world: World, random: Random) -> None:
    for at in range(SIZE):
        tokens = [f"{at:03}-{slot}" for slot in range(random.randrange(3))]
        quiet = (NIGHT,) if random.random() < 0.3 else ()
        email = f"g{at}@example.org" if random.random() < 0.5 else None
        await world.people([guardian(f"g{at}", *tokens, quiet=quiet, email=email), pupil(f"p{at}", f"g{at}")])


async def something_happens(world: World, random: Random, messages: list[Event]) -> None:
    """One change of people or events, the passing of time, or a lost lease."""
    who = random.randrange(SIZE)
    match random.randrange(6):
        case 0:
            off = {Channel.PUSH: (Category.MESSAGE,)} if random.random() < 0.5 else {}
            await world.directory.change(f"g{who}", lambda one: msgspec.structs.replace(one, off=off), world.now_ms)
        case 1:
            await world.directory.change(
                f"p{who}", lambda one: msgspec.structs.replace(one, guardians=()), world.now_ms
            )
        case 2:
            messages.append(await world.plan(urgency=random.choice(list(Urgency))))
        case 3 if random.random() < 0.2:
            await world.work.stop(random.choice(messages).number, Stop.CANCELLED, world.now_ms)
        case _:
            await world.promote(random.randrange(120))
    await world.upkeep.reclaim()
    await world.upkeep.sweep()


@pytest.mark.parametrize("seed", [1, 2, 3])
async def test_the_ledger_adds_up_whatever_happens(world: World, seed: int) -> None:
    random = Random(seed)
    accepted: dict[Channel, set[tuple[int, int, int]]] = {channel: set() for channel in Channel}
    answers = ANSWERS

    def answer(batch: Batch, endpoint: Endpoint) -> Outcome:
        outcome = ACCEPTED if batch.lane == INAPP else random.choice(answers)
        if outcome is ACCEPTED:
            accepted[channel_of(batch.lane)].add((batch.event.number, endpoint.number, batch.slot))
        return outcome

    for sender in world.senders.values():
        sender.answer = answer
    await school(world, random)
    messages = [await world.plan(urgency=Urgency.NORMAL)]
    for life in range(6):  # a worker lives for a while and is killed, whatever it has in hand
        async with trio.open_nursery() as nursery:
            await nursery.start(world.dispatcher(f"w{life}").run, Drain())
            for _ in range(12):
                await something_happens(world, random, messages)
                await trio.sleep(0.001)
            nursery.cancel_scope.cancel()
        world.now_ms += round(1000 * LEASE_SECONDS) + 1
    answers = [ACCEPTED]
    await world.upkeep.reclaim()
    async with world.dispatching("last"):
        for message in messages:
            with trio.fail_after(20):
                while (report := await world.report(message)).state != "closed":
                    await world.promote(20)
                    await world.upkeep.reclaim()
                    await world.upkeep.sweep()
                    await world.work.wait_for_work(0.01)
            balanced(report)
            for counts in report.channels.values():
                assert sum(counts.ends.values()) == counts.planned
    for channel in Channel:
        counted = [(await world.counts(message, channel)).ends.get(End.ACCEPTED, 0) for message in messages]
        # A killed worker's people may have been accepted unheard; what the ledger calls accepted was accepted.
        assert 0 < sum(counted) <= len(accepted[channel])
