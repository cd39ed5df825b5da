"""Slices in hand: what waits, claims under lease, marks before sending, leases kept."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from engine.ports import Ready
from engine.records.event import SHARD_COUNT, Event
from engine.records.roster import Roster, headcount
from engine.records.words import Stop, Urgency
from engine.records.work import SLICE_PEOPLE_MAX, Claim
from queueing import keys
from queueing.link import Command, Link, Reply
from queueing.work import scripts
from queueing.work.codec import pack_mark, unpack_event, unpack_slice
from queueing.work.references import (
    PLANNING_LANE,
    queue_name,
    queue_parts,
    slice_reference,
)

SLICES_MAX = 256
"""Slices in one claim on one shard, so that a script stays short however small the slices are."""

EVENTS_KEPT_MAX = 4096
"""Decoded events a process keeps; a class message is claimed three times within a second, then never again."""

_TURN_PEOPLE = SLICE_PEOPLE_MAX


class Claims:
    def __init__(self, link: Link, *, events_kept_max: int = EVENTS_KEPT_MAX) -> None:
        self._link = link
        self._events_kept_max = events_kept_max
        self._first_shard = 0
        self._events: dict[int, Event] = {}
        self._seen: dict[str, list[int]] = {}

    async def ready(self) -> list[Ready]:
        """Where work waits: sixteen small reads in one pipeline."""
        replies = await self._link.run([("HGETALL", name) for name in keys.READY])
        self._seen = _people_by_queue(replies)
        return [one for shard, reply in enumerate(replies) for one in _ready(shard, reply)]

    async def claim(
        self, lane: str, urgencies: Sequence[Urgency], people_max: int, worker: str, now_ms: int, lease_ms: int
    ) -> list[Claim]:
        """Claim slices: one round trip to see how many people wait where, one to take them.

        The first claim of a queue after `ready` goes by what that saw, which saves an urgent message the first trip;
        where others were faster, it looks again.

        The first shard moves on from claim to claim, so that no shard is served last for ever.
        """
        queues = [queue_name(lane, urgency) for urgency in urgencies]
        until_ms = now_ms + lease_ms
        seen = self._take_seen(queues)
        if seen is not None:
            claims = await self._take(seen, queues, people_max, worker, until_ms)
            got = sum(headcount(claim.slice.people) for claim in claims)
            if got >= min(people_max, sum(map(sum, seen))):
                return claims
            return claims + await self._take(await self._look(queues), queues, people_max - got, worker, until_ms)
        return await self._take(await self._look(queues), queues, people_max, worker, until_ms)

    async def _take(
        self, waiting: Sequence[Sequence[int]], queues: Sequence[str], people_max: int, worker: str, until_ms: int
    ) -> list[Claim]:
        self._first_shard = (self._first_shard + 1) % SHARD_COUNT
        takes = list(share_people(waiting, people_max, self._first_shard))
        if not takes:
            return []
        replies = await self._link.run(
            [_claim(shard, queues[place], people, worker, until_ms) for shard, place, people in takes]
        )
        return [
            claim for (shard, _, _), reply in zip(takes, replies, strict=True) for claim in self._claims(shard, reply)
        ]

    async def _look(self, queues: Sequence[str]) -> list[list[int]]:
        looks: list[Command] = [("HMGET", name, *(f"p|{queue}" for queue in queues)) for name in keys.READY]
        return [[int(people or 0) for people in reply] for reply in await self._link.run(looks)]

    def _take_seen(self, queues: Sequence[str]) -> list[list[int]] | None:
        """What the last `ready` saw of these queues by shard, once; None when it saw nothing or was asked before."""
        seen = [self._seen.pop(queue, None) for queue in queues]
        if not any(seen):
            return None
        nobody = [0] * SHARD_COUNT
        return [list(people) for people in zip(*(one or nobody for one in seen), strict=True)]

    async def mark(self, claims: Sequence[tuple[Claim, Roster]], now_ms: int) -> list[bool]:
        """Write ahead who is about to be sent; marks of one claim add up."""
        replies = await self._link.run([_mark(claim, people, now_ms) for claim, people in claims])
        return [bool(reply) for reply in replies]

    async def extend(self, claims: Sequence[Claim], now_ms: int, lease_ms: int) -> list[bool]:
        """Keep leases until `now_ms + lease_ms`; a lease is never shortened."""
        replies = await self._link.run([_extend(claim, now_ms + lease_ms) for claim in claims])
        return [bool(reply) for reply in replies]

    def _claims(self, shard: int, reply: Reply) -> Iterator[Claim]:
        """Decode what one shard replied; the body of an event comes with its first claim only."""
        events: dict[int, Event] = {}
        for packed, epoch, stop, body in reply:
            piece, _ = unpack_slice(packed, shard)
            if body is not None:
                events[piece.event] = self._event(piece.event, body)
            yield Claim(
                slice=piece,
                event=events[piece.event],
                epoch=epoch,
                stop=None if stop is None else Stop(stop.decode()),
            )

    def _event(self, number: int, body: bytes) -> Event:
        """The event, decoded once a process as long as it is kept."""
        event = self._events.get(number)
        if event is None:
            event = unpack_event(body)
            if len(self._events) >= self._events_kept_max:
                del self._events[next(iter(self._events))]
            self._events[number] = event
        return event


def share_people(waiting: Sequence[Sequence[int]], people_max: int, first_shard: int) -> Iterator[tuple[int, int, int]]:
    """Share `people_max` among queues: (shard, place of the urgency, people).

    Urgency by urgency, then shard by shard from `first_shard` on. All shares but the last are what waits there, so
    that only the last can be exceeded by the rest of a slice.

    Args:
        waiting: for each shard, the people who wait by urgency, in the order of the urgencies asked for.
    """
    for place in range(len(waiting[0])):
        for step in range(len(waiting)):
            shard = (first_shard + step) % len(waiting)
            people = min(waiting[shard][place], people_max)
            if people > 0:
                people_max -= people
                yield shard, place, people


def _people_by_queue(replies: Sequence[Sequence[bytes]]) -> dict[str, list[int]]:
    """Queue -> how many people wait in it, by shard."""
    found: dict[str, list[int]] = {}
    for shard, reply in enumerate(replies):
        for name, value in zip(reply[::2], reply[1::2], strict=True):
            kind, queue = name.decode().split("|", 1)
            if kind == "p":
                found.setdefault(queue, [0] * SHARD_COUNT)[shard] = int(value)
    return found


def _ready(shard: int, reply: Sequence[bytes]) -> Iterator[Ready]:
    for name, value in zip(reply[::2], reply[1::2], strict=True):
        kind, queue = name.decode().split("|", 1)
        lane, urgency = queue_parts(queue)
        if kind == "s" and lane != PLANNING_LANE:
            yield Ready(shard, lane, urgency, int(value))


def _claim(shard: int, queue: str, people: int, worker: str, deadline_ms: int) -> Command:
    names = (*keys.QUEUES[shard], keys.LEASES[shard], keys.SLICES[shard], keys.PART[shard], keys.BODY[shard])
    return scripts.CLAIM.call(names, (queue, people, SLICES_MAX, deadline_ms, worker, _TURN_PEOPLE))


def _mark(claim: Claim, people: Roster, now_ms: int) -> Command:
    piece = claim.slice
    return scripts.MARK.call(
        (keys.slices(piece.shard, piece.event),), (piece.id, claim.epoch, pack_mark(people, now_ms))
    )


def _extend(claim: Claim, deadline_ms: int) -> Command:
    piece = claim.slice
    return scripts.EXTEND.call(
        (keys.slices(piece.shard, piece.event), keys.LEASES[piece.shard]),
        (piece.id, claim.epoch, slice_reference(piece), deadline_ms),
    )
