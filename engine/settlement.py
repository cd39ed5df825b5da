"""Steps 10 and 11 of the way: what the answers lead to, written once.

Order matters. The lane is parked or slowed *before* the settlement queues what was postponed, or this very process
would claim it again at once. Endpoints leave the directory before the settlement too: after a crash in between, the
slice comes again and those people are suppressed(no_endpoint) instead of being sent to a dead phone.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence

import trio

from engine.combining import Combiner
from engine.lease_keeper import LeaseKeeper
from engine.outcomes import Outcome
from engine.patience import patiently
from engine.ports import Directory, Lanes, Observer, Work
from engine.records.roster import Roster, headcount
from engine.records.work import Claim, Endpoint, Settled, Settlement
from engine.rules.answering import LaneHealth, Reading, read_answers
from engine.rules.mass_guard import gone_count
from engine.rules.planes import Route
from engine.rules.retry import Park
from engine.rules.settling import Child, settlement

RETIRE_TOGETHER_MAX = 64  # the directory writes what waits for it in one go


class Settler:
    """Settles claims; `run` must run.

    Args:
        health: what the last answers say about each lane, shared by all settlers of a process.
    """

    def __init__(
        self,
        work: Work,
        lanes: Lanes,
        directory: Directory,
        keeper: LeaseKeeper,
        observer: Observer,
        now_ms: Callable[[], int],
        draw: Callable[[], float],
        health: defaultdict[str, LaneHealth],
    ) -> None:
        self._lanes = lanes
        self._directory = directory
        self._keeper = keeper
        self._observer = observer
        self._now_ms = now_ms
        self._draw = draw
        self._health = health
        self._write = Combiner(work.settle)
        self.run = self._write.run

    async def settle(
        self,
        claim: Claim,
        ends: Sequence[Settled],
        children: Sequence[Child] = (),
        *,
        stamp: str | None = None,
    ) -> bool:
        """Write what a claim came to; False when it was fenced off and the answers are dropped."""
        written = settlement(claim, self._now_ms(), ends, children, stamp=stamp or claim.slice.stamp)
        return await self._settle(written, children)

    async def settle_answers(
        self,
        claim: Claim,
        reached: Roster,
        endpoints: Sequence[Endpoint],
        outcomes: Sequence[Outcome],
        ends: Sequence[Settled],
        children: Sequence[Child],
        stamp: str,
    ) -> None:
        """Read the answers for those who were reached, act on lane and endpoints, settle all of the claim."""
        piece, now_ms = claim.slice, self._now_ms()
        if self._keeper.is_lost(claim):
            return
        health, is_parked = self._health[piece.lane], await self._is_parked_meanwhile(piece.lane, outcomes)
        reading = read_answers(claim, reached, endpoints, outcomes, health, now_ms, self._draw, is_parked=is_parked)
        await self._act_on_lane(piece.lane, reading)
        await self._retire(Route(piece.lane, piece.slot), reading)
        if await self.settle(claim, [*ends, *reading.ends], [*children, *reading.children], stamp=stamp):
            seconds = max(0, now_ms - claim.event.admitted_ms) / 1000
            self._observer.answered(Route(piece.lane, 0).channel, piece.urgency, seconds, reading.answered)

    async def _is_parked_meanwhile(self, lane: str, outcomes: Sequence[Outcome]) -> bool:
        """Was the lane stopped after these were sent? Asked only where endpoints are called gone."""
        if not gone_count(outcomes):
            return False
        return lane in await patiently(self._lanes.parked)

    async def _act_on_lane(self, lane: str, reading: Reading) -> None:
        effect = reading.lane
        if effect is None:
            return
        if isinstance(effect, Park):
            await patiently(lambda: self._lanes.park(lane, effect.reason, self._now_ms()))
        else:
            await patiently(lambda: self._lanes.slow(lane, effect.until_ms, effect.reason))

    async def _retire(self, route: Route, reading: Reading) -> None:
        together = trio.Semaphore(RETIRE_TOGETHER_MAX)

        async def retire(endpoint: Endpoint, gone_since_ms: int | None) -> None:
            number, generation = endpoint.number, endpoint.generation
            async with together:
                await patiently(
                    lambda: self._directory.retire(route.lane, route.slot, number, generation, gone_since_ms)
                )

        async with trio.open_nursery() as nursery:
            for endpoint, gone_since_ms in reading.gone:
                nursery.start_soon(retire, endpoint, gone_since_ms)

    async def _settle(self, written: Settlement, children: Sequence[Child]) -> bool:
        claim = written.claim
        if self._keeper.is_lost(claim):
            return False
        if not await patiently(lambda: self._write(written)):
            self._keeper.lose(claim)
            return False
        channel = Route(claim.slice.lane, claim.slice.slot).channel
        for group in written.ends:
            self._observer.ended(channel, group.end, group.reason, headcount(group.people))
        for child in children:
            tell = self._observer.retried if child.is_retry else self._observer.postponed
            tell(channel, child.reason, headcount(child.people))
        return True
