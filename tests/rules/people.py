"""Small worlds for the rules' tests: events, and rosters for Hypothesis."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from engine.records.event import Audience, Content, Event, Term, Text
from engine.records.roster import roster_of
from engine.records.words import Category, Kind, Language, Urgency
from engine.records.work import Claim, Slice

HOUR_MS = 3_600_000
NOON_MS = 1_773_313_200_000  # Thursday 12 March 2026 12:00 in Copenhagen

numbers = st.integers(0, 1500)
people = st.frozensets(numbers, max_size=60)
rosters = people.map(roster_of)


def event(**changes: Any) -> Event:
    """An event to a group, with what the test cares about changed."""
    fields: dict[str, Any] = {
        "number": 16 * 1_000_003 + 5,
        "id": "1",
        "source": "/test",
        "kind": Kind.MESSAGE,
        "tenant": "0101",
        "service": "test",
        "admitted_ms": NOON_MS,
        "expires_ms": NOON_MS + 48 * HOUR_MS,
        "category": Category.MESSAGE,
        "urgency": Urgency.NORMAL,
        "audience": Audience(include=(Term(group="3b"),)),
        "content": Content(texts={Language.DA: Text("t", "b")}),
    }
    return Event(**{**fields, **changes})


def claim(people: frozenset[int] | set[int], **changes: Any) -> Claim:
    """A claimed slice of these people."""
    of = changes.pop("event", None) or event()
    fields: dict[str, Any] = {
        "event": of.number,
        "shard": of.shard,
        "id": "0",
        "lane": "apns.parent",
        "slot": 0,
        "urgency": of.urgency,
        "tenant": of.tenant,
        "attempt": 1,
        "due_ms": 0,
        "people": roster_of(people),
        "stamp": "100-0",
    }
    stop = changes.pop("stop", None)
    return Claim(slice=Slice(**{**fields, **changes}), event=of, epoch=1, stop=stop)
