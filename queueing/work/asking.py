"""Questions: where an event stands, what became of one person, how much was marked when workers died."""

from __future__ import annotations

from collections.abc import Sequence

from engine.records.event import SHARD_COUNT, Event
from engine.records.roster import BLOCK_SIZE, Roster, headcount
from engine.records.words import Channel, channel_of
from engine.records.work import EventReport, PersonStep
from queueing import keys
from queueing.link import Link
from queueing.work.codec import merged, unpack_audience, unpack_event, unpack_ledger_entry
from queueing.work.counters import Part, channel_counts, marked_at_reclaim
from queueing.work.live import live_slices, pairs
from queueing.work.stopping import shards_of
from queueing.work.stories import tell


class Asking:
    def __init__(self, link: Link) -> None:
        self._link = link

    async def report(self, event: int, now_ms: int | None = None) -> EventReport | None:
        """Sum the counters of all parts; with a time also who is held. None when there is no such event."""
        body, parts = await read_parts(self._link, event)
        if body is None:
            return None
        report = sum_up(body, parts)
        if now_ms is not None and any(counts.live for counts in report.channels.values()):
            for channel, held in (await self._held(event, parts[0].parts, now_ms)).items():
                report.channels[channel].held = held
        return report

    async def _held(self, event: int, parts: int, now_ms: int) -> dict[Channel, int]:
        """By channel, how many people have a first attempt that is due later."""
        shards = shards_of(parts) or [event % SHARD_COUNT]
        people: dict[Channel, list[Roster]] = {}
        for shard, stored in zip(
            shards, await self._link.run([("HGETALL", keys.slices(shard, event)) for shard in shards]), strict=True
        ):
            for one in live_slices(shard, pairs(stored)):
                if one.piece.due_ms > now_ms and not one.piece.is_retry and not one.is_in_hand:
                    people.setdefault(channel_of(one.piece.lane), []).append(one.piece.people)
        return {channel: headcount(merged(rosters)) for channel, rosters in people.items()}

    async def marked_at_reclaim(self, event: int) -> int:
        """Deliveries marked as in flight when their lease lapsed: the most that crashes can have doubled."""
        _, parts = await read_parts(self._link, event)
        return marked_at_reclaim(parts)

    async def story(self, event: int, number: int) -> list[PersonStep] | None:
        """What became of one person; None when the person is not in the audience, as far as it is planned."""
        home_shard = event % SHARD_COUNT
        home = Part(pairs(await self._link.ask("HGETALL", keys.part(home_shard, event))))
        shard = _shard_of(home_shard, home, number)
        audience, slices, history = await self._link.run(
            [
                ("GET", keys.audience(shard, event)),
                ("HGETALL", keys.slices(shard, event)),
                ("HGETALL", keys.history(shard, event)),
            ]
        )
        if audience is None:
            return None
        entries = [unpack_ledger_entry(packed) for packed in history[1::2]]
        live = live_slices(shard, pairs(slices))
        return tell(number, unpack_audience(audience), live, entries, home.planned_ms)


async def read_parts(link: Link, event: int) -> tuple[Event | None, list[Part]]:
    """Read an event and its parts, the home part first: one round trip, two when it has several parts."""
    home = event % SHARD_COUNT
    body, stored = await link.run([("GET", keys.body(home, event)), ("HGETALL", keys.part(home, event))])
    first = Part(pairs(stored))
    others = await link.run([("HGETALL", keys.part(shard, event)) for shard in shards_of(first.parts) if shard != home])
    return (None if body is None else unpack_event(body)), [first, *(Part(pairs(reply)) for reply in others)]


def sum_up(event: Event, parts: Sequence[Part]) -> EventReport:
    """The report of an event from its parts, the home part first.

    An event that was stopped before its audience was frozen or planned is closed with an audience of 0.
    """
    channels = channel_counts(parts)
    settled = [part.last_settled_ms for part in parts if part.last_settled_ms is not None]
    return EventReport(
        event=event,
        state=state_of(parts),
        stop=parts[0].stop,
        audience=sum(part.audience for part in parts),
        channels=channels,
        planned_ms=parts[0].planned_ms,
        last_settled_ms=max(settled, default=None),
    )


def state_of(parts: Sequence[Part]) -> str:
    """`admitted` until planning has ended, `planned` while deliveries live, then `closed`."""
    if parts[0].planned_ms is None:
        return "admitted"
    return "planned" if any(counts.live for counts in channel_counts(parts).values()) else "closed"


def _shard_of(home_shard: int, home: Part, number: int) -> int:
    """The shard of a person's part: by block when the event is cut, else its home."""
    shards = shards_of(home.parts)
    if not shards:
        return home_shard
    return shards[0] if len(shards) == 1 else number // BLOCK_SIZE % SHARD_COUNT
