"""What became of one person in one event: a pure fold of audience, live slices and history into steps."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from engine.records.roster import BLOCK_SIZE, Roster
from engine.records.words import channel_of
from engine.records.work import PersonStep
from queueing.work.codec import LedgerEntry, PartAudience
from queueing.work.live import LiveSlice

HELD, MARKED, UNKNOWN = "held", "sending", "unknown"
"""Reasons of our own: waits until its due time; in hand and about to be sent; marked when its worker was lost."""


def tell(
    number: int,
    audience: PartAudience,
    live: Iterable[LiveSlice],
    history: Iterable[LedgerEntry],
    planned_ms: int | None,
) -> list[PersonStep] | None:
    """Tell the story of a person, what is past first; None when the person is not in the audience.

    States: `suppressed` when planned (or later, with a lane); an End; `retrying` with reason `unknown` where a worker
    was lost after its mark, or while a further attempt waits; `waiting`; `in_hand`.
    """
    if not _has(audience.people, number):
        return None
    past = [step for entry in history for step in _past(number, entry)]
    past.sort(key=lambda step: step.at_ms or 0)
    return [
        *_suppressed(number, audience, planned_ms),
        *past,
        *(_present(one) for one in live if _has(one.piece.people, number)),
    ]


def _suppressed(number: int, audience: PartAudience, planned_ms: int | None) -> Iterator[PersonStep]:
    for one in audience.suppressed:
        if _has(one.people, number):
            yield PersonStep(
                channel=one.channel,
                lane=None,
                slot=None,
                state="suppressed",
                reason=one.reason.value,
                at_ms=planned_ms,
                attempt=None,
            )


def _past(number: int, entry: LedgerEntry) -> Iterator[PersonStep]:
    for end, reason, people in entry.ends:
        if _has(people, number):
            yield _step(entry, end.value, reason)
    if _has(entry.marked, number):
        yield _step(entry, "retrying", UNKNOWN)


def _step(entry: LedgerEntry, state: str, reason: str) -> PersonStep:
    return PersonStep(
        channel=channel_of(entry.lane),
        lane=entry.lane,
        slot=entry.slot,
        state=state,
        reason=reason,
        at_ms=entry.at_ms,
        attempt=entry.attempt,
    )


def _present(one: LiveSlice) -> PersonStep:
    piece = one.piece
    if one.is_in_hand:
        state, reason, at_ms = "in_hand", MARKED if one.marked else "", one.marked_ms or None
    else:
        state = "retrying" if piece.is_retry else "waiting"
        reason, at_ms = (HELD, piece.due_ms) if piece.due_ms else ("", None)
    return PersonStep(
        channel=channel_of(piece.lane),
        lane=piece.lane,
        slot=piece.slot,
        state=state,
        reason=reason,
        at_ms=at_ms,
        attempt=piece.attempt,
    )


def _has(people: Roster, number: int) -> bool:
    return bool(people.get(number // BLOCK_SIZE, 0) >> number % BLOCK_SIZE & 1)
