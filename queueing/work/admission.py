"""Admitting events: durable, once per idempotency key; and reading them back."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

import msgspec

from engine.records.event import SHARD_COUNT, Admission, Event
from engine.records.words import Stop
from engine.rules.numbering import home_shard
from queueing import keys
from queueing.link import Argument, Command, Link
from queueing.work import scripts
from queueing.work.codec import pack_event, unpack_event
from queueing.work.references import planning_reference

IDEMPOTENCY_MS = 7 * 24 * 3600 * 1000
"""Longer than any backend service retries, August backlogs included."""

EVENTS_A_CALL = 200
"""So that one script holds the store for a few milliseconds at most, and its commands stay far from Lua's stack."""

_TAKEN = 0
"""The script's answer when another event has the number."""

_NEXT_NUMBER = SHARD_COUNT
"""Added to a number that another event has: the next draw, on the same shard."""


class Admissions:
    def __init__(self, link: Link) -> None:
        self._link = link

    async def admit(self, events: Sequence[Event], fingerprints: Sequence[bytes]) -> list[Admission]:
        """Make events durable in one pipeline. A number that is taken (a rare tie) is replaced by the next."""
        admissions: dict[int, Admission] = {}
        waiting = dict(enumerate(events))
        while waiting:
            calls = list(_calls(waiting))
            commands = [_admit(shard, [(waiting[at], fingerprints[at]) for at in places]) for shard, places in calls]
            replies = await self._link.run([*commands, ("PUBLISH", keys.BELL, "admitted")])
            for (_, places), answers in zip(calls, replies[:-1], strict=True):
                for at, answer in zip(places, answers, strict=True):
                    event = waiting[at]
                    if answer == _TAKEN:
                        waiting[at] = msgspec.structs.replace(event, number=event.number + _NEXT_NUMBER)
                    else:
                        admissions[at] = _admission(answer, event, fingerprints[at])
                        del waiting[at]
        return [admissions[at] for at in range(len(events))]

    async def find_admitted(self, tenant: str, source: str, id: str) -> tuple[int, bytes] | None:
        """The event number and the fingerprint under an idempotency key, if any."""
        stored = await self._link.ask("GET", keys.idempotency(home_shard(tenant, source, id), tenant, source, id))
        return None if stored is None else (int(stored[:16], 16), stored[16:])

    async def events(self, numbers: Collection[int]) -> dict[int, tuple[Event, Stop | None]]:
        """Read events and their stops; unknown ones are left out."""
        replies = await self._link.run(list(_reads(numbers)))
        found: dict[int, tuple[Event, Stop | None]] = {}
        for number, body, stop in zip(numbers, replies[::2], replies[1::2], strict=True):
            if body is not None:
                found[number] = (unpack_event(body), None if stop is None else Stop(stop.decode()))
        return found


def _calls(waiting: Mapping[int, Event]) -> Iterator[tuple[int, list[int]]]:
    """Share events among script calls: (shard, places), in order on each shard, a bounded number a call."""
    of_shard: dict[int, list[int]] = {}
    for at, event in waiting.items():
        of_shard.setdefault(event.shard, []).append(at)
    for shard, places in of_shard.items():
        for first in range(0, len(places), EVENTS_A_CALL):
            yield shard, places[first : first + EVENTS_A_CALL]


def _admit(shard: int, admitted: Sequence[tuple[Event, bytes]]) -> Command:
    arguments: list[Argument] = [IDEMPOTENCY_MS]
    for event, fingerprint in admitted:
        arguments += (
            keys.event_hex(event.number),
            keys.idempotency_digest(event.tenant, event.source, event.id),
            fingerprint,
            pack_event(event),
            planning_reference(event),
            event.admitted_ms,
            event.expires_ms,
        )
    names = (*keys.QUEUES[shard], keys.IDEMPOTENCY[shard], keys.BODY[shard], keys.EXPIRY[shard])
    return scripts.ADMIT.call(names, arguments)


def _admission(answer: int | bytes, event: Event, fingerprint: bytes) -> Admission:
    if isinstance(answer, int):
        return Admission(event.number, "new")
    return Admission(int(answer[:16], 16), "same" if answer[16:] == fingerprint else "conflict")


def _reads(numbers: Iterable[int]) -> Iterable[Command]:
    for number in numbers:
        shard = number % SHARD_COUNT
        yield ("GET", keys.body(shard, number))
        yield ("HGET", keys.part(shard, number), "stop")
