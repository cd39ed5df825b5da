"""The end of an event's time: what still waits expires, and what has ended is forgotten after a while.

An event stands in the expiry index of its home shard from admission on. When its time comes it is stopped if it still
lives, and looked at again a little later; once closed it leaves the index and its keys get a time to live.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from engine.records.event import SHARD_COUNT
from engine.records.words import Stop
from queueing import keys
from queueing.link import Command, Link
from queueing.work.asking import state_of
from queueing.work.counters import Part
from queueing.work.live import pairs
from queueing.work.stopping import Stopping, shards_of

LOOK_AGAIN_MS = 10 * 60 * 1000
"""By then the sweep has settled what waited, and workers what they had in hand."""


class Expiring:
    def __init__(self, link: Link, stopping: Stopping, keep_ms: int) -> None:
        self._link = link
        self._stopping = stopping
        self._keep_ms = keep_ms

    async def expire(self, now_ms: int, limit: int) -> list[int]:
        """Stop events whose time is over and that still live; returns their numbers."""
        looks = await self._link.run(
            [("ZRANGEBYSCORE", name, "-inf", now_ms, "LIMIT", 0, limit) for name in keys.EXPIRY]
        )
        due = [int(event, 16) for found in looks for event in found][:limit]
        stopped: list[int] = []
        commands: list[Command] = []
        for event, parts in zip(due, await self._parts(due), strict=True):
            if state_of(parts) == "closed":
                commands += _forget(event, parts[0].parts, self._keep_ms)
            else:
                if await self._stopping.stop(event, Stop.EXPIRED, now_ms):
                    stopped.append(event)
                index = keys.EXPIRY[event % SHARD_COUNT]
                commands.append(("ZADD", index, now_ms + LOOK_AGAIN_MS, keys.event_hex(event)))
        await self._link.run(commands)
        return stopped

    async def _parts(self, events: Sequence[int]) -> list[list[Part]]:
        """The parts of each event, the home part first: one pipeline for all home parts, one for all others."""
        homes = await self._link.run([("HGETALL", keys.part(event % SHARD_COUNT, event)) for event in events])
        parts = [[Part(pairs(stored))] for stored in homes]
        others = [
            (place, keys.part(shard, event))
            for place, event in enumerate(events)
            for shard in shards_of(parts[place][0].parts)
            if shard != event % SHARD_COUNT
        ]
        replies = await self._link.run([("HGETALL", name) for _, name in others])
        for (place, _), stored in zip(others, replies, strict=True):
            parts[place].append(Part(pairs(stored)))
        return parts


def _forget(event: int, parts: int, keep_ms: int) -> Iterator[Command]:
    """Let the ledger of a closed event end by itself, and take the event off the index."""
    home = event % SHARD_COUNT
    for shard in {home, *shards_of(parts)}:
        for name in (keys.body, keys.part, keys.audience, keys.history):
            yield ("PEXPIRE", name(shard, event), keep_ms)
    yield ("ZREM", keys.EXPIRY[home], keys.event_hex(event))
