"""Remembers what was built for an event in a language, since thousands of people share it."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from typing import Generic, TypeVar

from engine.records.event import Event
from engine.records.words import Language

Built = TypeVar("Built")

EVENTS_MAX = 256
"""The events in flight on one lane, in both languages; the one built longest ago makes room."""


class BuiltOnce(Generic[Built]):
    """Calls `build` once per event and language, as long as the event is among the last ones."""

    def __init__(self, build: Callable[[Event, Language], Built]) -> None:
        self._build = build
        self._known: OrderedDict[tuple[int, Language], Built] = OrderedDict()

    def __call__(self, event: Event, language: Language) -> Built:
        key = (event.number, language)
        built = self._known.get(key)
        if built is None:
            built = self._known[key] = self._build(event, language)
            if len(self._known) > EVENTS_MAX:
                self._known.popitem(last=False)
        return built
