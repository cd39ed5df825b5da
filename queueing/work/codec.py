"""Packs slices, settlements, marks and audiences as the store keeps them: MessagePack arrays around packed rosters.

A slice carries its reference, which says event, lane, urgency, tenant and id. Fields are added at the end only,
with a default, so that an older record is still read.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from struct import Struct

import msgspec

from engine.records.event import Event
from engine.records.roster import Roster, headcount, pack, unpack
from engine.records.words import Channel, End, Reason
from engine.records.work import PartPlan, Settlement, Slice, Suppressed
from queueing.work.references import read_reference


class _Slice(msgspec.Struct, array_like=True, frozen=True):
    reference: str
    slot: int
    attempt: int
    due_ms: int
    stamp: str
    is_retry: bool
    people: bytes


class _End(msgspec.Struct, array_like=True, frozen=True):
    end: End
    reason: str
    people: bytes


class _Settlement(msgspec.Struct, array_like=True, frozen=True):
    at_ms: int
    lane: str
    slot: int
    attempt: int
    ends: tuple[_End, ...]
    marked: bytes = b""  # only what a reclaim found


class _Suppressed(msgspec.Struct, array_like=True, frozen=True):
    channel: Channel
    reason: Reason
    people: bytes


class _Audience(msgspec.Struct, array_like=True, frozen=True):
    people: bytes
    suppressed: tuple[_Suppressed, ...]


class LedgerEntry(msgspec.Struct, frozen=True):
    """A line of the history: when, where, which attempt; the ends it came to, or only marks found at a reclaim."""

    at_ms: int
    lane: str
    slot: int
    attempt: int
    ends: tuple[tuple[End, str, Roster], ...]
    marked: Roster


class PartAudience(msgspec.Struct, frozen=True):
    """Who is in one part of an event, and who was suppressed when it was planned."""

    people: Roster
    suppressed: tuple[Suppressed, ...]


_encode = msgspec.msgpack.Encoder().encode
_read_slice = msgspec.msgpack.Decoder(_Slice).decode
_read_settlement = msgspec.msgpack.Decoder(_Settlement).decode
_read_audience = msgspec.msgpack.Decoder(_Audience).decode
_read_event = msgspec.msgpack.Decoder(Event).decode
_MARK = Struct("<QI")


def pack_event(event: Event) -> bytes:
    return _encode(event)


def unpack_event(packed: bytes) -> Event:
    return _read_event(packed)


def pack_slice(piece: Slice, reference: str) -> bytes:
    return _encode(
        _Slice(reference, piece.slot, piece.attempt, piece.due_ms, piece.stamp, piece.is_retry, pack(piece.people))
    )


def unpack_slice(packed: bytes, shard: int) -> tuple[Slice, str]:
    """Read a slice back, and its reference."""
    stored = _read_slice(packed)
    reference = read_reference(stored.reference)
    piece = Slice(
        event=reference.event,
        shard=shard,
        id=reference.id,
        lane=reference.lane,
        slot=stored.slot,
        urgency=reference.urgency,
        tenant=reference.tenant,
        attempt=stored.attempt,
        due_ms=stored.due_ms,
        people=unpack(stored.people),
        stamp=stored.stamp,
        is_retry=stored.is_retry,
    )
    return piece, stored.reference


def pack_settlement(settlement: Settlement) -> bytes:
    piece = settlement.claim.slice
    ends = tuple(_End(group.end, group.reason, pack(group.people)) for group in settlement.ends)
    return _encode(_Settlement(settlement.at_ms, piece.lane, piece.slot, piece.attempt, ends))


def pack_sweep(end: End, at_ms: int, piece: Slice) -> bytes:
    """The settlement of a slice that waited when its event was stopped."""
    ends = (_End(end, "", pack(piece.people)),)
    return _encode(_Settlement(at_ms, piece.lane, piece.slot, piece.attempt, ends))


def pack_lost_marks(at_ms: int, piece: Slice, marked: Roster) -> bytes:
    """What a reclaim found: these people were marked, and nobody knows whether they were sent to."""
    return _encode(_Settlement(at_ms, piece.lane, piece.slot, piece.attempt, (), pack(marked)))


def unpack_ledger_entry(packed: bytes) -> LedgerEntry:
    """Read a line of the history."""
    stored = _read_settlement(packed)
    ends = tuple((group.end, group.reason, unpack(group.people)) for group in stored.ends)
    return LedgerEntry(stored.at_ms, stored.lane, stored.slot, stored.attempt, ends, unpack(stored.marked))


def pack_audience(part: PartPlan) -> bytes:
    suppressed = tuple(_Suppressed(one.channel, one.reason, pack(one.people)) for one in part.suppressed)
    return _encode(_Audience(pack(part.audience), suppressed))


def unpack_audience(packed: bytes) -> PartAudience:
    stored = _read_audience(packed)
    suppressed = tuple(
        Suppressed(channel=one.channel, reason=one.reason, people=unpack(one.people)) for one in stored.suppressed
    )
    return PartAudience(unpack(stored.people), suppressed)


def pack_mark(people: Roster, now_ms: int) -> bytes:
    """A mark that others may follow: time, length, roster."""
    packed = pack(people)
    return _MARK.pack(now_ms, len(packed)) + packed


def unpack_marks(packed: bytes) -> tuple[int, Roster]:
    """Read marks that stand one behind the other: the time of the last, everybody in any of them."""
    people: Roster = {}
    at_ms = at = 0
    while at < len(packed):
        at_ms, size = _MARK.unpack_from(packed, at)
        at += _MARK.size
        for block, mask in unpack(packed[at : at + size]).items():
            people[block] = people.get(block, 0) | mask
        at += size
    return at_ms, people


def merged(parts: Iterable[Roster]) -> Roster:
    """Everybody of the parts, each once."""
    union: Roster = {}
    for part in parts:
        for block, mask in part.items():
            union[block] = union.get(block, 0) | mask
    return union


def covers(whole: Roster, parts: Sequence[Roster]) -> bool:
    """Say whether the parts are disjoint and together exactly the whole."""
    union = merged(parts)
    return _without_empty(union) == _without_empty(whole) and _people(parts) == headcount(whole)


def _without_empty(roster: Roster) -> Roster:
    return roster if all(roster.values()) else {block: mask for block, mask in roster.items() if mask}


def _people(rosters: Iterable[Roster]) -> int:
    return sum(headcount(roster) for roster in rosters)
