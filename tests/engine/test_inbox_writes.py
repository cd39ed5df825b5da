"""Writes into inboxes that are under way at the same time go together."""

from __future__ import annotations

import trio

from engine.inbox_writes import InboxWrites
from engine.records.roster import Roster, roster_of
from queueing.inbox.store import StoreInbox
from queueing.link import Link


class Counting(StoreInbox):
    """The real inbox; counts what it is asked."""

    def __init__(self, link: Link) -> None:
        super().__init__(link)
        self.asked: list[tuple[int, Roster, bool]] = []

    async def deliver(self, event: int, people: Roster, broadcast: bool) -> Roster:
        self.asked.append((event, people, broadcast))
        return await super().deliver(event, people, broadcast)


async def test_slices_of_an_event_are_put_in_one_write_and_each_hears_who_of_its_own_is_new(link: Link) -> None:
    inbox = Counting(link)
    writes = InboxWrites(inbox)
    parts = [roster_of(range(at * 300, at * 300 + 300)) for at in range(6)]
    await inbox.deliver(7, roster_of(range(100)), True)  # of an earlier attempt
    inbox.asked.clear()
    put: dict[int, Roster] = {}

    async def deliver(at: int) -> None:
        put[at] = await writes.deliver(7, parts[at], True)

    async with trio.open_nursery() as nursery:
        async with trio.open_nursery() as slices:
            for at in range(6):
                slices.start_soon(deliver, at)
            nursery.start_soon(writes.run)  # after the slices, so that all wait when it begins
        nursery.cancel_scope.cancel()
    assert len(inbox.asked) <= 2
    assert put[0] == roster_of(range(100, 300))
    assert [put[at] for at in range(1, 6)] == parts[1:]
    items = [await inbox.items(number) for number in (0, 299, 1_799)]
    assert [[item.event for item in of_one] for of_one in items] == [[7], [7], [7]]


async def test_a_broadcast_and_a_narrow_event_under_way_together_stay_apart(link: Link) -> None:
    inbox = Counting(link)
    writes = InboxWrites(inbox)
    async with trio.open_nursery() as nursery:
        async with trio.open_nursery() as slices:
            slices.start_soon(writes.deliver, 1, roster_of([5]), True)
            slices.start_soon(writes.deliver, 2, roster_of([5, 6]), False)
            nursery.start_soon(writes.run)
        nursery.cancel_scope.cancel()
    assert sorted((event, broadcast) for event, _, broadcast in inbox.asked) == [(1, True), (2, False)]
    assert {item.event for item in await inbox.items(5)} == {1, 2}
    assert {item.event for item in await inbox.items(6)} == {2}
