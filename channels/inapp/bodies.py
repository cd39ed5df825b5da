"""Events by number, through a short memory: a broadcast is read once, not once per reader.

A cancellation whose hint was lost is noticed as soon as the event is forgotten here.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Mapping

from channels.inapp.short_memory import ShortMemory
from engine.records.event import Event
from engine.records.words import Stop

ReadEvents = Callable[[Collection[int]], Awaitable[Mapping[int, tuple[Event, Stop | None]]]]
"""`engine.ports.Work.events`."""


class Bodies:
    """Reads events that may be shown: stopped as cancelled, or unknown, they are not there."""

    def __init__(self, read: ReadEvents) -> None:
        self._read = read
        self._memory = ShortMemory[Event]()  # None: withdrawn

    async def get(self, numbers: Collection[int]) -> dict[int, Event]:
        """The events that may be shown; withdrawn and unknown ones are left out.

        Raises:
            StoreUnavailable: the store did not answer.
        """
        found = self._memory.recall(numbers)
        missing = [number for number in numbers if number not in found]
        if missing:
            for number, (event, stop) in (await self._read(missing)).items():
                found[number] = None if stop is Stop.CANCELLED else event
                self._memory.keep(number, found[number])
        return {number: event for number, event in found.items() if event is not None}

    def withdraw(self, number: int) -> None:
        """Note that an event was cancelled."""
        self._memory.keep(number, None)
