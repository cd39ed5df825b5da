"""The small parts of the shells: combined calls, the memory of planes, patience, drains."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from itertools import pairwise

import pytest
import trio
import trio.testing

from engine.combining import TOGETHER_MAX, Combiner
from engine.drain import Drain
from engine.patience import Backoff, patiently
from engine.recheck import PlaneCache
from engine.records.errors import StoreUnavailable
from engine.records.roster import Roster
from tests.journeys.paper_directory import PaperDirectory


async def test_calls_that_come_during_a_round_trip_go_together_in_the_next() -> None:
    trips: list[list[int]] = []
    gate = trio.Event()

    async def act(items: Sequence[int]) -> list[int]:
        trips.append(list(items))
        await gate.wait()
        return [item * 10 for item in items]

    combined = Combiner(act)
    answers: dict[int, int] = {}

    async def ask(item: int) -> None:
        answers[item] = await combined(item)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(combined.run)
        nursery.start_soon(ask, 0)
        await trio.testing.wait_all_tasks_blocked()
        for item in range(1, TOGETHER_MAX + 3):
            nursery.start_soon(ask, item)
        await trio.testing.wait_all_tasks_blocked()
        gate.set()
        await trio.testing.wait_all_tasks_blocked()
        nursery.cancel_scope.cancel()
    assert [len(trip) for trip in trips] == [1, TOGETHER_MAX, 2]
    assert answers == {item: item * 10 for item in range(TOGETHER_MAX + 3)}


async def test_a_store_that_is_away_is_told_to_all_who_asked_and_the_next_call_works() -> None:
    is_away = True

    async def act(items: Sequence[int]) -> list[int]:
        if is_away:
            raise StoreUnavailable("gone")
        return list(items)

    combined = Combiner(act)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(combined.run)
        for item in (1, 2):
            with pytest.raises(StoreUnavailable):
                await combined(item)
        is_away = False
        assert await combined(3) == 3
        nursery.cancel_scope.cancel()


async def test_patience_repeats_until_the_store_answers(autojump_clock: trio.abc.Clock) -> None:
    tries: list[float] = []

    async def call() -> str:
        tries.append(trio.current_time())
        if len(tries) < 4:
            raise StoreUnavailable("gone")
        return "here"

    assert await patiently(call) == "here"
    waits = [round(later - earlier, 3) for earlier, later in pairwise(tries)]
    assert waits == [0.05, 0.1, 0.2]


def test_backoff_doubles_to_two_seconds_and_starts_again_after_a_success() -> None:
    backoff = Backoff()
    assert [backoff.next_seconds() for _ in range(8)] == [0.05, 0.1, 0.2, 0.4, 0.8, 1.6, 2.0, 2.0]
    backoff.reset()
    assert backoff.next_seconds() == 0.05


async def test_a_drain_wakes_sleepers_and_cancels_hands_after_its_grace(autojump_clock: trio.abc.Clock) -> None:
    drain = Drain(grace_seconds=20)
    started = trio.current_time()
    async with drain.hands() as hands:
        hands.start_soon(trio.sleep, 1000)
        drain.begin()
        await drain.sleep(500)
        assert trio.current_time() == started
    assert trio.current_time() == started + 20


async def test_hands_that_finish_in_time_end_the_drain_early(autojump_clock: trio.abc.Clock) -> None:
    drain = Drain(grace_seconds=20)
    started = trio.current_time()
    async with drain.hands() as hands:
        hands.start_soon(trio.sleep, 3)
        drain.begin()
    assert trio.current_time() == started + 3


class Planes(PaperDirectory):
    """One plane that can change, also in the middle of a read."""

    def __init__(self) -> None:
        super().__init__()
        self.plane: Roster = {1: 0b1}
        self.asked: list[set[int]] = []
        self.in_the_middle = trio.Event()
        self.may_answer = trio.Event()
        self.may_answer.set()

    async def planes(self, blocks: Collection[int], names: Collection[str]) -> dict[str, Roster]:
        self.asked.append(set(blocks))
        found = {name: {block: self.plane.get(block, 0) for block in blocks} for name in names}
        self.in_the_middle.set()
        await self.may_answer.wait()
        return found


async def test_planes_are_read_once_until_their_block_changes() -> None:
    directory = Planes()
    cache = PlaneCache(directory)
    names = frozenset(("en",))
    assert await cache.read([(names, {1: 7}), (names, {2: 1})]) == [{"en": {1: 0b1}}, {"en": {2: 0}}]
    assert await cache.read([(names, {1: 1, 2: 1})]) == [{"en": {1: 0b1, 2: 0}}]
    assert directory.asked == [{1, 2}]
    directory.plane = {1: 0b10}
    cache.forget([1])
    assert await cache.read([(names, {1: 1, 2: 1})]) == [{"en": {1: 0b10, 2: 0}}]
    assert directory.asked == [{1, 2}, {1}]
    cache.forget_all()
    await cache.read([(names, {1: 1, 2: 1})])
    assert directory.asked[-1] == {1, 2}


async def test_what_changes_in_the_middle_of_a_read_is_not_kept() -> None:
    directory = Planes()
    cache = PlaneCache(directory)
    directory.may_answer = trio.Event()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(cache.read, [(frozenset(("en",)), {1: 1})])
        await directory.in_the_middle.wait()
        directory.plane = {1: 0b11}
        cache.forget([1])
        directory.may_answer.set()
    assert await cache.read([(frozenset(("en",)), {1: 1})]) == [{"en": {1: 0b11}}]


async def test_what_was_known_before_a_read_is_still_answered_when_it_is_forgotten_in_the_middle() -> None:
    directory = Planes()
    directory.plane = {1: 0b1, 2: 0b1}
    cache = PlaneCache(directory)
    names = frozenset(("en",))
    await cache.read([(names, {1: 1})])
    directory.in_the_middle, directory.may_answer = trio.Event(), trio.Event()
    answers: list[list[dict[str, Roster]]] = []

    async def ask() -> None:
        answers.append(await cache.read([(names, {1: 1, 2: 1})]))

    async with trio.open_nursery() as nursery:
        nursery.start_soon(ask)
        await directory.in_the_middle.wait()
        cache.forget([1])
        directory.may_answer.set()
    assert answers == [[{"en": {1: 0b1, 2: 0b1}}]]


async def test_two_half_hours_asked_for_together_are_both_answered() -> None:
    directory = Planes()
    directory.plane = {1: 0b1, 2: 0b1}
    cache = PlaneCache(directory)
    asked = [(frozenset(("quiet.3",)), {1: 1}), (frozenset(("quiet.4",)), {1: 1})]
    await cache.read(asked[:1])
    assert await cache.read(asked) == [{"quiet.3": {1: 0b1}}, {"quiet.4": {1: 0b1}}]


async def test_the_quiet_plane_of_the_last_half_hour_is_dropped() -> None:
    directory = Planes()
    cache = PlaneCache(directory)
    for name in ("quiet.3", "en", "quiet.4", "en", "quiet.3"):
        await cache.read([(frozenset((name,)), {1: 1})])
    assert len(directory.asked) == 4
