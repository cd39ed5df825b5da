"""Steps 5 to 11 of the way, the loops: permits, claims, and a task for each claim.

The life of a slice in a dispatcher:

1. The watch sees that something waits on a lane. Each lane has two streams, one for emergency and urgent, one for
   normal and bulk, each with room of its own: an urgent slice never waits behind bulk in flight.
2. The stream takes permits from the lane's limiter, no more than it has room for, *then* claims slices for them, so
   that nothing waits for the limiter under a lease. While the urgent stream is short of permits, the other takes none.
3. Each claim is carried by a task of its own (`sending.py`): checked again, marked, sent, settled (`settlement.py`).
   Round trips of claims that run side by side are combined (`combining.py`).
4. Permits that were not used go back.
5. A heartbeat keeps the leases (`lease_keeper.py`). A worker that dies is found by its silence: its slices are
   reclaimed, and who was marked is resent with the same delivery ids.
6. A drain ends step 2 and lets the others finish.

A process may be kept free for emergencies and urgent messages (`Duty`): the loop of one that carries a national event
is busy for many milliseconds at a time, and an urgent message takes a dozen turns of it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Awaitable, Callable, Mapping, Sequence
from enum import StrEnum

import msgspec
import trio

from engine.addresses import Addresses
from engine.drain import Drain
from engine.lease_keeper import LeaseKeeper
from engine.patience import Backoff
from engine.personal import PersonalReader
from engine.ports import Directory, Lanes, Observer, Sender, Work
from engine.recheck import Rechecker
from engine.records.errors import StoreUnavailable
from engine.records.roster import headcount
from engine.records.words import EMAIL_LANE, Urgency
from engine.records.work import SLICE_PEOPLE_MAX, Claim
from engine.rules.answering import LaneHealth
from engine.rules.helping import is_help_needed
from engine.sending import Sending
from engine.settlement import Settler
from engine.watch import Watch

FAST = (Urgency.EMERGENCY, Urgency.URGENT)
SLOW = (Urgency.NORMAL, Urgency.BULK)
FAST_WAIT_SECONDS_MAX = 0.05  # the limiter's own advice is for large grants; an urgent message needs forty permits now
CLAIM_SLICES_FULL = 256  # a claim of so many slices says nothing about whether there are more


STRIDES = 4  # claims in which a stream of normal and bulk work fills its room


class Duty(StrEnum):
    """What a dispatcher is there for."""

    ALL = "all"
    URGENT = "urgent"  # emergencies and urgent messages only
    HELPING = "helping"  # everything; of emergencies and urgent messages what one such dispatcher cannot take


class DispatchSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Bounds of one dispatcher."""

    lease_seconds: float = 30.0  # a dead worker's slices wait at most this long
    answer_seconds: float = 15.0  # FCM: at least 10; an answer later than this is an unknown outcome
    letters_seconds: float = 60.0  # e-mail: the same for a whole slice, since letters go one after the other
    urgent_people_max: int = 8 * SLICE_PEOPLE_MAX  # in flight on each lane
    look_seconds: float = 0.5  # the bell says when there is work; it may be missed
    lane_seconds: float = 1.0  # a slowed or parked lane is asked again so often, since it may be resumed
    people_max: int = 8 * SLICE_PEOPLE_MAX  # in flight on each lane: 80 ms of a lane at 100,000 a second

    def patience(self, lane: str) -> float:
        """How long a batch on this lane may take."""
        return self.letters_seconds if lane == EMAIL_LANE else self.answer_seconds


class Dispatcher:
    """Sends what waits on its lanes until drained. As many may run as there are cores.

    Args:
        senders: the lanes to serve and their ways out; one sender may serve several lanes.
        worker_name: names this process in the store, unique among those that run.
        draw: random numbers in [0, 1) for jitter.
        personal: what reads badges and children's names; without it there are names and no badges.
        health: what judges a lane's answers; give another mass guard when a wave of replaced phones is expected.
        duty: which urgencies it serves.
    """

    def __init__(
        self,
        work: Work,
        lanes: Lanes,
        directory: Directory,
        senders: Mapping[str, Sender],
        observer: Observer,
        worker_name: str,
        now_ms: Callable[[], int],
        draw: Callable[[], float],
        settings: DispatchSettings | None = None,
        health: Callable[[], LaneHealth] = LaneHealth,
        personal: PersonalReader | None = None,
        duty: Duty = Duty.ALL,
    ) -> None:
        self._senders = senders
        settings = settings or DispatchSettings()
        self._watch = Watch(work, settings.look_seconds)
        self._keeper = LeaseKeeper(work, observer, now_ms, settings.lease_seconds)
        self._services: list[Callable[[], Awaitable[None]]] = [self._keeper.run, self._watch.run]
        personal = personal or PersonalReader(directory)
        healths: defaultdict[str, LaneHealth] = defaultdict(health)

        def sending() -> Sending:
            """A way of its own for each half of the urgencies: an urgent round trip is never queued behind bulk."""
            rechecker, addresses = Rechecker(directory, now_ms), Addresses(directory)
            settler = Settler(work, lanes, directory, self._keeper, observer, now_ms, draw, healths)
            way = Sending(
                work, senders, rechecker, addresses, personal, settler, self._keeper, now_ms, settings.patience
            )
            self._services += [*rechecker.services, addresses.run, settler.run, way.run]
            return way

        fast, slow = sending(), None if duty is Duty.URGENT else sending()
        self._streams: list[Stream] = []
        for lane in senders:
            desk = Desk(lane, work, lanes, self._watch, observer, worker_name, now_ms, settings)
            urgent = Stream(desk, fast, FAST, settings.urgent_people_max, only_helps=duty is Duty.HELPING)
            self._streams.append(urgent)
            if slow is not None:
                self._streams.append(Stream(desk, slow, SLOW, settings.people_max, gives_way_to=urgent))

    async def run(self, drain: Drain, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Serve all lanes; returns when the drain is done."""
        async with trio.open_nursery() as services:
            for service in self._services:
                services.start_soon(service)
            for sender in {id(sender): sender for sender in self._senders.values()}.values():
                await services.start(sender.run)
            task_status.started()
            async with drain.hands() as hands:
                hands.start_soon(self._wake_at, drain)
                for stream in self._streams:
                    hands.start_soon(stream.run, hands, drain)
            services.cancel_scope.cancel()

    async def _wake_at(self, drain: Drain) -> None:
        await drain.wait()
        self._watch.wake()


class Desk(msgspec.Struct, frozen=True):
    """What the two streams of a lane share."""

    lane: str
    work: Work
    lanes: Lanes
    watch: Watch
    observer: Observer
    worker_name: str
    now_ms: Callable[[], int]
    settings: DispatchSettings


class Stream:
    """Takes slices of some urgencies off one lane, as many people at a time as it has room for."""

    def __init__(
        self,
        desk: Desk,
        sending: Sending,
        urgencies: Sequence[Urgency],
        people_max: int,
        gives_way_to: Stream | None = None,
        *,
        only_helps: bool = False,
    ) -> None:
        self._desk = desk
        self._sending = sending
        self._urgencies = urgencies
        self._room = people_max
        # Bulk claims in strides: permits, look, claim and what goes back are four round trips, two of them synced to
        # the disk, whatever their size. Urgent work is taken as it comes.
        self._room_min = min(
            people_max, SLICE_PEOPLE_MAX if gives_way_to is None else max(SLICE_PEOPLE_MAX, people_max // STRIDES)
        )
        self._gives_way_to = gives_way_to
        self._only_helps = only_helps
        self.is_short = False  # work waits, and the limiter gives us too few permits

    async def run(self, hands: trio.Nursery, drain: Drain) -> None:
        """Claim until the drain begins."""
        backoff = Backoff()
        while not drain.is_asked:
            try:
                if self._may_take():
                    await self._take(hands, drain)
                else:
                    if not self._gives_way():
                        self._note(is_short=False)
                    await self._desk.watch.wait()
                backoff.reset()
            except StoreUnavailable:
                await drain.sleep(backoff.next_seconds())

    def _note(self, *, is_short: bool) -> None:
        """Remember whether permits are short; who gave way to us goes on at once when they no longer are."""
        was_short, self.is_short = self.is_short, is_short
        if was_short and not is_short:
            self._desk.watch.wake()

    def _may_take(self) -> bool:
        # Not for a little room: claims of a few people would cut slices into crumbs.
        if self._room < self._room_min or self._gives_way():
            return False
        watch, lane = self._desk.watch, self._desk.lane
        if self._only_helps:
            return is_help_needed(*watch.waiting(lane, self._urgencies))
        return watch.sees(lane, self._urgencies)

    def _gives_way(self) -> bool:
        """Whether permits are left to urgent work: of ours, or, where permits are short, of another process."""
        urgent = self._gives_way_to
        if urgent is None:
            return False
        return urgent.is_short or (self.is_short and urgent.is_left_to_another())

    def is_left_to_another(self) -> bool:
        """Whether something waits here that we only help with."""
        return self._only_helps and self._desk.watch.sees(self._desk.lane, self._urgencies)

    async def _take(self, hands: trio.Nursery, drain: Drain) -> None:
        desk, room = self._desk, self._room
        # The last slice of a claim may exceed what was asked for. Permits for that too, where the limiter has them,
        # so that a slice is cut only when the limiter is short.
        permits = await desk.lanes.take(desk.lane, room + SLICE_PEOPLE_MAX - 1, desk.now_ms())
        self._note(is_short=permits.granted < room)
        if permits.granted:
            asked = min(room, permits.granted)
            claims = await desk.work.claim(
                desk.lane,
                self._urgencies,
                asked,
                desk.worker_name,
                desk.now_ms(),
                round(1000 * desk.settings.lease_seconds),
            )
            claimed = sum(headcount(claim.slice.people) for claim in claims)
            self._hand_out(claims, permits.granted, hands)
            if claimed < asked:
                self._note(is_short=False)
                if len(claims) < CLAIM_SLICES_FULL:
                    desk.watch.emptied(desk.lane, self._urgencies)
            await self._give_back(permits.granted - claimed)
        if self.is_short:
            is_fast = self._gives_way_to is None and not permits.parked
            seconds = min(permits.wait_ms / 1000, FAST_WAIT_SECONDS_MAX if is_fast else desk.settings.lane_seconds)
            desk.observer.waited_for_permits(desk.lane, seconds)
            await drain.sleep(seconds)

    def _hand_out(self, claims: Sequence[Claim], permits: int, hands: trio.Nursery) -> None:
        """Start a task for each claim; who is beyond the permits goes back to the queue."""
        for claim in claims:
            share = min(permits, headcount(claim.slice.people))
            permits -= share
            self._room -= share
            hands.start_soon(self._carry, claim, share)

    async def _carry(self, claim: Claim, permits: int) -> None:
        used = 0
        try:
            used = await self._sending.carry(claim, permits)
        finally:
            was_full = self._room < self._room_min
            self._room += permits
            if was_full:
                self._desk.watch.wake()
        await self._give_back(permits - used)

    async def _give_back(self, permits: int) -> None:
        if permits > 0:
            try:
                await self._desk.lanes.give_back(self._desk.lane, permits, self._desk.now_ms())
            except StoreUnavailable:
                return  # the bucket fills by itself
