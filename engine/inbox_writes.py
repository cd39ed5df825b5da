"""Gathers what many slices put into inboxes: one write for all that are under way, as marks and settlements have it.

Of a national event every slice would be a write of its own, and the store syncs each to the disk: two in three write
trips of a blast, which urgent messages wait behind.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from engine.combining import Combiner
from engine.ports import Inbox
from engine.records.roster import Roster
from engine.rules import roster as rosters


class _Item(NamedTuple):
    event: int
    people: Roster
    broadcast: bool


class InboxWrites:
    """Puts events into inboxes, gathered; `run` must run."""

    def __init__(self, inbox: Inbox) -> None:
        self._inbox = inbox
        self._write = Combiner(self._write_together)
        self.run = self._write.run

    async def deliver(self, event: int, people: Roster, broadcast: bool) -> Roster:
        """Put an event into people's inboxes, once each; returns those who did not have it yet.

        Raises:
            StoreUnavailable: the store was away; some may have it, and a repetition changes nothing for them.
        """
        return await self._write(_Item(event, people, broadcast))

    async def _write_together(self, items: Sequence[_Item]) -> list[Roster]:
        together: dict[tuple[int, bool], Roster] = {}
        for event, people, broadcast in items:
            rosters.merge_into(together.setdefault((event, broadcast), {}), people)
        put = {
            (event, broadcast): await self._inbox.deliver(event, people, broadcast)
            for (event, broadcast), people in together.items()
        }
        return [rosters.intersect(item.people, put[item.event, item.broadcast]) for item in items]
