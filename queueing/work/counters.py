"""The counters of a part: their names in the store, and how they sum up to the counts of a report.

    <channel>|people      people with at least one planned delivery
    <channel>|planned     deliveries planned
    <channel>|s|<reason>  people suppressed when planned
    <channel>|e|<end>     deliveries that ended
    <channel>|r|<reason>  rejected deliveries, by reason
    <channel>|retries     deliveries tried again
    <channel>|unknown     deliveries whose outcome nobody knows
    <channel>|marked      of these, found by a reclaim

Other fields of the same hash: `audience` (people of the part), `stop`, `parts` (a bit each shard), `flagged` (all
parts know of the stop), `caught` (the stop found something to stop on this part), `planned` (when planning ended, ms),
`last` (last settlement, ms).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from engine.records.roster import headcount
from engine.records.words import Channel, End, Stop, channel_of
from engine.records.work import Counts, PartPlan, Settlement, Slice

Counters = dict[str, int]


def of_plan(part: PartPlan) -> Counters:
    """What planning a part counts."""
    counters: Counters = {}
    for channel, people in part.planned_people.items():
        _add(counters, f"{channel}|people", people)
    for one in part.suppressed:
        _add(counters, f"{one.channel}|s|{one.reason}", headcount(one.people))
    for piece in part.slices:
        _add(counters, f"{channel_of(piece.lane)}|planned", headcount(piece.people))
    return counters


def of_settlement(settlement: Settlement) -> Counters:
    """What a settlement counts. A child is a retry when it has more attempts behind it than its parent."""
    piece = settlement.claim.slice
    channel = channel_of(piece.lane)
    counters: Counters = {}
    for group in settlement.ends:
        people = headcount(group.people)
        _add(counters, f"{channel}|e|{group.end}", people)
        if group.end is End.REJECTED:
            _add(counters, f"{channel}|r|{group.reason}", people)
    for child in settlement.children:
        if child.is_retry and child.attempt > piece.attempt:
            _add(counters, f"{channel}|retries", headcount(child.people))
    _add(counters, f"{channel}|unknown", settlement.unknown)
    return counters


def of_sweep(end: End, piece: Slice, people: int) -> Counters:
    return {f"{channel_of(piece.lane)}|e|{end}": people}


def of_lost_marks(piece: Slice, people: int) -> Counters:
    channel = channel_of(piece.lane)
    return {f"{channel}|unknown": people, f"{channel}|marked": people} if people else {}


def flat(counters: Counters) -> list[str | int]:
    """As a script takes them: how many, then name and value of each."""
    arguments: list[str | int] = [len(counters)]
    for name, value in counters.items():
        arguments += (name, value)
    return arguments


class Part:
    """The stored facts of one part, decoded."""

    def __init__(self, stored: Mapping[bytes, bytes]) -> None:
        fields = {name.decode(): value.decode() for name, value in stored.items()}
        self.stop = Stop(fields["stop"]) if "stop" in fields else None
        self.parts = int(fields.get("parts", 0))
        self.flagged = "flagged" in fields
        self.audience = int(fields.get("audience", 0))
        self.is_written = "audience" in fields
        self.planned_ms = _whole(fields.get("planned"))
        self.last_settled_ms = _whole(fields.get("last"))
        self.counters = {name: int(value) for name, value in fields.items() if "|" in name}


def channel_counts(parts: Iterable[Part]) -> dict[Channel, Counts]:
    """Sum the counters of parts, by channel; a channel that nothing was counted for is left out."""
    counts: dict[Channel, Counts] = {}
    for part in parts:
        for name, value in part.counters.items():
            channel, _, rest = name.partition("|")
            _count(counts.setdefault(Channel(channel), Counts()), rest, value)
    return counts


def marked_at_reclaim(parts: Iterable[Part]) -> int:
    return sum(value for part in parts for name, value in part.counters.items() if name.endswith("|marked"))


def _count(counts: Counts, name: str, value: int) -> None:
    kind, _, word = name.partition("|")
    match kind:
        case "people":
            counts.people += value
        case "planned":
            counts.planned += value
        case "retries":
            counts.retries += value
        case "unknown":
            counts.unknown += value
        case "s":
            _add(counts.suppressed, word, value)
        case "e":
            _add(counts.ends, word, value)
        case "r":
            _add(counts.rejected_reasons, word, value)


def _add(counters: Counters, name: str, value: int) -> None:
    if value:
        counters[name] = counters.get(name, 0) + value


def _whole(text: str | None) -> int | None:
    return None if text is None else int(text)
