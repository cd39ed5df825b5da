"""The doors between rooms: what the shells need from the store, the channels and the metrics.

Each protocol has one implementation that ships (queueing/, channels/, metrics/); `engine/__main__.py` joins them.
Every `now_ms` is the caller's wall clock in milliseconds, so that tests steer it. Lost connections raise
`engine.records.errors.StoreUnavailable`; every call that changes something may be repeated with the same arguments.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import NamedTuple, Protocol

import trio

from engine.outcomes import Outcome
from engine.records.event import Admission, Event
from engine.records.family import Family
from engine.records.inbox import InboxHint, InboxItem, ItemState
from engine.records.person import Line, Person
from engine.records.roster import Roster
from engine.records.words import Category, Channel, End, Stop, Urgency
from engine.records.work import Batch, Claim, Endpoint, EventReport, PartPlan, PersonStep, Settlement

# --- directory: who is who -------------------------------------------------------------------------------------


class Refusal(NamedTuple):
    """A line of an import that was not taken: its number in the file (from 1) and a sentence that names the field."""

    line: int
    reason: str


class Changes(NamedTuple):
    """What the directory changed after a stamp: blocks with new planes or endpoints, rosters with new members."""

    stamp: str
    blocks: frozenset[int]
    rosters: frozenset[str]


class Directory(Protocol):
    """Reading and changing people, groups and planes. Implemented by queueing/directory/.

    Plane names: `all`; `en` (reads English); `role.<role>`; `off.<channel>.<category>`; `quiet.<0..335>` (half-hours
    of the local week, Monday 00:00 first); `ep.<lane>.<slot>` (has a live endpoint there; e-mail is `ep.email.0`);
    `bad.email` (the address bounced). Roster names: `<scope>/<role>` with scope `group/<id>`, `institution/<id>`,
    `municipality/<code>` or `everyone`, as in `group/3b/guardian` and `everyone/staff`.
    """

    async def stamp(self) -> str:
        """Name the present state of the directory (its journal's newest id)."""
        ...

    async def changes_since(self, stamp: str) -> Changes | None:
        """Say what changed after `stamp`; None when the journal no longer reaches back that far."""
        ...

    async def rosters(self, names: Collection[str], blocks: Collection[int] | None = None) -> dict[str, Roster]:
        """Read rosters, whole or only on some blocks; an unknown name is an empty roster."""
        ...

    async def numbers(self, ids: Collection[str]) -> dict[str, int]:
        """Find recipient numbers; unknown ids are left out."""
        ...

    async def guardians(self, ids: Collection[str]) -> Roster:
        """The guardians of these pupils."""
        ...

    async def families(self, people: Roster) -> dict[int, Family]:
        """Who these people are as pupils, and whose guardians they are now; who is gone is left out."""
        ...

    async def planes(self, blocks: Collection[int], names: Collection[str]) -> dict[str, Roster]:
        """Read planes on some blocks: each a roster; a block without the plane is left out."""
        ...

    async def endpoints(self, lane: str, slot: int, people: Roster) -> list[Endpoint]:
        """Read the addresses of people on a lane and slot, ascending by number; who has none is left out."""
        ...

    async def strategy(self, tenant: str) -> Mapping[Category, frozenset[Channel]]:
        """The channels a municipality uses per category; a category that is left out uses all."""
        ...

    async def retire(self, lane: str, slot: int, number: int, generation: int, gone_since_ms: int | None) -> bool:
        """Take an endpoint that the provider calls dead out of use, unless it was registered anew since."""
        ...

    async def apply(self, lines: Sequence[tuple[int, Line]], now_ms: int) -> list[Refusal]:
        """Write lines of people, groups and strategies; what cannot be taken is refused, the rest goes in."""
        ...

    async def person(self, id: str) -> Person | None:
        """Read one person back as the import line that would make it."""
        ...

    async def change(self, id: str, edit: Callable[[Person], Person], now_ms: int) -> Person | None:
        """Change one person by a pure function of the present record; None when there is no such person."""
        ...

    async def scope_tenant(self, scope: str) -> str | None:
        """The municipality that `group/<id>` or `institution/<id>` belongs to; None when unknown."""
        ...


# --- work: events, ledger, queues ------------------------------------------------------------------------------


class EntityVerdict(NamedTuple):
    """What an event's entity says: `stale` (a higher sequence came first), and older events to supersede."""

    stale: bool
    older: tuple[int, ...]


class Ready(NamedTuple):
    """Waiting slices of one lane and urgency on one shard: how many."""

    shard: int
    lane: str
    urgency: Urgency
    slices: int


class Depth(NamedTuple):
    """What waits on one lane and urgency over all shards. The lane `+` holds events that wait for fan-out.

    `oldest_ms` is when the oldest was admitted, or became due where it was held back.
    """

    lane: str
    urgency: Urgency
    slices: int
    people: int
    oldest_ms: int


class Cancelled(NamedTuple):
    """What a cancellation came to: the stop that holds, and whether that stop found anything left to stop."""

    holds: Stop
    has_caught: bool


class Work(Protocol):
    """Events, frozen audiences, slices, leases and settlements. Implemented by queueing/work/."""

    async def admit(self, events: Sequence[Event], fingerprints: Sequence[bytes]) -> list[Admission]:
        """Make events durable, in one round trip per shard. `(tenant, source, id)` is the idempotency key."""
        ...

    async def lease_unplanned(self, limit: int, now_ms: int, lease_ms: int) -> list[Event]:
        """Take admitted, unplanned events for fan-out, most urgent first; a crash gives them back after the lease."""
        ...

    async def claim_entity(self, event: Event) -> EntityVerdict:
        """Register the event as a version of its entity (idempotent)."""
        ...

    async def freeze(self, event: Event, audience: Roster, shards: Collection[int]) -> Roster | None:
        """Freeze the audience before the first part is planned; returns what is frozen; None when stopped."""
        ...

    async def plan(self, part: PartPlan) -> bool:
        """Write one part: suppressions, slices, counters, queue entries. False when it was already written."""
        ...

    async def finish_planning(self, event: Event, now_ms: int) -> None:
        """All parts are planned: the event leaves the fan-out queue."""
        ...

    async def stop(self, event: int, stop: Stop, now_ms: int) -> bool:
        """Stop an event everywhere; False when it is unknown or already stopped. The first stop wins."""
        ...

    async def cancel(self, event: int, now_ms: int) -> Cancelled | None:
        """Stop an event as cancelled, and say what came of it, the same on every repetition; None when unknown."""
        ...

    async def ready(self) -> list[Ready]:
        """Where work waits, over all shards."""
        ...

    async def claim(
        self,
        lane: str,
        urgencies: Sequence[Urgency],
        people_max: int,
        worker: str,
        now_ms: int,
        lease_ms: int,
    ) -> list[Claim]:
        """Claim slices under lease, urgency by urgency, tenants in turns. The last one may exceed `people_max`."""
        ...

    async def mark(self, claims: Sequence[tuple[Claim, Roster]], now_ms: int) -> list[bool]:
        """Write ahead who is about to be sent; False where the lease is lost and nothing may be sent."""
        ...

    async def extend(self, claims: Sequence[Claim], now_ms: int, lease_ms: int) -> list[bool]:
        """Keep leases; False where one is lost."""
        ...

    async def settle(self, settlements: Sequence[Settlement]) -> list[bool]:
        """Write ends, counters and children at once; False where the claim was fenced off and nothing changed."""
        ...

    async def promote(self, now_ms: int, limit: int) -> int:
        """Move due slices to the ready queues."""
        ...

    async def reclaim(self, now_ms: int, limit: int) -> int:
        """Give slices with an expired lease back to the queue; marked people are counted as unknown."""
        ...

    async def expire(self, now_ms: int, limit: int) -> list[int]:
        """Stop events whose time is over; returns their numbers."""
        ...

    async def sweep(self, now_ms: int, limit: int) -> int:
        """Settle what still waits of stopped events (not what is in hand) as the stop says."""
        ...

    async def events(self, numbers: Collection[int]) -> dict[int, tuple[Event, Stop | None]]:
        """Read events and their stops; unknown ones are left out."""
        ...

    async def report(self, event: int, now_ms: int | None = None) -> EventReport | None:
        """Where an event stands, summed over its parts; with a time also how many people are held until later."""
        ...

    async def story(self, event: int, number: int) -> list[PersonStep] | None:
        """What became of one person in one event, step by step; None when the person is not in its audience."""
        ...

    async def wait_for_work(self, seconds: float) -> None:
        """Return when a bell rings (something was admitted, planned or became due) or after `seconds`."""
        ...


# --- lanes: permits and parking --------------------------------------------------------------------------------


class Permits(NamedTuple):
    """How many people may be sent to now, and when to ask again."""

    granted: int
    wait_ms: int
    parked: bool = False


class Lanes(Protocol):
    """One rate limiter and one state per lane, shared by all dispatchers. Implemented by queueing/lanes.py."""

    async def take(self, lane: str, want: int, now_ms: int) -> Permits: ...

    async def give_back(self, lane: str, count: int, now_ms: int) -> None: ...

    async def slow(self, lane: str, until_ms: int, reason: str) -> None:
        """Take nothing from the lane until then (Retry-After)."""
        ...

    async def park(self, lane: str, reason: str, now_ms: int) -> None:
        """Stop the lane until an operator resumes it."""
        ...

    async def resume(self, lane: str) -> None: ...

    async def parked(self) -> dict[str, str]:
        """Parked lanes and why."""
        ...


# --- inbox -----------------------------------------------------------------------------------------------------


class Inbox(Protocol):
    """Everybody's in-app inbox: one item per person and event. Implemented by queueing/inbox/."""

    async def deliver(self, event: int, people: Roster, broadcast: bool) -> Roster:
        """Put an event into people's inboxes, once each; returns those who did not have it yet."""
        ...

    async def items(self, number: int, limit: int | None = None, before: int | None = None) -> list[InboxItem]:
        """A person's items, newest first, withdrawn ones included."""
        ...

    async def unread(self, number: int) -> int:
        """How many items were not read yet, withdrawn ones included."""
        ...

    async def unread_with(self, event: int, people: Roster) -> dict[int, int]:
        """For each of these people the items not read yet, this event counted whether it is in the inbox yet or not."""
        ...

    async def mark(self, number: int, events: Sequence[int], state: ItemState, backwards: bool = False) -> int:
        """Mark items; forward only, unless `backwards`; returns how many changed."""
        ...

    async def since(self, arrivals: Sequence[tuple[int, int]]) -> list[list[InboxItem]]:
        """For each (person, arrival): the items that came after it, oldest first."""
        ...

    async def holders(self, event: int, people: Roster) -> Roster:
        """Those of these people who have an event in their inbox."""
        ...

    async def clocks(self) -> list[int]:
        """The last arrival of each of the 16 groups of people."""
        ...

    async def withdraw(self, event: int) -> None:
        """Say live that an event was cancelled; call it after `Work.stop`."""
        ...

    async def forget(self, numbers: Collection[int]) -> None:
        """Empty the lists of people who left the platform."""
        ...

    async def listen(self, heard: trio.MemorySendChannel[InboxHint]) -> None:
        """Hand on live hints until cancelled; some may be lost."""
        ...


# --- channels --------------------------------------------------------------------------------------------------


class Sender(Protocol):
    """One lane's way out. `run` keeps connections and tokens until cancelled; `send` never raises for a provider."""

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None: ...

    async def send(self, batch: Batch) -> Sequence[Outcome]:
        """Send to all endpoints; the outcomes stand in the order of `batch.endpoints`, one each."""
        ...


# --- observer --------------------------------------------------------------------------------------------------


class Observer(Protocol):
    """What the metrics hear. Never drives behaviour; the default does nothing (`engine.ports.Silent`)."""

    def admitted(self, category: Category, urgency: Urgency) -> None: ...

    def planned(self, channel: Channel, people: int, deliveries: int, suppressed: Mapping[str, int]) -> None: ...

    def ended(self, channel: Channel, end: End, reason: str, count: int) -> None: ...

    def answered(self, channel: Channel, urgency: Urgency, seconds_since_admission: float, count: int) -> None: ...

    def retried(self, channel: Channel, reason: str, count: int) -> None: ...

    def postponed(self, channel: Channel, reason: str, count: int) -> None: ...

    def waited_for_permits(self, lane: str, seconds: float) -> None: ...

    def fenced(self) -> None: ...

    def reclaimed(self, slices: int) -> None: ...


class Silent:
    """An observer that hears nothing."""

    def admitted(self, category: Category, urgency: Urgency) -> None: ...

    def planned(self, channel: Channel, people: int, deliveries: int, suppressed: Mapping[str, int]) -> None: ...

    def ended(self, channel: Channel, end: End, reason: str, count: int) -> None: ...

    def answered(self, channel: Channel, urgency: Urgency, seconds_since_admission: float, count: int) -> None: ...

    def retried(self, channel: Channel, reason: str, count: int) -> None: ...

    def postponed(self, channel: Channel, reason: str, count: int) -> None: ...

    def waited_for_permits(self, lane: str, seconds: float) -> None: ...

    def fenced(self) -> None: ...

    def reclaimed(self, slices: int) -> None: ...
