"""What differs between the readers of one text: unread counts for the icon, names of children for `{children}`.

Nearly no event names children and a lane counts badges only where the configuration says so; then nothing is read and
nothing awaited. In-app items are worded when they are read (`channels/inapp/wording.py`), so they need neither.
Read right before the people are marked, for the people of the slice alone, and kept by nobody: custody may end
between two attempts.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import NamedTuple

from engine.ports import Directory, Inbox
from engine.records.event import Event
from engine.records.family import Family
from engine.records.roster import Roster
from engine.records.words import Channel, Language, channel_of
from engine.records.work import Endpoint, Personal
from engine.rules.children import phrase


class PersonalFacts(NamedTuple):
    """What was read for a slice; None is what this slice does not need."""

    families: Mapping[int, Family] | None
    unread: Mapping[int, int] | None


class PersonalReader:
    """Reads what is personal to the people of a slice.

    Args:
        inbox: where unread counts come from; without one no lane has badges.
        badge_lanes: the lanes whose messages carry the unread count.
    """

    def __init__(self, directory: Directory, inbox: Inbox | None = None, badge_lanes: Collection[str] = ()) -> None:
        self._directory = directory
        self._inbox = inbox
        self._badge_lanes = frozenset(badge_lanes)

    def is_needed(self, event: Event, lane: str) -> bool:
        """Whether anything differs between readers of this event on this lane."""
        return lane in self._badge_lanes or _is_worded(event, lane)

    async def read(self, event: Event, lane: str, people: Roster) -> PersonalFacts:
        """Read it for these people.

        Raises:
            StoreUnavailable: it could not be read.
        """
        families = await self._directory.families(people) if _is_worded(event, lane) else None
        unread = None
        if lane in self._badge_lanes and self._inbox is not None:
            unread = await self._inbox.unread_with(event.number, people)
        return PersonalFacts(families, unread)


def _is_worded(event: Event, lane: str) -> bool:
    # Outside the inbox a sensitive event has a text of ours, without a placeholder.
    return not event.sensitive and channel_of(lane) is not Channel.INAPP and event.names_children


def personal_to(
    event: Event, facts: PersonalFacts, language: Language, endpoints: Sequence[Endpoint]
) -> list[Personal]:
    """One entry an endpoint, in their order."""
    families, unread = facts
    return [
        Personal(
            badge=None if unread is None else unread[endpoint.number],
            children="" if families is None else phrase(event, families.get(endpoint.number), language),
        )
        for endpoint in endpoints
    ]
