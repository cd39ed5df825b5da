"""Claim, mark, extend, settle, stop and everything that time does, in any order, against a plain model.

The auditor reads the store after every step; the model says what each verb must answer.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from typing import Any, TypeVar

import pytest
import trio
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from engine.records.roster import Roster, numbers_of, roster_of
from engine.records.words import End, Stop, Urgency
from engine.records.work import Claim, Settled, Settlement, Slice
from queueing.link import Link
from queueing.work import StoreWork
from queueing.work.expiring import LOOK_AGAIN_MS
from tests.queueing.work_audit import audit
from tests.queueing.work_examples import HOUR_MS, INAPP, LEASE_MS, NOW_MS, PUSH, event, part, piece

T = TypeVar("T")
LANES = (PUSH, INAPP)


class Model:
    """One slice as the model sees it."""

    def __init__(self, piece: Slice) -> None:
        self.piece = piece
        self.epoch = 0
        self.deadline_ms: int | None = None  # set while in hand
        self.marked: set[int] = set()


class WorkMachine(RuleBasedStateMachine):
    link: Link

    @initialize()
    def empty(self) -> None:
        self.link.run_now([("FLUSHALL",)])
        self.work = StoreWork(self.link)
        self.now_ms = NOW_MS
        self.live: dict[tuple[int, str], Model] = {}
        self.claims: list[Claim] = []  # also those that are settled or lost: they must stay fenced off
        self.settled: dict[tuple[int, str, int], int] = {}
        self.stops: dict[int, Stop | None] = {}
        self.expires: dict[int, int] = {}
        self.lost_marks: dict[int, int] = {}
        self.children = 0

    def do(self, verb: Callable[..., Awaitable[T]], *arguments: Any) -> T:
        async def call() -> T:
            return await verb(*arguments)

        return trio.run(call)

    @rule(
        tenant=st.sampled_from(["0101", "0751", "dk"]),
        urgency=st.sampled_from([Urgency.URGENT, Urgency.NORMAL]),
        people=st.lists(st.integers(1, 40), min_size=1, max_size=3),
        held_ms=st.sampled_from([0, 0, 20_000]),
        lives_ms=st.sampled_from([40_000, HOUR_MS]),
    )
    def plan(self, tenant: str, urgency: Urgency, people: list[int], held_ms: int, lives_ms: int) -> None:
        one = event(
            str(len(self.stops)),
            tenant=tenant,
            urgency=urgency,
            admitted_ms=self.now_ms,
            expires_ms=self.now_ms + lives_ms,
        )
        due_ms = self.now_ms + held_ms if held_ms else 0
        pieces = [
            piece(one, str(at), lane=LANES[at % 2], people=range(at * 100, at * 100 + count), due_ms=due_ms)
            for at, count in enumerate(people)
        ]
        assert self.do(self.work.admit, [one], [b""])[0].status == "new"
        assert self.do(self.work.plan, part(one, pieces))
        assert not self.do(self.work.plan, part(one, pieces))
        self.do(self.work.finish_planning, one, self.now_ms)
        self.stops[one.number], self.expires[one.number] = None, one.expires_ms
        self.live.update({(one.number, each.id): Model(each) for each in pieces})

    @rule(lane=st.sampled_from(LANES), people_max=st.sampled_from([1, 30, 4096]))
    def claim(self, lane: str, people_max: int) -> None:
        claims = self.do(self.work.claim, lane, tuple(Urgency), people_max, "w", self.now_ms, LEASE_MS)
        for claim in claims:
            model = self.live[claim.slice.event, claim.slice.id]
            assert model.deadline_ms is None, "a slice in two hands"
            assert claim.slice == model.piece
            assert claim.stop == self.stops[claim.slice.event]
            model.epoch += 1
            assert claim.epoch == model.epoch
            model.deadline_ms = self.now_ms + LEASE_MS
        sizes = [sum(1 for _ in numbers_of(claim.slice.people)) for claim in claims]
        assert sum(sizes[:-1]) < people_max
        self.claims += claims

    def holds(self, claim: Claim) -> Model | None:
        model = self.live.get((claim.slice.event, claim.slice.id))
        return model if model is not None and model.epoch == claim.epoch else None

    @precondition(lambda self: self.claims)
    @rule(data=st.data())
    def mark(self, data: st.DataObject) -> None:
        claim = data.draw(st.sampled_from(self.claims))
        people = data.draw(st.sets(st.sampled_from(sorted(numbers_of(claim.slice.people)))))
        model = self.holds(claim)
        assert self.do(self.work.mark, [(claim, roster_of(people))], self.now_ms) == [model is not None]
        if model is not None:
            model.marked |= people

    @precondition(lambda self: self.claims)
    @rule(data=st.data())
    def extend(self, data: st.DataObject) -> None:
        claim = data.draw(st.sampled_from(self.claims))
        model = self.holds(claim)
        assert self.do(self.work.extend, [claim], self.now_ms, LEASE_MS) == [model is not None]
        if model is not None:
            model.deadline_ms = self.now_ms + LEASE_MS

    @precondition(lambda self: self.claims)
    @rule(
        data=st.data(),
        end=st.sampled_from([End.ACCEPTED, End.REJECTED, End.DEAD]),
        wait_ms=st.sampled_from([0, 15_000]),
    )
    def settle(self, data: st.DataObject, end: End, wait_ms: int) -> None:
        claim = data.draw(st.sampled_from(self.claims))
        numbers = sorted(numbers_of(claim.slice.people))
        again = numbers[data.draw(st.integers(0, len(numbers))) :]
        settlement = self.settlement(claim, end, numbers, again, wait_ms)
        identity = (claim.slice.event, claim.slice.id, claim.epoch)
        model = self.holds(claim)
        assert self.do(self.work.settle, [settlement]) == [model is not None or identity in self.settled]
        if model is not None:
            self.settled[identity] = 1
            del self.live[claim.slice.event, claim.slice.id]
            self.live.update({(child.event, child.id): Model(child) for child in settlement.children})

    def settlement(self, claim: Claim, end: End, numbers: list[int], again: list[int], wait_ms: int) -> Settlement:
        done: Roster = roster_of(set(numbers) - set(again))
        children: tuple[Slice, ...] = ()
        if again:
            self.children += 1
            children = (
                Slice(
                    **{name: getattr(claim.slice, name) for name in ("event", "shard", "lane", "slot", "stamp")},
                    id=f"{claim.slice.id}.{self.children}",
                    urgency=claim.slice.urgency,
                    tenant=claim.slice.tenant,
                    attempt=claim.slice.attempt + 1,
                    due_ms=self.now_ms + wait_ms if wait_ms else 0,
                    people=roster_of(again),
                    is_retry=True,
                ),
            )
        ends = (Settled(end=end, reason="why", people=done),) if done else ()
        return Settlement(claim=claim, at_ms=self.now_ms, ends=ends, children=children)

    def fenced_off(self) -> list[Claim]:
        """Claims whose slice was given back meanwhile, and may be in other hands."""
        return [one for one in self.claims if not self.holds(one) and (one.slice.event, one.slice.id) in self.live]

    @precondition(lambda self: self.fenced_off())
    @rule(data=st.data())
    def come_late(self, data: st.DataObject) -> None:
        claim = data.draw(st.sampled_from(self.fenced_off()))
        settlement = self.settlement(claim, End.ACCEPTED, sorted(numbers_of(claim.slice.people)), [], 0)
        assert self.do(self.work.mark, [(claim, claim.slice.people)], self.now_ms) == [False]
        assert self.do(self.work.extend, [claim], self.now_ms, LEASE_MS) == [False]
        assert self.do(self.work.settle, [settlement]) == [False]

    @precondition(lambda self: self.stops)
    @rule(data=st.data(), stop=st.sampled_from([Stop.CANCELLED, Stop.SUPERSEDED]))
    def stop(self, data: st.DataObject, stop: Stop) -> None:
        number = data.draw(st.sampled_from(sorted(self.stops)))
        assert self.do(self.work.stop, number, stop, self.now_ms) == (self.stops[number] is None)
        self.stops[number] = self.stops[number] or stop

    @rule(step_ms=st.sampled_from([1_000, 16_000]))
    def pass_time(self, step_ms: int) -> None:
        self.now_ms += step_ms

    @rule()
    def promote(self) -> None:
        self.do(self.work.promote, self.now_ms, 100)

    @rule(step_ms=st.sampled_from([0, LEASE_MS - 1, LEASE_MS]))
    def reclaim(self, step_ms: int) -> None:
        self.now_ms += step_ms
        lapsed = [one for one in self.live.values() if (one.deadline_ms or self.now_ms + 1) <= self.now_ms]
        assert self.do(self.work.reclaim, self.now_ms, 100) == len(lapsed)
        for model in lapsed:
            number = model.piece.event
            self.lost_marks[number] = self.lost_marks.get(number, 0) + len(model.marked)
            model.epoch, model.deadline_ms, model.marked = model.epoch + 1, None, set()

    @rule()
    def expire(self) -> None:
        due = {number for number, at_ms in self.expires.items() if at_ms <= self.now_ms}
        stopped = {number for number in due if self.stops[number] is None and self.lives(number)}
        assert set(self.do(self.work.expire, self.now_ms, 100)) == stopped
        for number in due:
            if self.lives(number):
                self.expires[number] = self.now_ms + LOOK_AGAIN_MS
            else:
                del self.expires[number]
        self.stops.update(dict.fromkeys(stopped, Stop.EXPIRED))

    def lives(self, number: int) -> bool:
        return any(event == number for event, _ in self.live)

    @rule()
    def sweep(self) -> None:
        swept = [key for key, one in self.live.items() if self.stops[key[0]] and one.deadline_ms is None]
        assert self.do(self.work.sweep, self.now_ms, 1000) == len(swept)
        for key in swept:
            del self.live[key]

    @invariant()
    def the_books_balance(self) -> None:
        audit(self.link)
        trio.run(self.compare_reports)

    async def compare_reports(self) -> None:
        for number, stop in self.stops.items():
            report = await self.work.report(number)
            assert report is not None
            assert report.stop is stop
            live = sum(counts.live for counts in report.channels.values())
            assert live == sum(self.people(number))
            assert report.state == ("planned" if live else "closed")
            assert await self.work.marked_at_reclaim(number) == self.lost_marks.get(number, 0)

    def people(self, number: int) -> Iterator[int]:
        for (event_, _), model in self.live.items():
            if event_ == number:
                yield sum(1 for _ in numbers_of(model.piece.people))


@pytest.mark.usefixtures("link")
def test_in_any_order_nothing_is_lost_doubled_or_in_two_hands(link: Link) -> None:
    machine = type("BoundMachine", (WorkMachine,), {"link": link})
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=25, stateful_step_count=40, deadline=None, suppress_health_check=list(HealthCheck)
        ),
    )
