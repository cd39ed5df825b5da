"""How deep the queues are and how long the oldest has waited: for metrics and the operators' page."""

from __future__ import annotations

from engine.ports import Depth
from engine.records.words import Urgency
from queueing import keys
from queueing.link import Link
from queueing.work import scripts
from queueing.work.references import queue_parts


class Depths:
    def __init__(self, link: Link) -> None:
        self._link = link

    async def depths(self) -> list[Depth]:
        """Sum up all queues, in one round trip; for a scrape every few seconds, not for a hot loop."""
        found: dict[tuple[str, Urgency], Depth] = {}
        for reply in await self._link.run([scripts.DEPTHS.call(queues, ()) for queues in keys.QUEUES]):
            for name, slices, people, oldest_ms in reply:
                lane, urgency = queue_parts(name.decode())
                before = found.get((lane, urgency), Depth(lane, urgency, 0, 0, oldest_ms))
                found[lane, urgency] = Depth(
                    lane, urgency, before.slices + slices, before.people + people, min(before.oldest_ms, oldest_ms)
                )
        return list(found.values())
