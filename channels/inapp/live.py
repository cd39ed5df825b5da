"""From a hint to frames on sockets.

1. A hint says: this event was put into the inboxes of these people, and the group's clock moved from a to b.
2. Their roster is cut with the roster of those who are connected here; mostly nothing is left, and nothing is read.
3. The event is read once, encoded once per language (one that names children once per reader), and written to all.
4. A hint whose `before` is ahead of what was heard last means that hints were lost; a clock in the store that stays
   ahead means that the last one was. Then the streams of that group read what came since their last item.

Arrivals rise strictly for each person, so `arrival <= last_ms` tells every repeat.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence

import trio

from channels.inapp.bodies import Bodies
from channels.inapp.payload import item_frame, withdrawn_frame
from channels.inapp.streams import Stream, Streams
from channels.inapp.wording import Wording
from engine.ports import Inbox
from engine.records.errors import StoreUnavailable
from engine.records.event import Event
from engine.records.inbox import INBOX_GROUPS, InboxHint, InboxItem, ItemState
from engine.records.roster import Roster, numbers_of
from engine.records.words import Language

_HINTS_MAX = 10_000
_WRITES_PER_CHECKPOINT = 200  # about a millisecond and a half: other requests get their turn in between
_READ_TOGETHER = 100  # people whose lists are read in one pipeline
_RECENT_EVENTS = 256
_STORE_WAIT_SECONDS = 0.5


class Live:
    """Turns hints into frames. One per gateway process."""

    def __init__(
        self, inbox: Inbox, bodies: Bodies, wording: Wording, streams: Streams, gap_check_seconds: float
    ) -> None:
        self._inbox = inbox
        self._bodies = bodies
        self._wording = wording
        self._streams = streams
        self._gap_check_seconds = gap_check_seconds
        self._heard_ms = [0] * INBOX_GROUPS  # the clock of each group after the last hint or repair
        self._recent: OrderedDict[int, Roster] = OrderedDict()  # who was told of an event: shelf hints may overlap
        self.repairs = 0

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Listen until cancelled. Started once the store's clocks are known."""
        self._heard_ms = await self._read_clocks()
        heard, hints = trio.open_memory_channel[InboxHint](_HINTS_MAX)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._inbox.listen, heard)
            nursery.start_soon(self._check_gaps, hints)
            task_status.started()
            async for hint in hints:
                await self._follow(hint)

    def heard_ms(self, number: int) -> int:
        """Up to which arrival a person's group was heard: what comes later will come live, or by a repair."""
        return self._heard_ms[(number >> 8) % INBOX_GROUPS]

    async def _follow(self, hint: InboxHint) -> None:
        try:
            if hint.is_withdrawn:
                await self._withdraw(hint.event)
            else:
                await self._tell(hint)
        except StoreUnavailable:
            # The event could not be read. Leave the clock behind, so that the next look at it repairs the group.
            await trio.sleep(_STORE_WAIT_SECONDS)

    async def _tell(self, hint: InboxHint) -> None:
        if hint.before_ms > self._heard_ms[hint.group]:
            await self._repair(hint.group)
        told = self._recent.get(hint.event, {})
        connected = self._streams.connected
        people = {
            block: here
            for block, mask in hint.people.items()
            if (here := mask & connected.get(block, 0) & ~told.get(block, 0))
        }
        if people:
            event = (await self._bodies.get([hint.event])).get(hint.event)
            if event is not None:
                await self._write(event, hint.arrival_ms, people)
        self._remember(hint)
        self._heard_ms[hint.group] = max(self._heard_ms[hint.group], hint.arrival_ms)

    async def _write(self, event: Event, arrival_ms: int, people: Roster) -> None:
        # Hot path: about 10 us a stream. One frame per language, encoded once; no await but a checkpoint now and then.
        item = InboxItem(event.number, arrival_ms, ItemState.NEW)
        frames: dict[Language, bytes] = {}
        push = self._streams.push
        left = _WRITES_PER_CHECKPOINT
        families = await self._wording.families([event], list(numbers_of(people))) if event.names_children else None
        for number in numbers_of(people):
            for stream in tuple(self._streams.of(number)):
                if not stream.is_ready:
                    stream.missed = True
                elif arrival_ms > stream.last_ms:
                    frame = frames.get(stream.language)
                    if frame is None:
                        frame = item_frame(event, stream.language, item, families.get(number) if families else None)
                        if families is None:
                            frames[stream.language] = frame
                    stream.last_ms = arrival_ms
                    push(stream, frame)
            left -= 1
            if not left:
                left = _WRITES_PER_CHECKPOINT
                await trio.lowlevel.checkpoint()

    def _remember(self, hint: InboxHint) -> None:
        told = self._recent.setdefault(hint.event, {})
        for block, mask in hint.people.items():
            told[block] = told.get(block, 0) | mask
        self._recent.move_to_end(hint.event)
        if len(self._recent) > _RECENT_EVENTS:
            self._recent.popitem(last=False)

    async def _withdraw(self, event: int) -> None:
        self._bodies.withdraw(event)
        holding = await self._inbox.holders(event, dict(self._streams.connected))
        frame = withdrawn_frame(event)
        for number in numbers_of(holding):
            for stream in tuple(self._streams.of(number)):
                if stream.is_ready:
                    self._streams.push(stream, frame)

    # --- gaps --------------------------------------------------------------------------------------------------

    async def _check_gaps(self, hints: trio.MemoryReceiveChannel[InboxHint]) -> None:
        """Find a lost last hint: a clock that was already ahead at the look before, and is still not heard of."""
        seen = list(self._heard_ms)
        while True:
            await trio.sleep(self._gap_check_seconds)
            try:
                is_behind = hints.statistics().current_buffer_used > 0  # busy, not deaf: reading now would add to it
                for group, clock_ms in enumerate(seen):
                    if not is_behind and clock_ms > self._heard_ms[group]:
                        await self._repair(group)
                        self._heard_ms[group] = max(self._heard_ms[group], clock_ms)
                seen = await self._inbox.clocks()
            except StoreUnavailable:
                continue

    async def _repair(self, group: int) -> None:
        """Read what the streams of one group have missed."""
        self.repairs += 1
        streams = self._streams.to_repair(group)
        for at in range(0, len(streams), _READ_TOGETHER):
            await self.catch_up(streams[at : at + _READ_TOGETHER])

    async def catch_up(self, streams: Sequence[Stream]) -> None:
        """Write to each stream what came after its last item."""
        found = await self._inbox.since([(stream.number, stream.last_ms) for stream in streams])
        bodies = await self._bodies.get({item.event for items in found for item in items})
        families = await self._wording.families(bodies.values(), {stream.number for stream in streams})
        for stream, items in zip(streams, found, strict=True):
            for item in items:
                if stream.is_ready and item.arrival_ms > stream.last_ms:
                    stream.last_ms = item.arrival_ms
                    if item.event in bodies:
                        frame = item_frame(bodies[item.event], stream.language, item, families.get(stream.number))
                        self._streams.push(stream, frame)

    async def _read_clocks(self) -> list[int]:
        while True:
            try:
                return await self._inbox.clocks()
            except StoreUnavailable:
                await trio.sleep(_STORE_WAIT_SECONDS)
