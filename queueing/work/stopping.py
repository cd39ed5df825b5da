"""Stopping events: cancelled, superseded, expired. The first stop wins; what waits is settled by the sweep."""

from __future__ import annotations

from typing import NamedTuple

from engine.ports import Cancelled
from engine.records.event import SHARD_COUNT
from engine.records.words import Stop
from queueing import keys
from queueing.link import Link
from queueing.work import scripts


class _Home(NamedTuple):
    is_first: bool
    holds: Stop
    parts: int
    has_caught: bool


class Stopping:
    def __init__(self, link: Link) -> None:
        self._link = link

    async def stop(self, event: int, stop: Stop, now_ms: int) -> bool:
        """Stop an event at home, then on its other parts. A repetition finishes what a crash left half done."""
        reply = await self._at_home(event, stop, now_ms)
        if reply is None:
            return False
        if reply.parts:
            await flag_parts(self._link, event, reply.holds, reply.parts)
        return reply.is_first

    async def cancel(self, event: int, now_ms: int) -> Cancelled | None:
        """Stop an event as cancelled; the scripts remember what the first stop found, so a repetition says the same."""
        reply = await self._at_home(event, Stop.CANCELLED, now_ms)
        if reply is None:
            return None
        has_caught = reply.has_caught
        if reply.parts:
            has_caught |= await flag_parts(self._link, event, reply.holds, reply.parts)
        return Cancelled(reply.holds, has_caught)

    async def _at_home(self, event: int, stop: Stop, now_ms: int) -> _Home | None:
        home = event % SHARD_COUNT
        names = (keys.part(home, event), keys.body(home, event), keys.STOPPED[home], keys.slices(home, event))
        reply = await self._link.ask(*scripts.STOP.call(names, (stop.value, now_ms, keys.event_hex(event))))
        if reply is None:
            return None
        first, holds, parts, caught = reply
        return _Home(bool(first), Stop(holds.decode()), int(parts or 0), bool(caught))


async def flag_parts(link: Link, event: int, stop: Stop, parts: int) -> bool:
    """Tell every part of an event that it was stopped, then note at home that all know; whether one had some left."""
    home = event % SHARD_COUNT
    caught = await link.run(
        [
            scripts.FLAG.call(
                (keys.part(shard, event), keys.slices(shard, event), keys.STOPPED[shard]),
                (stop.value, keys.event_hex(event)),
            )
            for shard in shards_of(parts)
        ]
    )
    await link.ask("HSET", keys.part(home, event), "flagged", 1)
    return any(caught)


def shards_of(parts: int) -> list[int]:
    """The shards whose bits are set."""
    return [shard for shard in range(SHARD_COUNT) if parts >> shard & 1]
