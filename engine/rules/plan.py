"""The plan: a verdict becomes parts, and each part slices of at most 1,024 people.

An event with more than 16,384 people is cut into 16 parts by `block % 16`; a smaller one has one part on its home
shard, so that a class message is one shard and a slice or two a lane. Slice ids count up in the order (route, due
time, block), so that planning the same verdict twice gives the same ids and is written once.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from engine.records.event import Event
from engine.records.roster import Roster, headcount
from engine.records.words import Urgency
from engine.records.work import PartPlan, Slice, Suppressed
from engine.rules import roster as rosters
from engine.rules.pacing import SPREAD_MINUTES, paced_ms
from engine.rules.planes import Route
from engine.rules.policy import Verdict
from engine.rules.quiet import Release, respects_quiet

ONE_PART_PEOPLE_MAX = 16_384
"""16 slices a lane: below it one atomic script writes the whole plan in a few milliseconds."""

FREEZE_PEOPLE_MIN = ONE_PART_PEOPLE_MAX // 2
"""Frozen from here on, well below the cut: an audience that was cut before a crash and has shrunk since is still
asked for as it was frozen."""


def parts_of(event: Event, audience: Roster) -> dict[int, Roster]:
    """Cut an audience into the event's parts: shard -> who. A small or empty audience is one part."""
    if headcount(audience) <= ONE_PART_PEOPLE_MAX:
        return {event.shard: audience}
    return rosters.by_shard(audience)


def part_plan(
    event: Event,
    shard: int,
    audience: Roster,
    verdict: Verdict,
    releases: Sequence[Release],
    stamp: str,
    spread_minutes: Mapping[Urgency, int] = SPREAD_MINUTES,
) -> PartPlan:
    """Write down the plan of one part.

    Args:
        releases: when those are due who are quiet now; everyone else is due at once.
        stamp: the directory's journal id from before the audience was resolved.
    """
    slices: list[Slice] = []
    for route, due_ms, people in _due(verdict, releases, event.urgency):
        for piece in rosters.slices(people):
            id = str(len(slices))
            slices.append(
                Slice(
                    event=event.number,
                    shard=shard,
                    id=id,
                    lane=route.lane,
                    slot=route.slot,
                    urgency=event.urgency,
                    tenant=event.tenant,
                    attempt=1,
                    due_ms=due_ms and _paced(event, shard, id, due_ms, spread_minutes),
                    people=piece,
                    stamp=stamp,
                )
            )
    return PartPlan(
        event=event,
        shard=shard,
        audience=audience,
        suppressed=tuple(
            Suppressed(channel=channel, reason=reason, people=people)
            for (channel, reason), people in verdict.suppressed.items()
        ),
        slices=tuple(slices),
        planned_people={channel: headcount(people) for channel, people in verdict.people.items()},
    )


def _due(verdict: Verdict, releases: Sequence[Release], urgency: Urgency) -> Iterator[tuple[Route, int, Roster]]:
    """Each route's people by due time; 0 is at once."""
    held = rosters.union(*(release.people for release in releases))
    for route in sorted(verdict.deliveries):
        people = verdict.deliveries[route]
        if not held or not respects_quiet(urgency, route.channel):
            yield route, 0, people
            continue
        yield route, 0, rosters.minus(people, held)
        for release in sorted(releases, key=lambda release: release.at_ms):
            yield route, release.at_ms, rosters.intersect(people, release.people)


def _paced(event: Event, shard: int, id: str, due_ms: int, spread_minutes: Mapping[Urgency, int]) -> int:
    return paced_ms(
        due_ms,
        urgency=event.urgency,
        expires_ms=event.expires_ms,
        seed=f"{event.number}/{shard}/{id}",
        spread_minutes=spread_minutes,
    )
