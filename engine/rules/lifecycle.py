"""The states of a delivery and what may follow what: one table, and nobody compares state words elsewhere.

    waiting ──claimed──► in_hand ──marked──► marked ──answered──► an end, or waiting again
                            │                   └─lease lost──► waiting (its outcome is unknown)
                            └─ not entitled, stopped, cut to permits, lease lost ──► an end, or waiting again

An end is for ever. Nothing that was not marked can be accepted or rejected: it was never sent. It can be dead when
its slice was claimed too often without a result.
"""

from __future__ import annotations

from enum import StrEnum

from engine.records.words import End


class State(StrEnum):
    WAITING = "waiting"  # planned, held, postponed or due for a retry
    IN_HAND = "in_hand"  # claimed under a lease
    MARKED = "marked"  # written ahead: it may have left from here on


class Happening(StrEnum):
    CLAIMED = "claimed"
    MARKED = "marked"
    POSTPONED = "postponed"  # permits, quiet hours, Retry-After, a parked lane: no attempt is used up
    RETRIED = "retried"
    LEASE_LOST = "lease_lost"
    ENDED = "ended"


_UNSENT_ENDS = frozenset((End.SUPPRESSED, End.EXPIRED, End.CANCELLED, End.SUPERSEDED, End.DEAD))
_SENT_ENDS = frozenset((End.ACCEPTED, End.REJECTED, End.DEAD, End.EXPIRED))

TRANSITIONS: dict[State, dict[Happening, State]] = {
    State.WAITING: {Happening.CLAIMED: State.IN_HAND},
    State.IN_HAND: {
        Happening.MARKED: State.MARKED,
        Happening.POSTPONED: State.WAITING,
        Happening.LEASE_LOST: State.WAITING,
    },
    State.MARKED: {
        Happening.RETRIED: State.WAITING,
        Happening.POSTPONED: State.WAITING,
        Happening.LEASE_LOST: State.WAITING,
    },
}

ENDS: dict[State, frozenset[End]] = {
    State.WAITING: frozenset((End.EXPIRED, End.CANCELLED, End.SUPERSEDED)),  # swept
    State.IN_HAND: _UNSENT_ENDS,
    State.MARKED: _SENT_ENDS,
}
"""Which ends a delivery may come to from a state."""


def after(state: State, happening: Happening, end: End | None = None) -> State | End:
    """What a delivery is after something happened to it.

    Raises:
        ValueError: that cannot happen in this state.
    """
    if happening is Happening.ENDED:
        if end is not None and end in ENDS[state]:
            return end
    elif happening in TRANSITIONS[state]:
        return TRANSITIONS[state][happening]
    raise ValueError(f"a delivery that is {state} cannot be {happening} {end or ''}".rstrip())
