"""What fan-out needs: leases on unplanned events, versions of entities, frozen audiences, plans of parts."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence

from engine.ports import EntityVerdict
from engine.records.event import SHARD_COUNT, Event
from engine.records.roster import Roster, headcount, pack, unpack
from engine.records.words import URGENCIES
from engine.records.work import PartPlan
from queueing import keys
from queueing.link import Argument, Command, Link, Reply
from queueing.work import counters, scripts
from queueing.work.codec import pack_audience, pack_event, pack_slice, unpack_event
from queueing.work.references import PLANNING_LANE, planning_reference, queue_name, slice_reference

ENTITY_MS = 400 * 24 * 3600 * 1000
"""A calendar entry may be changed during its whole school year."""

ENTITY_VERSIONS_MAX = 16

_QUEUES = [queue_name(PLANNING_LANE, urgency) for urgency in URGENCIES]
_COUNTERS = [f"s|{queue}" for queue in _QUEUES]


class Planning:
    def __init__(self, link: Link) -> None:
        self._link = link
        self._first_shard = 0

    async def lease_unplanned(self, limit: int, now_ms: int, lease_ms: int) -> list[Event]:
        """Take unplanned events, most urgent first over all shards: one round trip to look, one to take."""
        looks = await self._look(now_ms)
        if any(lapsed for _, lapsed in looks):
            await self._give_back(looks, now_ms, limit)
            looks = await self._look(now_ms)
        self._first_shard = (self._first_shard + 1) % SHARD_COUNT
        waiting = [[int(count or 0) for count in counts] for counts, _ in looks]
        takes = list(_takes(waiting, limit, self._first_shard))
        replies = await self._link.run(
            [_lease(shard, queue, count, now_ms + lease_ms) for shard, queue, count in takes]
        )
        return [unpack_event(body) for bodies in replies for body in bodies]

    async def claim_entity(self, event: Event) -> EntityVerdict:
        """Register the event as a version of its entity: a higher sequence wins, then the later event."""
        if event.entity is None:
            return EntityVerdict(False, ())
        arguments = (keys.event_hex(event.number), event.sequence, ENTITY_MS, ENTITY_VERSIONS_MAX)
        stale, *older = await self._link.ask(*scripts.ENTITY.call([keys.entity(event.entity)], arguments))
        return EntityVerdict(bool(stale), tuple(int(number, 16) for number in older))

    async def freeze(self, event: Event, audience: Roster, shards: Collection[int]) -> Roster | None:
        """Freeze the audience; None when there is nothing (more) to plan, so that only `finish_planning` is left."""
        bits = sum(1 << shard for shard in set(shards))
        names = [keys.part(event.shard, event.number), keys.frozen(event.shard, event.number)]
        kept = await self._link.ask(*scripts.FREEZE.call(names, (pack(audience), bits)))
        return None if kept is None else unpack(kept)

    async def plan(self, part: PartPlan) -> bool:
        """Write one part and ring the bell."""
        replies = await self._link.run([_plan(part), ("PUBLISH", keys.BELL, "planned")])
        return bool(replies[0])

    async def finish_planning(self, event: Event, now_ms: int) -> None:
        """The event leaves the fan-out queue; its frozen audience stays with its parts only."""
        shard, number = event.shard, event.number
        names = (
            *keys.QUEUES[shard],
            keys.PLANNING[shard],
            keys.part(shard, number),
            keys.frozen(shard, number),
        )
        await self._link.ask(*scripts.FINISH.call(names, (planning_reference(event), now_ms)))

    async def _look(self, now_ms: int) -> list[tuple[list[bytes | None], int]]:
        """For each shard: how many wait by urgency, and how many leases have lapsed."""
        commands: list[Command] = []
        for shard in range(SHARD_COUNT):
            commands.append(("HMGET", keys.READY[shard], *_COUNTERS))
            commands.append(("ZCOUNT", keys.PLANNING[shard], "-inf", now_ms))
        replies = await self._link.run(commands)
        return list(zip(replies[::2], replies[1::2], strict=True))

    async def _give_back(self, looks: Sequence[tuple[Reply, int]], now_ms: int, limit: int) -> None:
        await self._link.run(
            [
                scripts.UNLEASE.call((*keys.QUEUES[shard], keys.PLANNING[shard]), (now_ms, limit))
                for shard, (_, lapsed) in enumerate(looks)
                if lapsed
            ]
        )


def _takes(waiting: Sequence[Sequence[int]], limit: int, first_shard: int) -> Iterator[tuple[int, str, int]]:
    """Share `limit` among queues (shard, queue, count): by urgency, then shard by shard from `first_shard` on."""
    for rank, queue in enumerate(_QUEUES):
        for step in range(SHARD_COUNT):
            shard = (first_shard + step) % SHARD_COUNT
            count = min(waiting[shard][rank], limit)
            if count:
                limit -= count
                yield shard, queue, count


def _lease(shard: int, queue: str, count: int, deadline_ms: int) -> Command:
    names = (*keys.QUEUES[shard], keys.PLANNING[shard], keys.PART[shard], keys.BODY[shard])
    return scripts.LEASE.call(names, (queue, count, deadline_ms))


def _plan(part: PartPlan) -> Command:
    event, shard = part.event, part.shard
    names = (
        *keys.QUEUES[shard],
        keys.part(shard, event.number),
        keys.body(shard, event.number),
        keys.audience(shard, event.number),
        keys.slices(shard, event.number),
        keys.DELAYED[shard],
        keys.STOPPED[shard],
    )
    arguments: list[Argument] = [
        int(shard == event.shard),
        keys.event_hex(event.number),
        pack_event(event),
        pack_audience(part),
        headcount(part.audience),
        event.admitted_ms,
        *counters.flat(counters.of_plan(part)),
    ]
    for piece in part.slices:
        reference = slice_reference(piece)
        arguments += (reference, piece.id, pack_slice(piece, reference), piece.due_ms)
    return scripts.PLAN.call(names, arguments)
