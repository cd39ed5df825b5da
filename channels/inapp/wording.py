"""Whose children an item names: families read through a short memory, and only for events that hold `{children}`."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Awaitable, Callable, Collection, Mapping

import trio

from engine.records.event import Event
from engine.records.family import Family
from engine.records.roster import Roster, roster_of

ReadFamilies = Callable[[Roster], Awaitable[Mapping[int, Family]]]
"""`engine.ports.Directory.families`."""

_FAMILIES_MAX = 20_000
_SECONDS_MAX = 30.0  # a guardian who loses custody reads no names after this


class Wording:
    """Reads who the readers' children are."""

    def __init__(self, read: ReadFamilies) -> None:
        self._read = read
        self._known: OrderedDict[int, tuple[Family | None, float]] = OrderedDict()

    async def families(self, events: Collection[Event], people: Collection[int]) -> Mapping[int, Family]:
        """The families of these readers; nothing is read when none of the events needs them.

        Raises:
            StoreUnavailable: the store did not answer.
        """
        if not any(event.names_children for event in events):
            return {}
        now = trio.current_time()
        found: dict[int, Family | None] = {}
        for number in people:
            known = self._known.get(number)
            if known is not None and known[1] > now:
                found[number] = known[0]
        missing = [number for number in people if number not in found]
        if missing:
            fresh = await self._read(roster_of(missing))
            for number in missing:
                found[number] = fresh.get(number)
                self._remember(number, found[number], now + _SECONDS_MAX)
        return {number: family for number, family in found.items() if family is not None}

    def _remember(self, number: int, family: Family | None, until: float) -> None:
        self._known[number] = (family, until)
        self._known.move_to_end(number)
        if len(self._known) > _FAMILIES_MAX:
            self._known.popitem(last=False)
