"""Small events, plans and settlements for the tests of the work store."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from zlib import crc32

from engine.records.event import Audience, Content, Event, Term, Text
from engine.records.roster import Roster, headcount, roster_of
from engine.records.words import Category, Channel, End, Kind, Language, Reason, Urgency, channel_of
from engine.records.work import Claim, EventReport, PartPlan, Settled, Settlement, Slice, Suppressed
from engine.rules.numbering import propose_number
from queueing.link import Command, Link
from queueing.work import StoreWork

NOW_MS = 1_800_000_000_000
HOUR_MS = 3_600_000
LEASE_MS = 30_000
PUSH, INAPP, EMAIL = "apns.parent", "inapp", "email"


def event(
    id: str = "1",
    *,
    tenant: str = "0751",
    urgency: Urgency = Urgency.NORMAL,
    expires_ms: int = NOW_MS + HOUR_MS,
    entity: str | None = None,
    sequence: int = 0,
    admitted_ms: int = NOW_MS,
    draw: int | None = None,
) -> Event:
    return Event(
        number=propose_number(tenant, "/chat", id, admitted_ms, crc32(id.encode()) if draw is None else draw),
        id=id,
        source="/chat",
        kind=Kind.MESSAGE,
        tenant=tenant,
        service="chat",
        admitted_ms=admitted_ms,
        expires_ms=expires_ms,
        category=Category.MESSAGE,
        urgency=urgency,
        audience=Audience(include=(Term(group="3b"),)),
        content=Content(texts={Language.DA: Text("Nyt fra 3.B", "I morgen har vi fri.")}, thread="t1"),
        entity=entity,
        sequence=sequence,
    )


def piece(
    of: Event,
    id: str = "0",
    *,
    lane: str = PUSH,
    people: Iterable[int] = range(10),
    due_ms: int = 0,
    attempt: int = 1,
    is_retry: bool = False,
    shard: int | None = None,
) -> Slice:
    return Slice(
        event=of.number,
        shard=of.shard if shard is None else shard,
        id=id,
        lane=lane,
        slot=0,
        urgency=of.urgency,
        tenant=of.tenant,
        attempt=attempt,
        due_ms=due_ms,
        people=roster_of(people),
        stamp="0-0",
        is_retry=is_retry,
    )


def part(
    of: Event,
    slices: Sequence[Slice],
    *,
    audience: Roster | None = None,
    shard: int | None = None,
) -> PartPlan:
    """A plan whose people add up: who has no slice on a channel is suppressed there."""
    everyone: Roster = dict(audience or {})
    for one in slices:
        for block, mask in one.people.items():
            everyone[block] = everyone.get(block, 0) | mask
    planned: dict[Channel, Roster] = {channel: {} for channel in Channel}
    for one in slices:
        reached = planned[channel_of(one.lane)]
        for block, mask in one.people.items():
            reached[block] = reached.get(block, 0) | mask
    missed = {
        channel: {block: mask & ~people.get(block, 0) for block, mask in everyone.items()}
        for channel, people in planned.items()
    }
    return PartPlan(
        event=of,
        shard=of.shard if shard is None else shard,
        audience=everyone,
        suppressed=tuple(
            Suppressed(channel=channel, reason=Reason.NO_ENDPOINT, people=people)
            for channel, people in missed.items()
            if headcount(people)
        ),
        slices=tuple(slices),
        planned_people={channel: headcount(people) for channel, people in planned.items()},
    )


def settlement(
    claim: Claim,
    *,
    end: End = End.ACCEPTED,
    reason: str = "",
    at_ms: int = NOW_MS,
    children: tuple[Slice, ...] = (),
    unknown: int = 0,
) -> Settlement:
    """All of a claim's people come to one end, except those of the children."""
    people = dict(claim.slice.people)
    for child in children:
        for block, mask in child.people.items():
            people[block] &= ~mask
    ends = (Settled(end=end, reason=reason, people=people),) if headcount(people) else ()
    return Settlement(claim=claim, at_ms=at_ms, ends=ends, children=children, unknown=unknown)


async def claimed(
    work: StoreWork, lane: str = PUSH, people_max: int = 4096, now_ms: int = NOW_MS, worker: str = "worker"
) -> list[Claim]:
    return await work.claim(lane, tuple(Urgency), people_max, worker, now_ms, LEASE_MS)


async def planned(work: StoreWork, of: Event, *slices: Slice) -> Event:
    """Admit and plan a small event; without slices it has one of ten people on the push lane."""
    await work.admit([of], [b""])
    await work.lease_unplanned(100, NOW_MS, LEASE_MS)
    assert await work.plan(part(of, slices or (piece(of),)))
    await work.finish_planning(of, NOW_MS)
    return of


async def reported(work: StoreWork, of: Event) -> EventReport:
    report = await work.report(of.number)
    assert report is not None
    return report


def contents(link: Link) -> dict[bytes, object]:
    """Everything in the store, to see that a repetition changed nothing (times to live aside)."""
    readers: dict[bytes, Callable[[bytes], Command]] = {
        b"string": lambda key: ("GET", key),
        b"hash": lambda key: ("HGETALL", key),
        b"list": lambda key: ("LRANGE", key, 0, -1),
        b"set": lambda key: ("SMEMBERS", key),
        b"zset": lambda key: ("ZRANGE", key, 0, -1, "WITHSCORES"),
    }
    found = sorted(link.run_now([("KEYS", "*")])[0])
    kinds = link.run_now([("TYPE", key) for key in found])
    values = link.run_now([readers[kind](key) for key, kind in zip(found, kinds, strict=True)])
    return dict(zip(found, (_comparable(k, v) for k, v in zip(kinds, values, strict=True)), strict=True))


def _comparable(kind: bytes, value: list[bytes] | bytes) -> object:
    if kind == b"hash":
        return dict(zip(value[::2], value[1::2], strict=True))
    return set(value) if kind == b"set" else value
