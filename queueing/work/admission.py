"""Admitting events: durable, once per idempotency key; and reading them back."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence

import msgspec

from engine.records.event import SHARD_COUNT, Admission, Event
from engine.records.words import Stop
from engine.rules.numbering import home_shard
from queueing import keys
from queueing.link import Command, Link, Reply
from queueing.work import scripts
from queueing.work.codec import pack_event, unpack_event
from queueing.work.references import planning_reference

IDEMPOTENCY_MS = 7 * 24 * 3600 * 1000
"""Longer than any backend service retries, August backlogs included."""

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
            commands = [_admit(event, fingerprints[at]) for at, event in waiting.items()]
            replies = await self._link.run([*commands, ("PUBLISH", keys.BELL, "admitted")])
            for (at, event), reply in zip(list(waiting.items()), replies[:-1], strict=True):
                if reply is None:
                    waiting[at] = msgspec.structs.replace(event, number=event.number + _NEXT_NUMBER)
                else:
                    admissions[at] = _admission(reply, fingerprints[at])
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


def _admit(event: Event, fingerprint: bytes) -> Command:
    shard, number = event.shard, event.number
    return scripts.ADMIT.call(
        (
            *keys.QUEUES[shard],
            keys.idempotency(shard, event.tenant, event.source, event.id),
            keys.body(shard, number),
            keys.EXPIRY[shard],
        ),
        (
            keys.event_hex(number),
            fingerprint,
            pack_event(event),
            IDEMPOTENCY_MS,
            planning_reference(event),
            event.admitted_ms,
            event.expires_ms,
        ),
    )


def _admission(reply: Reply, fingerprint: bytes) -> Admission:
    number = int(reply[0], 16)
    if len(reply) == 3:
        return Admission(number, "new")
    return Admission(number, "same" if reply[1] == fingerprint else "conflict")


def _reads(numbers: Iterable[int]) -> Iterable[Command]:
    for number in numbers:
        shard = number % SHARD_COUNT
        yield ("GET", keys.body(shard, number))
        yield ("HGET", keys.part(shard, number), "stop")
