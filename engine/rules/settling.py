"""From what became of each person to one settlement: ends, and at most four children.

The ends and the children of a settlement are disjoint and add up to the slice's people; `check` says so, and tests
hold every settlement against it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import count
from typing import NamedTuple, TypeVar

from engine.records.roster import Roster, headcount, roster_of
from engine.records.words import End
from engine.records.work import Claim, Settled, Settlement, Slice
from engine.rules import roster as rosters
from engine.rules.retry import Again, Ended, Step

RETRY_CHILDREN_MAX = 4

_Member = TypeVar("_Member")


class Child(NamedTuple):
    """People of a slice who go on, together, later."""

    people: Roster
    due_ms: int  # 0: at once
    attempt: int
    is_retry: bool
    reason: str
    unknown: int = 0


def children_of(steps: Iterable[tuple[int, Again]], attempt: int) -> list[Child]:
    """Gather those who go out again into at most four children, split by due time.

    Each child is due when the last of its people is: nobody is sent earlier than asked. Retries and postponed
    people are never mixed, since only the first use up an attempt.
    """
    kinds: dict[bool, list[tuple[int, tuple[int, Again]]]] = {}
    for number, step in steps:
        kinds.setdefault(step.burns_attempt, []).append((step.at_ms, (number, step)))
    found = []
    for burns, members in sorted(kinds.items()):
        for group in grouped_by_due(members, RETRY_CHILDREN_MAX // len(kinds)):
            found.append(
                Child(
                    people=roster_of(number for _, (number, _) in group),
                    due_ms=group[-1][0],
                    attempt=attempt + 1 if burns else attempt,
                    is_retry=burns,
                    reason=group[-1][1][1].reason,
                    unknown=sum(step.is_unknown for _, (_, step) in group),
                )
            )
    return found


def grouped_by_due(members: Iterable[tuple[int, _Member]], groups_max: int) -> list[list[tuple[int, _Member]]]:
    """Cut the span between the first and the last due time into equal stretches; empty ones vanish."""
    ordered = sorted(members, key=lambda member: member[0])
    if not ordered:
        return []
    first = ordered[0][0]
    span = ordered[-1][0] - first
    groups: dict[int, list[tuple[int, _Member]]] = {}
    for member in ordered:
        stretch = min(groups_max - 1, (member[0] - first) * groups_max // span) if span else 0
        groups.setdefault(stretch, []).append(member)
    return list(groups.values())


def ends_of(steps: Iterable[tuple[int, Step]]) -> tuple[list[Settled], list[tuple[int, Again]]]:
    """Sort single steps into ends, grouped by end and reason, and those who go out again."""
    ended: dict[Ended, list[int]] = {}
    again: list[tuple[int, Again]] = []
    for number, step in steps:
        if isinstance(step, Again):
            again.append((number, step))
        else:
            ended.setdefault(step, []).append(number)
    return [Settled(end=key.end, reason=key.reason, people=roster_of(who)) for key, who in ended.items()], again


def settlement(
    claim: Claim, at_ms: int, ends: Sequence[Settled], children: Sequence[Child], *, stamp: str
) -> Settlement:
    """Put a settlement together; children get ids below their parent's and the newest stamp that was checked."""
    ids = count()
    return Settlement(
        claim=claim,
        at_ms=at_ms,
        ends=tuple(group for group in ends if group.people),
        children=tuple(
            _slice(claim.slice, child, f"{claim.slice.id}.{next(ids)}", stamp) for child in children if child.people
        ),
        unknown=sum(child.unknown for child in children),
    )


def whole(claim: Claim, at_ms: int, end: End, reason: str = "") -> Settlement:
    """Everyone of a slice ends alike."""
    return Settlement(claim=claim, at_ms=at_ms, ends=(Settled(end=end, reason=reason, people=claim.slice.people),))


def check(settled: Settlement) -> None:
    """Hold a settlement against conservation.

    Raises:
        ValueError: someone is in two groups, in none, or was not in the slice.
    """
    groups = [*(group.people for group in settled.ends), *(child.people for child in settled.children)]
    together = rosters.union(*groups)
    if sum(map(headcount, groups)) != headcount(together):
        raise ValueError(f"slice {settled.claim.slice.id}: somebody is settled twice")
    if together != rosters.union(settled.claim.slice.people):
        raise ValueError(f"slice {settled.claim.slice.id}: settled people are not the slice's people")


def _slice(parent: Slice, child: Child, id: str, stamp: str) -> Slice:
    return Slice(
        event=parent.event,
        shard=parent.shard,
        id=id,
        lane=parent.lane,
        slot=parent.slot,
        urgency=parent.urgency,
        tenant=parent.tenant,
        attempt=child.attempt,
        due_ms=child.due_ms,
        people=child.people,
        stamp=stamp,
        is_retry=child.is_retry,
    )
