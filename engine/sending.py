"""Steps 5 to 9 of the way: one claimed slice, from hand to answers.

1. A claim whose event was stopped or is over ends at once, unsent.
2. It is cut to its permits; the rest goes back and burns no attempt.
3. It is checked again: who is no longer entitled is suppressed, who is quiet now is held.
4. Addresses are read meanwhile, and once more where something has changed; who has none is suppressed(no_endpoint).
5. Where readers differ (badge, names of children), what differs is read (`personal.py`).
6. Exactly those who remain are marked. A claim that was fenced off meanwhile ends here, unsent.
7. The lane's sender is handed one batch a language, and answers with one outcome for each endpoint.
8. The settlement is written (`settlement.py`).

When the store is away before step 7, the claim is dropped: its lease gives it back.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence

import trio

from engine.addresses import Addresses
from engine.combining import Combiner
from engine.lease_keeper import LeaseKeeper
from engine.outcomes import Outcome, Unknown
from engine.personal import PersonalFacts, PersonalReader, personal_to
from engine.ports import Sender, Work
from engine.recheck import Checked, Rechecker
from engine.records.errors import StoreUnavailable
from engine.records.roster import Roster, headcount, numbers_of, roster_of
from engine.records.words import Language, Reason
from engine.records.work import Batch, Claim, Endpoint, Settled
from engine.rules import recheck
from engine.rules import roster as rosters
from engine.rules.planes import Route
from engine.rules.settling import Child
from engine.settlement import Settler
from engine.side_by_side import side_by_side

SENDER_FAILED = "sender_failed"

_log = logging.getLogger(__name__)


class Sending:
    """Carries claims; `services` must run."""

    def __init__(
        self,
        work: Work,
        senders: Mapping[str, Sender],
        rechecker: Rechecker,
        addresses: Addresses,
        personal: PersonalReader,
        settler: Settler,
        keeper: LeaseKeeper,
        now_ms: Callable[[], int],
        answer_seconds: Callable[[str], float],
    ) -> None:
        self._senders = senders
        self._rechecker = rechecker
        self._addresses = addresses
        self._personal = personal
        self._settler = settler
        self._keeper = keeper
        self._now_ms = now_ms
        self._answer_seconds = answer_seconds

        async def mark(marks: Sequence[tuple[Claim, Roster]]) -> list[bool]:
            return await work.mark(marks, now_ms())

        self._mark = Combiner(mark)
        self.run = self._mark.run

    async def carry(self, claim: Claim, permits: int) -> int:
        """Bring a claim to its end; says how many permits were used."""
        with self._keeper.holding(claim):
            try:
                return await self._carry(claim, permits)
            except StoreUnavailable:
                return 0

    async def _carry(self, claim: Claim, permits: int) -> int:
        unsent = recheck.unsent_end(claim, self._now_ms())
        if unsent is not None:
            await self._settler.settle(claim, [Settled(end=unsent[0], reason=unsent[1], people=claim.slice.people)])
            return 0
        people, rest = claim.slice.people, Roster()
        if headcount(people) > permits:
            people, rest = rosters.cut(people, permits)
        checked, endpoints = await self._checked(claim, people)
        reached, ends = _reached(checked, endpoints)
        children = [*checked.held, recheck.rest_child(claim.slice, rest)] if rest else checked.held
        if not reached:
            await self._settler.settle(claim, ends, children, stamp=checked.stamp)
            return 0
        facts: PersonalFacts | None = None
        if self._personal.is_needed(claim.event, claim.slice.lane):
            facts = await self._personal.read(claim.event, claim.slice.lane, reached)
        if not await self._mark((claim, reached)):
            self._keeper.lose(claim)
            return 0
        return await self._send(claim, reached, endpoints, facts, checked, ends, children)

    async def _checked(self, claim: Claim, people: Roster) -> tuple[Checked, list[Endpoint]]:
        """Check a claim again; its addresses are read at the same time, since nearly always nothing has changed.

        Where the journal, which names a change right after it is made, has something about these people, the addresses
        are read again.
        """
        route = Route(claim.slice.lane, claim.slice.slot)
        checked, endpoints = await side_by_side(
            lambda: self._rechecker.check(claim, people), lambda: self._addresses.find(route, people)
        )
        if checked.is_touched:
            endpoints = await self._addresses.find(route, checked.send) if checked.send else []
        elif checked.send != people:
            still = frozenset(numbers_of(checked.send))
            endpoints = [endpoint for endpoint in endpoints if endpoint.number in still]
        return checked, endpoints

    async def _send(
        self,
        claim: Claim,
        reached: Roster,
        endpoints: Sequence[Endpoint],
        facts: PersonalFacts | None,
        checked: Checked,
        ends: Sequence[Settled],
        children: Sequence[Child],
    ) -> int:
        ordered: list[Endpoint] = []
        outcomes: list[Outcome] = []

        async def hand_over(language: Language, some: Sequence[Endpoint]) -> None:
            found = await self._answers(claim, language, some, facts)
            ordered.extend(some)
            outcomes.extend(found)

        async with trio.open_nursery() as nursery:
            for language, some in by_language(endpoints, rosters.intersect(reached, checked.english)):
                nursery.start_soon(hand_over, language, some)
        await self._settler.settle_answers(claim, reached, ordered, outcomes, ends, children, checked.stamp)
        return len(endpoints)

    async def _answers(
        self, claim: Claim, language: Language, endpoints: Sequence[Endpoint], facts: PersonalFacts | None
    ) -> Sequence[Outcome]:
        piece = claim.slice
        batch = Batch(
            event=claim.event,
            lane=piece.lane,
            slot=piece.slot,
            language=language,
            endpoints=endpoints,
            deadline_seconds=self._answer_seconds(piece.lane),
            personal=None if facts is None else personal_to(claim.event, facts, language, endpoints),
        )
        try:
            found = await self._senders[piece.lane].send(batch)
            if len(found) == len(endpoints):
                return found
            failure = f"{len(found)} outcomes for {len(endpoints)} endpoints"
        except Exception as error:  # a fault of ours in one channel must not stop the others, nor lose the slice
            failure = type(error).__name__  # never its text: it may hold an address
        _log.error("the sender of lane %s failed on event %s: %s", piece.lane, claim.event.public_id, failure)
        return [Unknown(reason=SENDER_FAILED)] * len(endpoints)


def _reached(checked: Checked, endpoints: Sequence[Endpoint]) -> tuple[Roster, list[Settled]]:
    """Who has an address, and the ends with those who have none any more."""
    if len(endpoints) == headcount(checked.send):
        return checked.send, checked.ends
    reached = roster_of(endpoint.number for endpoint in endpoints)
    lost = recheck.suppressed(Reason.NO_ENDPOINT, rosters.minus(checked.send, reached))
    return reached, [*checked.ends, lost]


def by_language(endpoints: Sequence[Endpoint], english: Roster) -> list[tuple[Language, Sequence[Endpoint]]]:
    """Split endpoints into Danish and English readers; the common case of one language costs nothing."""
    if not english:
        return [(Language.DA, endpoints)]
    readers = frozenset(numbers_of(english))
    if len(readers) == len(endpoints):
        return [(Language.EN, endpoints)]
    return [
        (Language.DA, [endpoint for endpoint in endpoints if endpoint.number not in readers]),
        (Language.EN, [endpoint for endpoint in endpoints if endpoint.number in readers]),
    ]
