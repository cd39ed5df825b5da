"""Remembers what was read a moment ago, by number: a broadcast's readers ask for the same again."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable
from typing import Generic, TypeVar

import trio

Item = TypeVar("Item")

ITEMS_MAX = 20_000
SECONDS_MAX = 30.0


class ShortMemory(Generic[Item]):
    """Keeps up to 20,000 items for half a minute each; None is remembered too."""

    def __init__(self) -> None:
        self._known: OrderedDict[int, tuple[Item | None, float]] = OrderedDict()

    def recall(self, numbers: Iterable[int]) -> dict[int, Item | None]:
        """What is known of these; the others are left out."""
        now = trio.current_time()
        found: dict[int, Item | None] = {}
        for number in numbers:
            known = self._known.get(number)
            if known is not None and known[1] > now:
                found[number] = known[0]
        return found

    def keep(self, number: int, item: Item | None) -> None:
        self._known[number] = (item, trio.current_time() + SECONDS_MAX)
        self._known.move_to_end(number)
        if len(self._known) > ITEMS_MAX:
            self._known.popitem(last=False)
