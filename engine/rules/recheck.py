"""Truth at send time: who of a claimed slice may be sent to now, who no longer, who must wait.

Custody, class lists and wishes change between planning and sending. Where the directory changed, the *whole*
audience expression and policy are asked again for the slice's people: who left one group may still be entitled
through another. Quiet hours are always asked, since a slice may have waited into them.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import NamedTuple

from engine.records.event import Event
from engine.records.roster import Roster
from engine.records.words import Channel, End, Reason
from engine.records.work import Claim, Settled, Slice
from engine.rules import roster as rosters
from engine.rules.pacing import paced_ms
from engine.rules.planes import Route
from engine.rules.policy import judge
from engine.rules.quiet import Release
from engine.rules.settling import Child, grouped_by_due

HELD_CHILDREN_MAX = 4
QUIET_HOURS = "quiet_hours"
PERMITS = "permits"
POISON = "claimed_too_often"

CLAIMS_MAX = 20
"""A slice that was claimed so often without a result kills its workers; its neighbours must go on (RabbitMQ: 20).
Each claim and each reclaim moves the epoch by one."""


class Standing(NamedTuple):
    """Who is still entitled, and who not, by reason."""

    entitled: Roster
    suppressed: list[Settled]


def unsent_end(claim: Claim, now_ms: int) -> tuple[End, str] | None:
    """How a claim ends without being sent, and why: stopped, its time over, or a worker's death too often."""
    if claim.stop is not None:
        return End(claim.stop.value), ""
    if claim.event.expires_ms <= now_ms:
        return End.EXPIRED, ""
    return (End.DEAD, POISON) if claim.epoch > 2 * CLAIMS_MAX else None


def stand(
    event: Event,
    route: Route,
    people: Roster,
    audience: Roster,
    planes: Mapping[str, Roster],
    allowed: Collection[Channel],
) -> Standing:
    """Ask audience and policy again.

    Args:
        people: of the slice.
        audience: the event's audience as it is now, at least on the blocks of `people`.
        planes: those that `policy.planes_needed` names for this route, on the blocks of `people`.
    """
    outside = rosters.minus(people, audience)
    verdict = judge(event, rosters.intersect(people, audience), [route], planes, allowed)
    refused = [(Reason.NOT_IN_AUDIENCE, outside), *((reason, who) for (_, reason), who in verdict.suppressed.items())]
    return Standing(verdict.deliveries.get(route, {}), [suppressed(reason, who) for reason, who in refused if who])


def suppressed(reason: Reason, people: Roster) -> Settled:
    return Settled(end=End.SUPPRESSED, reason=reason.value, people=people)


def held_children(parent: Slice, releases: Sequence[Release], expires_ms: int) -> list[Child]:
    """Those who are quiet now, as at most four children, each due when the last of its people may be reached."""
    children = []
    for group in grouped_by_due([(release.at_ms, release.people) for release in releases], HELD_CHILDREN_MAX):
        at_ms = max(at_ms for at_ms, _ in group)
        due_ms = paced_ms(
            at_ms,
            urgency=parent.urgency,
            expires_ms=expires_ms,
            seed=f"{parent.event}/{parent.shard}/{parent.id}/{at_ms}",
        )
        people = rosters.union(*(people for _, people in group))
        children.append(Child(people, due_ms, parent.attempt, is_retry=False, reason=QUIET_HOURS))
    return children


def rest_child(parent: Slice, people: Roster) -> Child:
    """Those for whom there was no permit: at once again, no attempt used up."""
    return Child(people, 0, parent.attempt, is_retry=False, reason=PERMITS)
