"""Events and batches for the push tests."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from engine.records.event import Audience, Content, Event, Term, Text
from engine.records.words import Category, Kind, Language, Urgency
from engine.records.work import Batch, Endpoint

EXPIRES_MS = 1_900_000_000_000

EVENT = Event(
    number=0x0123_4567_89AB,
    id="m-1",
    source="/beskeder",
    kind=Kind.MESSAGE,
    tenant="0751",
    service="beskeder",
    admitted_ms=1_800_000_000_000,
    expires_ms=EXPIRES_MS,
    category=Category.MESSAGE,
    urgency=Urgency.NORMAL,
    audience=Audience(include=(Term(everyone=True),)),
    content=Content(
        texts={
            Language.DA: Text("Klasse 3B", "Husk regntøj og madpakke på tur i morgen."),
            Language.EN: Text("Class 3B", "Remember raincoats tomorrow."),
        },
        sender="Maja Lærer",
        thread="thread-17",
        link="https://example.dk/beskeder/17",
    ),
)


def changed(event: Event = EVENT, **values: Any) -> Event:
    """An event with other fields; `content_` prefixes fields of its content."""
    inner = {name.removeprefix("content_"): values.pop(name) for name in list(values) if name.startswith("content_")}
    return msgspec.structs.replace(event, content=msgspec.structs.replace(event.content, **inner), **values)


def batch_of(tokens: Sequence[bytes], event: Event = EVENT, lane: str = "apns.parent", seconds: float = 5.0) -> Batch:
    endpoints = [Endpoint(1000 + index, 1, token) for index, token in enumerate(tokens)]
    return Batch(event=event, lane=lane, slot=0, language=Language.DA, endpoints=endpoints, deadline_seconds=seconds)
