"""References: what stands in a queue, in the delayed set and in the leases, as text that a script can read.

    lane|urgency|tenant|cost|event|slice id        apns.parent|1|0751|46|01a2b3c4d5e6f708|12.0

Urgency is its place in the order of queues, cost the people of the slice, event 16 hexadecimal digits.
"""

from __future__ import annotations

from typing import NamedTuple

from engine.records.event import Event
from engine.records.roster import headcount
from engine.records.words import URGENCIES, Urgency
from engine.records.work import Slice

PLANNING_LANE = "+"
"""Events that wait for fan-out stand in a queue of their own, with the same turns of tenants."""

RANKS = {urgency: rank for rank, urgency in enumerate(URGENCIES)}


class Reference(NamedTuple):
    lane: str
    urgency: Urgency
    tenant: str
    cost: int
    event: int
    id: str


def queue_name(lane: str, urgency: Urgency) -> str:
    """Name the queue of a lane and urgency on any shard."""
    return f"{lane}|{RANKS[urgency]}"


def queue_parts(name: str) -> tuple[str, Urgency]:
    """Undo `queue_name`."""
    lane, rank = name.rsplit("|", 1)
    return lane, URGENCIES[int(rank)]


def slice_reference(piece: Slice, people: int | None = None) -> str:
    """Spell the reference of a slice; `people` saves counting them again."""
    cost = headcount(piece.people) if people is None else people
    return f"{piece.lane}|{RANKS[piece.urgency]}|{piece.tenant}|{cost}|{piece.event:016x}|{piece.id}"


def planning_reference(event: Event) -> str:
    return f"{PLANNING_LANE}|{RANKS[event.urgency]}|{event.tenant}|1|{event.number:016x}|+"


def read_reference(spelled: str) -> Reference:
    lane, rank, tenant, cost, event, id = spelled.split("|")
    return Reference(lane, URGENCIES[int(rank)], tenant, int(cost), int(event, 16), id)
