"""The inbox in the real store does what a dictionary of lists would do, whatever order things come in."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, ClassVar

import pytest
import trio
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from engine.records.inbox import InboxItem, ItemState
from engine.records.roster import numbers_of, roster_of
from queueing.inbox.store import StoreInbox
from queueing.link import Link

PEOPLE = [0, 255, 4_096]
# Byte patterns that a careless search finds across the border of two items: 2 << 16 is one's end and the begin of 2
NARROW = [0x0101010101010100, 2, 2 << 16, 7 << 56]
BROADCAST = [0x0101010101010101, 1, 1 << 8, 1 << 16]
EVENTS = NARROW + BROADCAST


class InboxModel(RuleBasedStateMachine):
    """Runs each step on the store and on a plain dictionary: {person: {event: state}}, in order of arrival."""

    link: ClassVar[Link]

    @initialize(first=st.lists(st.tuples(st.sampled_from(EVENTS), st.sets(st.sampled_from(PEOPLE))), min_size=6))
    def begin(self, first: list[tuple[int, set[int]]]) -> None:
        self.link.run_now([("FLUSHALL",)])
        self.inbox = StoreInbox(self.link)
        self.model: dict[int, dict[int, ItemState]] = {number: {} for number in PEOPLE}
        for event, people in first:
            self.put(event, people)

    def ask(self, call: Callable[..., Awaitable[Any]], *arguments: Any) -> Any:
        return trio.run(call, *arguments)

    @rule(event=st.sampled_from(EVENTS), people=st.sets(st.sampled_from(PEOPLE), min_size=1))
    def deliver(self, event: int, people: set[int]) -> None:
        self.put(event, people)

    def put(self, event: int, people: set[int]) -> None:
        put = self.ask(self.inbox.deliver, event, roster_of(people), event in BROADCAST)
        expected = {number for number in people if event not in self.model[number]}
        for number in expected:
            self.model[number][event] = ItemState.NEW
        assert set(numbers_of(put)) == expected

    @rule(
        number=st.sampled_from(PEOPLE),
        events=st.lists(st.sampled_from(EVENTS), min_size=3, unique=True),
        state=st.sampled_from(ItemState),
        backwards=st.booleans(),
    )
    def mark(self, number: int, events: list[int], state: ItemState, backwards: bool) -> None:
        changed = self.ask(self.inbox.mark, number, events, state, backwards)
        has = self.model[number]
        moved = [e for e in events if e in has and (has[e] < state or (backwards and has[e] > state))]
        for event in moved:
            has[event] = state
        assert changed == len(moved)

    @rule(number=st.sampled_from(PEOPLE), limit=st.integers(1, 4))
    def page_through(self, number: int, limit: int) -> None:
        seen: list[InboxItem] = []
        page = self.ask(self.inbox.items, number, limit)
        while page:
            seen += page
            page = self.ask(self.inbox.items, number, limit, page[-1].arrival_ms)
        assert seen == self.ask(self.inbox.items, number)

    @rule(number=st.sampled_from(PEOPLE), kept=st.integers(0, 6))
    def resume(self, number: int, kept: int) -> None:
        everything = self.ask(self.inbox.items, number)[::-1]
        last = everything[:kept][-1].arrival_ms if everything[:kept] else 0
        (found,) = self.ask(self.inbox.since, [(number, last)])
        assert found == everything[len(everything[:kept]) :]

    @rule(event=st.sampled_from(EVENTS), people=st.sets(st.sampled_from(PEOPLE), max_size=6))
    def holders(self, event: int, people: set[int]) -> None:
        held = self.ask(self.inbox.holders, event, roster_of(people))
        assert set(numbers_of(held)) == {number for number in people if event in self.model[number]}

    @invariant()
    def the_store_holds_what_the_model_holds(self) -> None:
        for number, (items, unread) in self.ask(self.read_all).items():
            has = self.model[number]
            assert [(item.event, item.state) for item in items] == list(has.items())[::-1]
            arrivals = [item.arrival_ms for item in items]
            assert arrivals == sorted(set(arrivals), reverse=True)
            assert unread == sum(state < ItemState.READ for state in has.values())

    async def read_all(self) -> dict[int, tuple[list[InboxItem], int]]:
        known = getattr(self, "model", {})  # the invariant is asked once before `begin`
        return {number: (await self.inbox.items(number), await self.inbox.unread(number)) for number in known}


@pytest.fixture
def model(link: Link) -> type[InboxModel]:
    InboxModel.link = link
    return InboxModel


def test_the_inbox_behaves_like_a_dictionary_of_lists(model: type[InboxModel]) -> None:
    run_state_machine_as_test(model, settings=settings(max_examples=30, stateful_step_count=25, deadline=None))
