"""The bytes that the load is made of: events as a school's message service sends them, one a request or in batches.

Everything but the number of an event is made ahead, so that sending one costs the generator a few microseconds.
"""

from __future__ import annotations

import json
from collections.abc import Sequence

import msgspec

_NUMBER = "000000000"
SOURCE = "/bench/messages"
_SINGLE, _BATCH = "application/cloudevents+json", "application/cloudevents-batch+json"


class Audience(msgspec.Struct, frozen=True):
    """A class of the population, and the municipality that sends to it."""

    tenant: str
    group: str


class Load(msgspec.Struct, frozen=True, kw_only=True):
    """What one phase sends. `label` makes its events differ from those of other phases; `batch` 1 is one a request.

    `method` GET is for the floor: `path` alone, no body and no key.
    """

    label: str
    api_key: str
    audiences: tuple[Audience, ...]
    batch: int = 1
    method: str = "POST"
    path: str = "/v1/events"


def event(label: str, audience: Audience) -> tuple[bytes, bytes]:
    """One CloudEvent, cut where its number of nine digits goes."""
    content = {
        "specversion": "1.0",
        "id": f"{label}-{_NUMBER}",
        "source": SOURCE,
        "type": "dk.klokke.message.v1",
        "tenant": audience.tenant,
        "data": {
            "audience": {"include": [{"group": audience.group, "role": "guardian"}]},
            "texts": {
                "da": {
                    "title": "Tur i skoven på fredag",
                    "body": "Husk madpakke, regntøj og skiftetøj. Vi er hjemme 14.",
                },
                "en": {"title": "Trip to the woods", "body": "Bring lunch, rain clothes and a change of clothes."},
            },
            "category": "message",
            "urgency": "normal",
            "sender": "Mette Hansen",
            "thread": f"thread-{audience.group}",
            "link": f"/messages/{label}",
        },
    }
    before, _, after = (
        json.dumps(content, ensure_ascii=False, separators=(",", ":")).encode().partition(_NUMBER.encode())
    )
    return before, after


class Spelled:
    """Spells request number n of a load. Requests of one load have the same head unless their lengths differ."""

    def __init__(self, load: Load) -> None:
        self._load = load
        self._events = [event(load.label, audience) for audience in load.audiences]
        kind = _SINGLE if load.batch == 1 else _BATCH
        self._head = (
            f"{load.method} {load.path} HTTP/1.1\r\nHost: 127.0.0.1\r\nAccept: */*\r\nUser-Agent: klokke-bench\r\n"
            + (
                f"Authorization: Bearer {load.api_key}\r\nContent-Type: {kind}\r\nContent-Length: "
                if load.method == "POST"
                else ""
            )
        ).encode()

    def body(self, number: int) -> bytes:
        """The body of request `number`: event `number`, or events `number * batch` onwards as a list."""
        events, batch = self._events, self._load.batch
        if batch == 1:
            before, after = events[number % len(events)]
            return b"%b%09d%b" % (before, number, after)
        first = number * batch
        made = (
            b"%b%09d%b" % (before, at, after)
            for at in range(first, first + batch)
            for before, after in (events[at % len(events)],)
        )
        return b"[" + b",".join(made) + b"]"

    def request(self, number: int) -> bytes:
        """Head and body of request `number`."""
        if self._load.method != "POST":
            return self._head + b"\r\n"
        body = self.body(number)
        return b"%b%d\r\n\r\n%b" % (self._head, len(body), body)


def audiences_of(lines: bytes, count: int) -> tuple[Audience, ...]:
    """The first classes of a population in NDJSON: groups with the municipality of their institution."""
    tenants: dict[str, str] = {}
    found: list[Audience] = []
    for line in lines.splitlines():
        record = json.loads(line)
        if record["kind"] == "institution":
            tenants[record["id"]] = record["tenant"]
        elif record["kind"] == "group":
            found.append(Audience(tenants[record["institution"]], record["id"]))
    return spread(found, count)


def spread(found: Sequence[Audience], count: int) -> tuple[Audience, ...]:
    """So many of them, from the whole length of the list."""
    if len(found) <= count:
        return tuple(found)
    return tuple(found[at * len(found) // count] for at in range(count))
