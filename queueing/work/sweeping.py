"""The sweep: what waits of a stopped event is settled as the stop says, also on a parked lane or held until later."""

from __future__ import annotations

from collections.abc import Sequence

from engine.records.roster import headcount
from engine.records.words import End, Stop
from queueing import keys
from queueing.link import Command, Link
from queueing.work import counters, scripts
from queueing.work.codec import pack_sweep
from queueing.work.counters import Part
from queueing.work.live import LiveSlice, live_slices, pairs
from queueing.work.settling import settle_command
from queueing.work.stopping import flag_parts

_EVENTS_MAX = 32
"""Stopped events looked at on one shard at a time; picked at random, since some wait for slices in hand."""


class Sweeping:
    def __init__(self, link: Link) -> None:
        self._link = link

    async def sweep(self, now_ms: int, limit: int) -> int:
        """Settle slices of stopped events that nobody has in hand; how many."""
        picks = await self._link.run([("SRANDMEMBER", name, min(limit, _EVENTS_MAX)) for name in keys.STOPPED])
        found = [(shard, int(event, 16)) for shard, events in enumerate(picks) for event in events]
        commands: list[Command] = []
        for shard, event in found:
            commands.append(("HGETALL", keys.part(shard, event)))
            commands.append(("HGETALL", keys.slices(shard, event)))
        replies = await self._link.run(commands)
        settlements: list[Command] = []
        for at, (shard, event) in enumerate(found):
            part = Part(pairs(replies[2 * at]))
            settlements += await self._look(shard, event, part, pairs(replies[2 * at + 1]), now_ms)
        settled = sum(await self._link.run(settlements[:limit]))
        await self._link.run([_swept(shard, event) for shard, event in found])
        return settled

    async def _look(
        self, shard: int, event: int, part: Part, stored: dict[bytes, bytes], now_ms: int
    ) -> Sequence[Command]:
        if part.stop is None:
            raise LookupError(f"event {keys.event_hex(event)} is to be swept but has no stop")
        if part.parts and not part.flagged:  # whoever stopped it died on the way
            await flag_parts(self._link, event, part.stop, part.parts)
        return [_settle(one, part.stop, now_ms) for one in live_slices(shard, stored) if not one.is_in_hand]


def _settle(one: LiveSlice, stop: Stop, now_ms: int) -> Command:
    """A settlement with an even epoch: fenced off by any claim in between."""
    end = End(stop.value)
    names, arguments = settle_command(
        one.piece,
        one.reference,
        one.epoch,
        pack_sweep(end, now_ms, one.piece),
        now_ms,
        counters.of_sweep(end, one.piece, headcount(one.piece.people)),
    )
    return scripts.SETTLE.call(names, arguments)


def _swept(shard: int, event: int) -> Command:
    return scripts.SWEPT.call((keys.slices(shard, event), keys.STOPPED[shard]), (keys.event_hex(event),))
