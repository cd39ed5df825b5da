"""Stopping events: cancelled, superseded, expired. The first stop wins; what waits is settled by the sweep."""

from __future__ import annotations

from engine.records.event import SHARD_COUNT
from engine.records.words import Stop
from queueing import keys
from queueing.link import Link
from queueing.work import scripts


class Stopping:
    def __init__(self, link: Link) -> None:
        self._link = link

    async def stop(self, event: int, stop: Stop, now_ms: int) -> bool:
        """Stop an event at home, then on its other parts. A repetition finishes what a crash left half done."""
        home = event % SHARD_COUNT
        names = (keys.part(home, event), keys.body(home, event), keys.STOPPED[home], keys.slices(home, event))
        reply = await self._link.ask(*scripts.STOP.call(names, (stop.value, now_ms, keys.event_hex(event))))
        if reply is None:
            return False
        first, holds, parts = reply
        if parts is not None:
            await flag_parts(self._link, event, Stop(holds.decode()), int(parts))
        return bool(first)


async def flag_parts(link: Link, event: int, stop: Stop, parts: int) -> None:
    """Tell every part of an event that it was stopped, then note at home that all know."""
    home = event % SHARD_COUNT
    await link.run(
        [
            scripts.FLAG.call(
                (keys.part(shard, event), keys.slices(shard, event), keys.STOPPED[shard]),
                (stop.value, keys.event_hex(event)),
            )
            for shard in shards_of(parts)
        ]
    )
    await link.ask("HSET", keys.part(home, event), "flagged", 1)


def shards_of(parts: int) -> list[int]:
    """The shards whose bits are set."""
    return [shard for shard in range(SHARD_COUNT) if parts >> shard & 1]
