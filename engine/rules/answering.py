"""What a batch of answers means: for each delivery, for endpoints, and for the lane as a whole.

The lane is looked at first. When the mass guard trips, and as long as the lane is parked, answers that call an endpoint
gone are not believed: those deliveries wait for an operator. While the breaker is open, who was surely not processed
keeps the attempt.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from engine.outcomes import ACCEPTED, Outcome, Rejected, Unknown, Unreachable
from engine.records.roster import Roster, roster_of
from engine.records.words import End
from engine.records.work import Claim, Endpoint, Settled
from engine.rules import roster as rosters
from engine.rules.breaker import PROVIDER_DOWN, Breaker, failure_count
from engine.rules.mass_guard import MassGuard, calls_endpoint_gone, gone_count
from engine.rules.retry import Park, Slow, Step, lane_step, next_step, postpone
from engine.rules.settling import Child, children_of, ends_of

DOUBT_MS = 5_000
"""How long a guard that has tripped doubts the answers that were under way: the parked lane is not known at once."""


class Reading(NamedTuple):
    """Everything that follows from a batch of answers."""

    ends: list[Settled]
    children: list[Child]
    gone: list[tuple[Endpoint, int | None]]  # to retire, with the provider's time stamp
    lane: Slow | Park | None
    answered: int  # how many got an answer at all


class LaneHealth:
    """What the last answers of one lane say about it."""

    def __init__(self, guard: MassGuard | None = None) -> None:
        self.guard = guard or MassGuard()
        self.breaker = Breaker()
        self.doubted_until_ms = 0


def read_answers(
    claim: Claim,
    reached: Roster,
    endpoints: Sequence[Endpoint],
    outcomes: Sequence[Outcome],
    health: LaneHealth,
    now_ms: int,
    draw: Callable[[], float],
    *,
    is_parked: bool = False,
) -> Reading:
    """Read the outcomes of one slice, which stand in the order of its endpoints; `reached` are the same as a roster.

    `is_parked`: somebody has stopped the lane since these were sent, another process perhaps; what its answers say
    about endpoints is not believed any more.
    """
    if outcomes.count(ACCEPTED) == len(outcomes):  # nearly always; 1,024 answers are counted in 1 us
        health.guard.trips(len(outcomes), 0)
        health.breaker.hear(len(outcomes), 0)
        return Reading([Settled(end=End.ACCEPTED, reason="", people=reached)], [], [], None, len(outcomes))

    is_tripped = health.guard.trips(len(outcomes), gone_count(outcomes))
    if is_tripped:
        health.doubted_until_ms = now_ms + DOUBT_MS
    is_doubted = is_parked or now_ms < health.doubted_until_ms
    wait_seconds = health.breaker.hear(len(outcomes), failure_count(outcomes))
    lane = lane_step(outcomes, now_ms=now_ms, draw=draw())
    if wait_seconds is not None and not isinstance(lane, Park):
        until_ms = now_ms + round(1000 * wait_seconds)
        lane = lane if lane is not None and lane.until_ms > until_ms else Slow(until_ms, PROVIDER_DOWN)
    if is_tripped:
        lane = Park(health.guard.reason)

    def step_of(outcome: Outcome) -> Step:
        expires_ms = claim.event.expires_ms
        if is_doubted and calls_endpoint_gone(outcome):
            return postpone("endpoint_doubted", now_ms=now_ms, expires_ms=expires_ms, at_ms=now_ms)
        if isinstance(lane, Slow) and isinstance(outcome, Unreachable) and wait_seconds is not None:
            return postpone(outcome.reason, now_ms=now_ms, expires_ms=expires_ms, at_ms=lane.until_ms)
        return next_step(
            outcome,
            attempt=claim.slice.attempt,
            now_ms=now_ms,
            expires_ms=expires_ms,
            draw=draw(),
        )

    others = [(endpoint, outcome) for endpoint, outcome in zip(endpoints, outcomes, strict=True) if outcome != ACCEPTED]
    ends, again = ends_of((endpoint.number, step_of(outcome)) for endpoint, outcome in others)
    accepted = rosters.minus(reached, roster_of(endpoint.number for endpoint, _ in others))
    if accepted:
        ends.insert(0, Settled(end=End.ACCEPTED, reason="", people=accepted))
    return Reading(
        ends=ends,
        children=children_of(again, claim.slice.attempt),
        gone=[
            (endpoint, outcome.gone_since_ms)
            for endpoint, outcome in others
            if isinstance(outcome, Rejected) and outcome.endpoint_gone and not is_doubted
        ],
        lane=lane,
        answered=sum(not isinstance(outcome, Unknown | Unreachable) for outcome in outcomes),
    )
