"""What time does to slices: delays end, leases lapse.

Each verb looks at all shards in one round trip and then acts only where something is due, so that an idle store costs
sixteen small reads. Scripts check again what was read: between look and act anything may have happened.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from engine.records.roster import headcount
from queueing import keys
from queueing.link import Command, Link
from queueing.work import counters, scripts
from queueing.work.codec import pack_lost_marks, unpack_marks, unpack_slice
from queueing.work.references import Reference, read_reference


class Upkeep:
    def __init__(self, link: Link) -> None:
        self._link = link

    async def promote(self, now_ms: int, limit: int) -> int:
        """Move due slices to the ready queues; how many."""
        due = await self._link.run([("ZCOUNT", name, "-inf", now_ms) for name in keys.DELAYED])
        return await self._act(
            [
                scripts.PROMOTE.call((*keys.QUEUES[shard], keys.DELAYED[shard]), (now_ms, count))
                for shard, count in share(due, limit)
            ]
        )

    async def reclaim(self, now_ms: int, limit: int) -> int:
        """Give slices with a lapsed lease back; how many. Who was marked is counted as unknown."""
        looks = await self._link.run(
            [("ZRANGEBYSCORE", name, "-inf", now_ms, "LIMIT", 0, limit) for name in keys.LEASES]
        )
        lapsed = [(shard, reference.decode()) for shard, found in enumerate(looks) for reference in found][:limit]
        read = [(shard, reference, read_reference(reference)) for shard, reference in lapsed]
        states = await self._link.run(
            [("HMGET", keys.slices(shard, at.event), at.id, f"{at.id}e", f"{at.id}m") for shard, _, at in read]
        )
        commands = [
            _reclaim(shard, reference, at, packed, int(epoch), marks or b"", now_ms)
            for (shard, reference, at), (packed, epoch, marks) in zip(read, states, strict=True)
            if packed is not None and epoch is not None
        ]
        return await self._act(commands)

    async def _act(self, commands: Sequence[Command]) -> int:
        """Run scripts that reply how many they moved, and ring the bell."""
        if not commands:
            return 0
        replies = await self._link.run([*commands, ("PUBLISH", keys.BELL, "due")])
        return sum(replies[:-1])


def share(waiting: Sequence[int], limit: int) -> Iterator[tuple[int, int]]:
    """Share `limit` among shards: (shard, count) where something waits, as evenly as one pass allows."""
    busy = [shard for shard, count in enumerate(waiting) if count]
    for place, shard in enumerate(sorted(busy, key=lambda one: waiting[one])):
        count = min(waiting[shard], -(-limit // (len(busy) - place)))
        if count > 0:
            limit -= count
            yield shard, count


def _reclaim(
    shard: int, reference: str, at: Reference, packed: bytes, epoch: int, marks: bytes, now_ms: int
) -> Command:
    piece, _ = unpack_slice(packed, shard)
    _, marked = unpack_marks(marks)
    names = (
        *keys.QUEUES[shard],
        keys.LEASES[shard],
        keys.slices(shard, at.event),
        keys.history(shard, at.event),
        keys.part(shard, at.event),
    )
    entry = pack_lost_marks(now_ms, piece, marked) if marked else b""
    counted = counters.of_lost_marks(piece, headcount(marked))
    return scripts.RECLAIM.call(names, (reference, at.id, epoch, now_ms, marks, entry, *counters.flat(counted)))
