"""Whose children an item names: families read through a short memory, and only for events that hold `{children}`.

A guardian who loses custody reads no names as soon as it is forgotten here.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Mapping

from channels.inapp.short_memory import ShortMemory
from engine.records.event import Event
from engine.records.family import Family
from engine.records.roster import Roster, roster_of

ReadFamilies = Callable[[Roster], Awaitable[Mapping[int, Family]]]
"""`engine.ports.Directory.families`."""


class Wording:
    """Reads who the readers' children are."""

    def __init__(self, read: ReadFamilies) -> None:
        self._read = read
        self._memory = ShortMemory[Family]()

    async def families(self, events: Collection[Event], people: Collection[int]) -> Mapping[int, Family]:
        """The families of these readers; nothing is read when none of the events needs them.

        Raises:
            StoreUnavailable: the store did not answer.
        """
        if not any(event.names_children for event in events):
            return {}
        found = self._memory.recall(people)
        missing = [number for number in people if number not in found]
        if missing:
            fresh = await self._read(roster_of(missing))
            for number in missing:
                found[number] = fresh.get(number)
                self._memory.keep(number, found[number])
        return {number: family for number, family in found.items() if family is not None}
