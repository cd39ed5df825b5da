"""Steps 2 to 4 of the way: an admitted event becomes slices.

For each event:

1. Its entity says whether it is a version that matters: a stale one ends as superseded, older ones are stopped.
2. The directory's stamp is read, *then* the audience is resolved: what changes in between counts as changed since.
3. A large audience, or one that may have been large before a crash, is frozen before its first part is written.
   After a crash the frozen one is planned, not a new one, so that nobody falls between parts that were written
   before and after.
4. Each part is judged in chunks of blocks and written by one atomic script. Writing it twice writes it once.
5. The event leaves the fan-out's queue.

A crash anywhere gives the event back when its lease ends, and the same steps are taken again.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable

import msgspec
import trio

from engine import resolving
from engine.drain import Drain
from engine.patience import Backoff, patiently
from engine.ports import Directory, Observer, Work
from engine.records.errors import StoreUnavailable
from engine.records.event import Event
from engine.records.roster import Roster, headcount
from engine.records.words import CHANNELS, Channel, Stop
from engine.records.work import PartPlan
from engine.rules import quiet
from engine.rules import roster as rosters
from engine.rules.plan import FREEZE_PEOPLE_MIN, part_plan, parts_of
from engine.rules.planes import Route
from engine.rules.policy import Verdict, judge, planes_needed, routes_of
from engine.rules.quiet import Release
from engine.side_by_side import side_by_side

NO_STAMP = "0-0"
"""Older than every change: slices that carry it are checked against the directory before they are sent."""


class FanOutSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Bounds of the fan-out; the defaults suit a core shared with upkeep."""

    events_max: int = 32  # planned at the same time
    cut_events_max: int = 2  # of those, how many may be nation-wide: small ones must flow past
    parts_max: int = 2  # parts of one event at the same time: one computes while the other is written
    chunk_blocks: int = 500  # judged in one go, about 5 ms; then other events have their turn
    lease_seconds: float = 60.0  # a national event takes a few seconds


class FanOut:
    """Plans events until drained. Several may run at once, in several processes.

    Args:
        lanes: every lane that messages may be planned on, `email` and `inapp` among them.
    """

    def __init__(
        self,
        work: Work,
        directory: Directory,
        lanes: Iterable[str],
        observer: Observer,
        now_ms: Callable[[], int],
        settings: FanOutSettings | None = None,
    ) -> None:
        self._work = work
        self._directory = directory
        self._strategies = resolving.Strategies(directory, now_ms)
        self._routes = routes_of(lanes)
        self._observer = observer
        self._now_ms = now_ms
        self._settings = settings or FanOutSettings()
        self._begun: set[int] = set()  # events of ours that may be frozen
        self._slots = trio.Semaphore(self._settings.events_max)
        self._cut_slots = trio.Semaphore(self._settings.cut_events_max)

    async def run(self, drain: Drain) -> None:
        """Plan what is admitted, most urgent first, until the drain begins."""
        async with drain.hands() as hands:
            backoff = Backoff()
            while not drain.is_asked:
                try:
                    if not await self._lease(hands):
                        await self._work.wait_for_work(1.0)
                    backoff.reset()
                except StoreUnavailable:
                    await drain.sleep(backoff.next_seconds())

    async def _lease(self, hands: trio.Nursery) -> int:
        """Take as many events as may be planned at once; says how many there were."""
        async with self._slots:  # waits until at least one is free
            pass
        lease_ms = round(1000 * self._settings.lease_seconds)
        events = await self._work.lease_unplanned(self._slots.value, self._now_ms(), lease_ms)
        for event in events:
            self._slots.acquire_nowait()
            hands.start_soon(self._carry, event)
        return len(events)

    async def _carry(self, event: Event) -> None:
        try:
            await patiently(lambda: self.plan(event))  # every step may be repeated, also by another fan-out
        finally:
            self._begun.discard(event.number)
            self._slots.release()

    async def plan(self, event: Event) -> None:
        """Turn one event into slices."""
        if await self._is_stale(event):
            await self._work.stop(event.number, Stop.SUPERSEDED, self._now_ms())
            await self._work.finish_planning(event, self._now_ms())
            return
        stamp = await self._directory.stamp()
        # The strategy is remembered for the parts; it is asked for here to save a class message a round trip.
        audience, _ = await side_by_side(
            lambda: resolving.resolve(self._directory, event.audience), lambda: self._strategies.allowed(event)
        )
        if headcount(audience) < FREEZE_PEOPLE_MIN and not self._may_be_begun(event):
            await self._plan_parts(event, audience, stamp)
        else:
            self._begun.add(event.number)
            async with self._cut_slots:
                await self._plan_frozen(event, audience, stamp)
        await self._work.finish_planning(event, self._now_ms())

    def _may_be_begun(self, event: Event) -> bool:
        """Whether a fan-out may have frozen this event before: nobody's lease can have lapsed on a younger one."""
        age_ms = self._now_ms() - event.admitted_ms
        return event.number in self._begun or age_ms >= 1000 * self._settings.lease_seconds

    async def _is_stale(self, event: Event) -> bool:
        if event.entity is None:
            return False
        verdict = await self._work.claim_entity(event)
        for older in verdict.older:
            await self._work.stop(older, Stop.SUPERSEDED, self._now_ms())
        return verdict.stale

    async def _plan_frozen(self, event: Event, audience: Roster, stamp: str) -> None:
        frozen = await self._work.freeze(event, audience, parts_of(event, audience))
        if frozen is None:
            return  # stopped, or planned by another
        # Frozen before a crash, maybe from an older directory: then each slice is checked before it is sent.
        await self._plan_parts(event, frozen, stamp if frozen == audience else NO_STAMP)

    async def _plan_parts(self, event: Event, audience: Roster, stamp: str) -> None:
        allowed = await self._strategies.allowed(event)
        together = trio.Semaphore(self._settings.parts_max)

        async def plan_part(shard: int, people: Roster) -> None:
            async with together:
                await self._plan_part(event, shard, people, stamp, allowed)

        async with trio.open_nursery() as nursery:
            for shard, people in parts_of(event, audience).items():
                nursery.start_soon(plan_part, shard, people)

    async def _plan_part(
        self, event: Event, shard: int, audience: Roster, stamp: str, allowed: Collection[Channel]
    ) -> None:
        verdict = Verdict()
        held: list[Release] = []
        for chunk in rosters.chunks_of_blocks(audience, self._settings.chunk_blocks):
            found, releases = await self._judge(event, chunk, allowed)
            verdict.add(found)
            held += releases
            await trio.lowlevel.checkpoint()
        part = part_plan(event, shard, audience, verdict, held, stamp)
        if await self._work.plan(part):
            self._tell(part)

    async def _judge(self, event: Event, people: Roster, allowed: Collection[Channel]) -> tuple[Verdict, list[Release]]:
        now_ms = self._now_ms()
        names = planes_needed(event, self._routes, allowed)
        noisy = {route for route in self._routes if quiet.respects_quiet(event.urgency, route.channel)}
        if noisy:
            names.add(quiet.plane_now(now_ms))
        planes = await self._directory.planes(list(people), names)
        verdict = judge(event, people, self._routes, planes, allowed)
        reached = rosters.union(*(who for route, who in verdict.deliveries.items() if route in noisy))
        held = rosters.intersect(reached, planes.get(quiet.plane_now(now_ms), {}))
        return verdict, await resolving.releases(self._directory, held, now_ms, event.expires_ms) if held else []

    def _tell(self, part: PartPlan) -> None:
        deliveries: Counter[Channel] = Counter()
        for piece in part.slices:
            deliveries[Route(piece.lane, piece.slot).channel] += headcount(piece.people)
        for channel in CHANNELS:
            suppressed = {one.reason.value: headcount(one.people) for one in part.suppressed if one.channel is channel}
            people = part.planned_people.get(channel, 0)
            if people or suppressed:
                self._observer.planned(channel, people, deliveries[channel], suppressed)
