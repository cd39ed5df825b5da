"""What the model does not reach: full lists, full shelves, hints, gone people."""

from __future__ import annotations

from itertools import permutations

import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st

from engine.records.inbox import InboxHint, InboxItem, ItemState
from engine.records.roster import numbers_of, roster_of
from queueing.inbox import keys, packing
from queueing.inbox.store import LIST_SLACK, StoreInbox
from queueing.link import Link

TOM, IDA, OLE = 300, 301, 71_000  # Ole is in another group


async def test_a_full_list_drops_archived_items_first_then_read_ones_oldest_first(link: Link) -> None:
    inbox = StoreInbox(link, items_max=10)
    for event in range(1, 11):
        await inbox.deliver(event, roster_of([TOM]), False)
    await inbox.mark(TOM, [9, 10], ItemState.ARCHIVED)
    await inbox.mark(TOM, [7, 8], ItemState.READ)
    for event in range(11, 11 + LIST_SLACK + 1):
        await inbox.deliver(event, roster_of([TOM]), False)
    kept = [item.event for item in await inbox.items(TOM)]

    assert kept == list(range(10 + LIST_SLACK + 1, LIST_SLACK + 1, -1))


def test_marked_items_go_before_unmarked_ones_whatever_their_age() -> None:
    states = [ItemState.NEW, ItemState.ARCHIVED, ItemState.READ, ItemState.SEEN, ItemState.ARCHIVED, ItemState.NEW]
    packed = b"".join(packing.pack_item(InboxItem(at, at, state)) for at, state in enumerate(states))

    kept = {size: [item.event for item in packing.listed(packing.trimmed(packed, (), size))] for size in range(7)}

    assert kept == {6: [0, 1, 2, 3, 4, 5], 5: [0, 2, 3, 4, 5], 4: [0, 2, 3, 5], 3: [0, 3, 5], 2: [0, 5], 1: [5], 0: []}


async def test_a_broadcast_that_was_read_does_not_come_back_when_the_list_is_full(link: Link) -> None:
    inbox = StoreInbox(link, items_max=5)
    await inbox.deliver(1, roster_of([TOM]), True)
    await inbox.mark(TOM, [1], ItemState.ARCHIVED)
    for event in range(2, 9 + LIST_SLACK):
        await inbox.deliver(event, roster_of([TOM]), False)
    items = {item.event: item.state for item in await inbox.items(TOM)}

    assert items[1] is ItemState.ARCHIVED
    assert len(items) < 5 + LIST_SLACK


async def test_a_shelf_holds_so_many_entries_and_the_oldest_go(link: Link) -> None:
    inbox = StoreInbox(link, entries_max=3)
    for event in range(1, 6):
        await inbox.deliver(event, roster_of([TOM]), True)

    assert [item.event for item in await inbox.items(TOM)] == [5, 4, 3]


async def test_entries_older_than_the_retention_leave_the_shelf(link: Link) -> None:
    inbox = StoreInbox(link)
    old = packing._ENTRY.pack(9, 1_000, 0, packing.pack_mask(1 << (TOM & 255)))
    await link.ask("SET", keys.shelf(TOM >> 8), old)
    assert [item.event for item in await inbox.items(TOM)] == [9]

    await inbox.deliver(10, roster_of([TOM]), True)

    assert [item.event for item in await inbox.items(TOM)] == [10]


async def test_a_national_slice_is_few_keys_and_a_class_is_one_key_a_person(link: Link) -> None:
    inbox = StoreInbox(link)
    await inbox.deliver(1, dict.fromkeys(range(0, 64, 16), (1 << 256) - 1), True)
    shelves = await link.ask("DBSIZE")
    await inbox.deliver(2, roster_of(range(20)), False)

    assert shelves == 4 + 1  # shelves and the group's clock
    assert await link.ask("DBSIZE") == 5 + 20
    assert await link.ask("STRLEN", keys.person(3)) == packing.ITEM_BYTES


@pytest.mark.parametrize("broadcast", [False, True])
@pytest.mark.parametrize("order", list(permutations([7 << 56, 2, 2 << 16, 2 << 8])))
async def test_a_number_that_lies_across_the_border_of_two_items_is_not_found_there(
    link: Link, order: tuple[int, ...], broadcast: bool
) -> None:
    """2 << 16 is spelled like the zeros that end one item and the 2 that begins the next."""
    inbox = StoreInbox(link)
    people = roster_of(range(256, 384))
    for event in order:
        assert await inbox.holders(event, people) == {}
        assert await inbox.mark(TOM, [event], ItemState.READ) == 0
        assert await inbox.deliver(event, people, broadcast) == people
    for event in order:
        assert await inbox.mark(TOM, [event], ItemState.READ) == 1

    assert [(item.event, item.state) for item in await inbox.items(TOM)] == [(e, ItemState.READ) for e in order[::-1]]


async def test_hints_tell_what_was_put_and_form_a_chain_in_each_group(link: Link) -> None:
    inbox = StoreInbox(link)
    heard, hints = trio.open_memory_channel[InboxHint](100)
    found: list[InboxHint] = []
    async with trio.open_nursery() as nursery:
        nursery.start_soon(inbox.listen, heard)
        with trio.fail_after(10):
            # The subscription is up once a withdrawal is heard
            while not found:
                await inbox.withdraw(99)
                with trio.move_on_after(0.05):
                    found = [await hints.receive()]
            await inbox.deliver(1, roster_of([TOM, IDA, OLE]), False)
            await inbox.deliver(1, roster_of([TOM, 302]), False)
            await inbox.deliver(2, roster_of([TOM]), True)
            await inbox.deliver(2, roster_of([TOM]), True)
            await inbox.withdraw(2)
            while found[-1] != InboxHint(2, 0, 0, 0, {}, is_withdrawn=True):
                found.append(await hints.receive())
        nursery.cancel_scope.cancel()
    put = [hint for hint in found if not hint.is_withdrawn]
    mine = [hint for hint in put if hint.group == keys.group_of(TOM)]

    assert [(hint.event, sorted(numbers_of(hint.people))) for hint in mine] == [(1, [TOM, IDA]), (1, [302]), (2, [TOM])]
    assert [hint.before_ms for hint in mine] == [0, mine[0].arrival_ms, mine[1].arrival_ms]
    assert (await inbox.clocks())[keys.group_of(TOM)] == mine[-1].arrival_ms
    assert len(put) == 4


async def test_who_left_the_platform_leaves_no_list(link: Link) -> None:
    inbox = StoreInbox(link)
    await inbox.deliver(1, roster_of([TOM, IDA]), False)
    await inbox.forget([TOM])

    assert [len(await inbox.items(number)) for number in (TOM, IDA)] == [0, 1]


async def test_a_slice_of_a_thousand_people_is_one_round_trip_and_each_has_it_once(link: Link) -> None:
    inbox = StoreInbox(link)
    people = roster_of(range(0, 16_384, 5))

    assert await inbox.deliver(1, people, False) == people
    assert await inbox.deliver(1, people, False) == {}
    assert await inbox.holders(1, roster_of(range(10))) == roster_of([0, 5])


@given(
    items=st.lists(
        st.builds(InboxItem, st.integers(0, 2**63 - 1), st.integers(0, 2**48 - 1), st.sampled_from(ItemState))
    )
)
def test_items_read_back_as_they_were_packed(items: list[InboxItem]) -> None:
    assert list(packing.listed(b"".join(map(packing.pack_item, items)))) == items


@pytest.mark.parametrize("packed", [b"", b"x", b"n\0", b"w123", b"s" + b"\0" * 60, b"n" + b"\0" * 26])
def test_a_hint_of_another_make_is_passed_over(packed: bytes) -> None:
    assert packing.unpack_hint(packed) is None
