"""Events by number, through a short memory: a broadcast is read once, not once per reader."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Awaitable, Callable, Collection, Mapping

import trio

from engine.records.event import Event
from engine.records.words import Stop

ReadEvents = Callable[[Collection[int]], Awaitable[Mapping[int, tuple[Event, Stop | None]]]]
"""`engine.ports.Work.events`."""

_EVENTS_MAX = 20_000
_SECONDS_MAX = 30.0  # a cancellation whose hint was lost is noticed after this


class Bodies:
    """Reads events that may be shown: stopped as cancelled, or unknown, they are not there."""

    def __init__(self, read: ReadEvents) -> None:
        self._read = read
        self._known: OrderedDict[int, tuple[Event | None, float]] = OrderedDict()  # None: withdrawn

    async def get(self, numbers: Collection[int]) -> dict[int, Event]:
        """The events that may be shown; withdrawn and unknown ones are left out.

        Raises:
            StoreUnavailable: the store did not answer.
        """
        now = trio.current_time()
        found: dict[int, Event | None] = {}
        for number in numbers:
            known = self._known.get(number)
            if known is not None and known[1] > now:
                found[number] = known[0]
        missing = [number for number in numbers if number not in found]
        if missing:
            for number, (event, stop) in (await self._read(missing)).items():
                found[number] = None if stop is Stop.CANCELLED else event
                self._remember(number, found[number], now)
        return {number: event for number, event in found.items() if event is not None}

    def withdraw(self, number: int) -> None:
        """Note that an event was cancelled."""
        self._remember(number, None, trio.current_time())

    def _remember(self, number: int, event: Event | None, now: float) -> None:
        self._known[number] = (event, now + _SECONDS_MAX)
        self._known.move_to_end(number)
        if len(self._known) > _EVENTS_MAX:
            self._known.popitem(last=False)
