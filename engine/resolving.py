"""Asks the directory for what the rules need: an audience's roster, a tenant's channels, times of release."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping

from engine.ports import Directory
from engine.records.event import Audience, Event
from engine.records.roster import Roster
from engine.records.words import Category, Channel
from engine.rules import audience as audiences
from engine.rules import quiet
from engine.rules.policy import ALL_CHANNELS
from engine.rules.quiet import Release

STRATEGY_MS = 5_000
"""A class message costs one round trip less; a municipality that changes its mind is heard within five seconds."""


async def resolve(directory: Directory, audience: Audience, blocks: Collection[int] | None = None) -> Roster:
    """Who an audience means now, everywhere or at least on these blocks; at most three kinds of questions."""
    asked = audiences.needs(audience)
    facts = audiences.Facts(
        rosters=await directory.rosters(asked.rosters, blocks) if asked.rosters else {},
        numbers=await directory.numbers(asked.people) if asked.people else {},
        guardians={pupils: await directory.guardians(pupils) for pupils in asked.guardians_of},
    )
    return audiences.evaluate(audience, facts)


class Strategies:
    """Which channels each municipality uses, remembered for a few seconds.

    The directory's journal does not speak of strategies, so they are asked again and again, at sending too.
    """

    def __init__(self, directory: Directory, now_ms: Callable[[], int]) -> None:
        self._directory = directory
        self._now_ms = now_ms
        self._known: dict[str, tuple[int, Mapping[Category, frozenset[Channel]]]] = {}

    async def allowed(self, event: Event) -> frozenset[Channel]:
        """The channels that the event's tenant uses for its category."""
        now_ms = self._now_ms()
        asked_ms, strategy = self._known.get(event.tenant, (0, {}))
        if not 0 <= now_ms - asked_ms < STRATEGY_MS:
            strategy = await self._directory.strategy(event.tenant)
            self._known[event.tenant] = now_ms, strategy
        return strategy.get(event.category, ALL_CHANNELS)


async def releases(directory: Directory, held: Roster, now_ms: int, expires_ms: int) -> list[Release]:
    """When each of those who are quiet now may be reached; reads a window of planes at a time until nobody is held."""
    found: list[Release] = []
    for steps in quiet.windows(now_ms, expires_ms):
        if not held:
            break
        planes = await directory.planes(list(held), {step.plane for step in steps})
        released, held = quiet.ripple(held, steps, planes)
        found += released
    if held:
        found.append(Release(quiet.horizon_ms(now_ms, expires_ms), held))
    return found
