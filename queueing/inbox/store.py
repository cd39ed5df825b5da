"""The inbox in the store: lists, shelves and live hints. Implements `engine.ports.Inbox`."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterator, Sequence

import trio

from engine.records.inbox import INBOX_GROUPS, InboxHint, InboxItem, ItemState
from engine.records.roster import Roster, numbers_of, offsets, roster_of
from queueing.inbox import keys, packing
from queueing.inbox.counting import unread_counts
from queueing.link import Command, Link, Script

LIST_ITEMS_MAX = 500
"""Items of narrow events that a person keeps; beyond, the oldest archived ones go first, then read, seen, new."""
LIST_SLACK = 50
"""A list is shortened only when it is this much over, so that not every delivery rewrites it."""
SHELF_ENTRIES_MAX = 1_000
SHELF_MS_MAX = 120 * 24 * 3_600_000
"""A broadcast stays on the shelf for 120 days, and at most 1,000 of them do; what was marked stays in the list."""
_KEYS_PER_SCRIPT_MAX = 500  # a script blocks its shard; 500 lists take about a millisecond
_HINTS_MAX = 10_000

_DELIVER = Script("inbox_deliver")
_SHELVE = Script("inbox_shelve")
_MARK = Script("inbox_mark")
_REPLACE = Script("inbox_replace")
_FIND_LISTED = Script("inbox_find_listed")
_FIND_SHELVED = Script("inbox_find_shelved")


class StoreInbox:
    """Everybody's inbox. Unread counts are derived from it, never kept beside it."""

    def __init__(self, link: Link, *, items_max: int = LIST_ITEMS_MAX, entries_max: int = SHELF_ENTRIES_MAX) -> None:
        link.know((_DELIVER, _SHELVE, _MARK, _REPLACE, _FIND_LISTED, _FIND_SHELVED))
        self._link = link
        self._items_max = items_max
        self._entries_max = entries_max

    # --- writing -----------------------------------------------------------------------------------------------

    async def deliver(self, event: int, people: Roster, broadcast: bool) -> Roster:
        """Put an event into people's inboxes, once each, and say so live.

        Args:
            broadcast: the event was cut into parts: it goes to a shelf per block instead of each person's list. Say
                the same of an event every time; a person who had it in both would still see it once, but twice live.

        Returns:
            Those who did not have it yet.
        """
        return await (self._shelve(event, people) if broadcast else self._list(event, people))

    async def _list(self, event: int, people: Roster) -> Roster:
        # One script a group and one round trip for all: people of a class are in a few of the 16 groups.
        by_group: dict[int, list[int]] = defaultdict(list)
        for number in numbers_of(people):
            by_group[keys.group_of(number)].append(number)
        chunks = [(group, chunk) for group, numbers in by_group.items() for chunk in _chunks(numbers)]
        packed = packing.EVENT.pack(event)
        limit = (self._items_max + LIST_SLACK) * packing.ITEM_BYTES
        replies = await self._link.run(
            [
                _DELIVER.call(
                    [keys.clock(group), *map(keys.person, numbers)],
                    [packed, keys.LIVE_CHANNEL, bytes([group]), limit, *map(packing.NUMBER.pack, numbers)],
                )
                for group, numbers in chunks
            ]
        )
        answers = [
            pair
            for (_, numbers), reply in zip(chunks, replies, strict=True)
            for pair in zip(numbers, reply, strict=True)
        ]
        for number in [number for number, said in answers if said == ord("2")]:
            await self._shorten(number)
        return roster_of(number for number, said in answers if said != ord("0"))

    async def _shelve(self, event: int, people: Roster) -> Roster:
        by_group: dict[int, list[int]] = defaultdict(list)
        for block in sorted(people):
            if people[block]:
                by_group[keys.group_of_block(block)].append(block)
        chunks = [(group, chunk) for group, blocks in by_group.items() for chunk in _chunks(blocks)]
        packed = packing.EVENT.pack(event)
        limits = (SHELF_MS_MAX, self._entries_max * packing.ENTRY_BYTES)
        replies = await self._link.run(
            [
                _SHELVE.call(
                    [keys.clock(group), *map(keys.shelf, blocks)],
                    [
                        packed,
                        keys.LIVE_CHANNEL,
                        bytes([group]),
                        *limits,
                        *(packing.place(block, people[block]) for block in blocks),
                    ],
                )
                for group, blocks in chunks
            ]
        )
        put: Roster = {}
        for (_, blocks), reply in zip(chunks, replies, strict=True):
            for block, earlier in zip(blocks, reply, strict=True):
                put[block] = people[block] & ~packing.joined(earlier)
        return {block: mask for block, mask in put.items() if mask}

    async def _shorten(self, number: int) -> None:
        packed, shelf = await self._link.run([("GET", keys.person(number)), ("GET", keys.shelf(number >> 8))])
        shorter = packing.trimmed(packed, packing.shelf_events(shelf or b""), self._items_max)
        # Nothing is lost when somebody else wrote meanwhile: the next delivery finds the list overfull again.
        await self._link.run([_REPLACE.call([keys.person(number)], [packed, shorter])])

    async def mark(self, number: int, events: Sequence[int], state: ItemState, backwards: bool = False) -> int:
        """Mark a person's items; events that the person does not have are passed over.

        Args:
            backwards: let an item go back, from archived to read for example. Otherwise it only moves forward.

        Returns:
            How many items changed.
        """
        said = await self._mark(number, [(event, b"") for event in events], state, backwards)
        absent = {event for event, answer in zip(events, said, strict=True) if answer == ord("-")}
        changed = said.count(b"1")
        # "New" changes nothing on the shelf, so it pulls nothing
        if absent and state > ItemState.NEW and (pulled := await self._on_shelf(number, absent, state)):
            changed += (await self._mark(number, pulled, state, backwards)).count(b"1")
        return changed

    async def _mark(self, number: int, pairs: Sequence[tuple[int, bytes]], state: int, backwards: bool) -> bytes:
        if not pairs:
            return b""
        arguments = [part for event, item in pairs for part in (packing.EVENT.pack(event), item)]
        said: bytes = await self._link.ask(*_MARK.call([keys.person(number)], [int(state), int(backwards), *arguments]))
        return said

    async def _on_shelf(self, number: int, events: Collection[int], state: ItemState) -> list[tuple[int, bytes]]:
        """The items of these events that lie on the person's shelf, as they will stand in the list."""
        shelf = await self._link.ask("GET", keys.shelf(number >> 8))
        found: dict[int, bytes] = {}
        for item in packing.shelved(shelf or b"", number & 255):
            if item.event in events:
                found.setdefault(item.event, packing.pack_item(item._replace(state=state), packing.PULLED))
        return list(found.items())

    async def withdraw(self, event: int) -> None:
        """Say live that an event was cancelled. Call it after the event is stopped: lists leave it out from then on."""
        await self._link.ask("PUBLISH", keys.LIVE_CHANNEL, packing.pack_withdrawal(event))

    async def forget(self, numbers: Collection[int]) -> None:
        """Empty the lists of people who left the platform."""
        await self._link.run([("DEL", keys.person(number)) for number in numbers])

    # --- reading -----------------------------------------------------------------------------------------------

    async def items(self, number: int, limit: int | None = None, before: int | None = None) -> list[InboxItem]:
        """A person's items, newest first.

        Args:
            limit: at most this many; None for all.
            before: only items that arrived before this moment (the last one's `arrival_ms` of the page before).
        """
        (merged,) = await self._merged([number])
        if before is not None:
            merged = [item for item in merged if item.arrival_ms < before]
        return merged[:limit]

    async def unread(self, number: int) -> int:
        """How many items were not read yet (new or seen), withdrawn ones included."""
        return sum(item.state < ItemState.READ for item in await self.items(number))

    async def unread_with(self, event: int, people: Roster) -> dict[int, int]:
        """Unread items of many people, withdrawn ones included, this event counted even where it is not written yet.

        One round trip; a block's shelf is read once for all its people.
        """
        blocks = [block for block in sorted(people) if people[block]]
        commands: list[Command] = []
        for block in blocks:
            commands.append(("GET", keys.shelf(block)))
            commands += [("GET", keys.person(block << 8 | offset)) for offset in offsets(people[block])]
        replies = iter(await self._link.run(commands))
        counts: dict[int, int] = {}
        for block in blocks:
            shelf = next(replies) or b""
            lists = {offset: next(replies) or b"" for offset in offsets(people[block])}
            counts.update((block << 8 | at, count) for at, count in unread_counts(lists, shelf, event).items())
            await trio.lowlevel.checkpoint()
        return counts

    async def since(self, arrivals: Sequence[tuple[int, int]]) -> list[list[InboxItem]]:
        """For each (person, arrival): the items that came after it, oldest first. One round trip for all."""
        found = await self._merged([number for number, _ in arrivals])
        return [
            [item for item in reversed(merged) if item.arrival_ms > after]
            for (_, after), merged in zip(arrivals, found, strict=True)
        ]

    async def _merged(self, numbers: Sequence[int]) -> list[list[InboxItem]]:
        replies = await self._link.run(
            [("GET", key) for number in numbers for key in (keys.person(number), keys.shelf(number >> 8))]
        )
        return [
            packing.merged(replies[at * 2] or b"", replies[at * 2 + 1] or b"", number & 255)
            for at, number in enumerate(numbers)
        ]

    async def holders(self, event: int, people: Roster) -> Roster:
        """Those of these people who have an event in their inbox."""
        packed = packing.EVENT.pack(event)
        commands: list[Command] = []
        asked: list[list[int]] = []
        by_group: dict[int, list[int]] = defaultdict(list)
        for number in numbers_of(people):
            by_group[keys.group_of(number)].append(number)
        for numbers in by_group.values():
            for chunk in _chunks(numbers):
                commands.append(_FIND_LISTED.call(list(map(keys.person, chunk)), [packed]))
                asked.append(chunk)
        blocks = sorted(people)
        commands += [_FIND_SHELVED.call([keys.shelf(block)], [packed]) for block in blocks]
        replies = await self._link.run(commands)
        holding = roster_of(
            number
            for chunk, reply in zip(asked, replies, strict=False)
            for number, said in zip(chunk, reply, strict=True)
            if said == ord("1")
        )
        for block, reply in zip(blocks, replies[len(asked) :], strict=True):
            holding[block] = holding.get(block, 0) | people[block] & packing.joined(reply[0])
        return {block: mask for block, mask in holding.items() if mask}

    async def clocks(self) -> list[int]:
        """The last arrival of each of the 16 groups."""
        replies = await self._link.run([("GET", keys.clock(group)) for group in range(INBOX_GROUPS)])
        return [int(reply or 0) for reply in replies]

    async def listen(self, heard: trio.MemorySendChannel[InboxHint]) -> None:
        """Hand on live hints until cancelled. Hints that find no room are dropped, and show as a gap."""
        raw_send, raw_receive = trio.open_memory_channel[tuple[str, bytes]](_HINTS_MAX)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._link.listen, [keys.LIVE_CHANNEL], raw_send)
            async for _, packed in raw_receive:
                hint = packing.unpack_hint(packed)
                if hint is not None:
                    await heard.send(hint)


def _chunks(numbers: list[int]) -> Iterator[list[int]]:
    for at in range(0, len(numbers), _KEYS_PER_SCRIPT_MAX):
        yield numbers[at : at + _KEYS_PER_SCRIPT_MAX]
