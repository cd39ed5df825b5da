"""Unread counts of many people at once, against an item-by-item count."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from engine.records.inbox import InboxItem, ItemState
from engine.records.roster import roster_of
from queueing.inbox import packing
from queueing.inbox.counting import unread_counts
from queueing.inbox.store import StoreInbox
from queueing.link import Link

OFFSETS = (0, 1, 7, 8, 255)
EVENTS = st.integers(1, 12)
NOW = 1_800_000_000_000


@st.composite
def blocks(draw: st.DrawFn) -> tuple[dict[int, bytes], bytes]:
    """A block as the inbox writes it: what was marked is pulled from the shelf into the list, with a flag."""
    entries = draw(st.lists(st.tuples(EVENTS, st.sets(st.sampled_from(OFFSETS))), max_size=12))
    shelf, on_shelf = b"", {offset: set[int]() for offset in OFFSETS}
    for at, (event, people) in enumerate(entries):
        mask = sum(1 << offset for offset in people)
        shelf += packing._ENTRY.pack(event, (NOW + at) & 0xFFFFFFFF, (NOW + at) >> 32, packing.pack_mask(mask))
        for offset in people:
            on_shelf[offset].add(event)
    lists = {}
    for offset in OFFSETS:
        own = draw(st.lists(st.tuples(EVENTS, st.sampled_from(list(ItemState))), unique_by=lambda pair: pair[0]))
        lists[offset] = b"".join(
            packing.pack_item(InboxItem(event, NOW, state), packing.PULLED if event in on_shelf[offset] else 0)
            for event, state in own
        )
    return lists, shelf


@given(blocks(), EVENTS | st.integers(100, 1 << 63))
def test_counting_a_block_at_once_is_counting_each_item(block: tuple[dict[int, bytes], bytes], event: int) -> None:
    lists, shelf = block
    naive = {}
    for offset, packed in lists.items():
        items = packing.merged(packed, shelf, offset)
        unread = sum(item.state < ItemState.READ for item in items)
        naive[offset] = unread + (event not in {item.event for item in items})
    assert unread_counts(lists, shelf, event) == naive


async def test_the_store_counts_as_the_gateway_does_and_the_present_event_once(link: Link) -> None:
    inbox = StoreInbox(link)
    tom, ida, ole = 300, 301, 70_000
    everyone = roster_of((tom, ida, ole))
    await inbox.deliver(1, everyone, broadcast=True)
    await inbox.deliver(2, roster_of((tom, ole)), broadcast=False)
    await inbox.mark(tom, [1], ItemState.READ)
    await inbox.mark(ole, [1, 2], ItemState.SEEN)
    counts = await inbox.unread_with(2, everyone)
    assert counts == {tom: 1, ida: 2, ole: 2}  # Ida's copy of event 2 is on its way
    assert {number: await inbox.unread(number) for number in (tom, ida, ole)} == {tom: 1, ida: 1, ole: 2}
    assert await inbox.unread_with(9, roster_of((5,))) == {5: 1}
    assert await inbox.unread_with(9, {}) == {}
