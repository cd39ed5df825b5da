"""The bytes of the inbox: a person's list, a block's shelf, a live hint. Pure.

item    16 bytes  event u64, arrival u48 (ms), state u8, flags u8
entry   48 bytes  event u64, arrival u48, 2 bytes nothing, mask of 256 people
hint    'n' or 's', group u8, clock before u64, arrival u64, event u64, then numbers (u32), or blocks (u32) and masks;
        'w', event u64 for a withdrawn event
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator
from struct import Struct, unpack_from

from engine.records.inbox import InboxHint, InboxItem, ItemState
from engine.records.roster import Roster, roster_of

EVENT = Struct("<Q")
NUMBER = Struct("<I")
_ITEM = Struct("<QIHBB")
_ENTRY = Struct("<QIH2x32s")
_PLACED = Struct("<I32s")
_HINT = Struct("<cBQQQ")
_STATES = tuple(ItemState)
ITEM_BYTES = _ITEM.size
ENTRY_BYTES = _ENTRY.size
MASK_BYTES = 32
PULLED = 1  # flag: the item came from the shelf by a mark


def pack_item(item: InboxItem, flags: int = 0) -> bytes:
    return _ITEM.pack(item.event, item.arrival_ms & 0xFFFFFFFF, item.arrival_ms >> 32, item.state, flags)


def listed(packed: bytes) -> Iterator[InboxItem]:
    """The items of a list, in the order in which they were put."""
    for event, low, high, state, _ in _ITEM.iter_unpack(packed):
        yield InboxItem(event, high << 32 | low, _STATES[state])


def shelved(packed: bytes, offset: int) -> Iterator[InboxItem]:
    """What a shelf holds for the person at this offset of the block; an event may come twice, the first one counts."""
    at, bit = offset >> 3, 1 << (offset & 7)
    for event, low, high, mask in _ENTRY.iter_unpack(packed):
        if mask[at] & bit:
            yield InboxItem(event, high << 32 | low, ItemState.NEW)


def merged(packed_list: bytes, packed_shelf: bytes, offset: int) -> list[InboxItem]:
    """A person's whole inbox, newest first: their list, and what the shelf holds beyond it."""
    items = {item.event: item for item in listed(packed_list)}
    for item in shelved(packed_shelf, offset):
        items.setdefault(item.event, item)
    return sorted(items.values(), key=_arrival, reverse=True)


def _arrival(item: InboxItem) -> int:
    return item.arrival_ms


def shelf_events(packed: bytes) -> set[int]:
    return {event for event, *_ in _ENTRY.iter_unpack(packed)}


def trimmed(packed: bytes, on_shelf: Container[int], items_max: int) -> bytes:
    """Shorten a list: archived items go first, then read, seen and new ones, the oldest of each.

    An item that was pulled from a shelf stays while the shelf has it, or it would come back as new; such items do not
    count against the limit, and are as few as the shelf's entries.
    """
    rows = [packed[at : at + ITEM_BYTES] for at in range(0, len(packed), ITEM_BYTES)]
    items = list(listed(packed))
    loose = [at for at, row in enumerate(rows) if not (row[15] & PULLED and items[at].event in on_shelf)]
    loose.sort(key=lambda at: (-items[at].state, items[at].arrival_ms))
    dropped = set(loose[: max(0, len(loose) - items_max)])
    return b"".join(row for at, row in enumerate(rows) if at not in dropped)


def pack_mask(mask: int) -> bytes:
    return mask.to_bytes(MASK_BYTES, "little")


def place(block: int, mask: int) -> bytes:
    """A block and its mask, as the shelf's script takes them."""
    return _PLACED.pack(block, pack_mask(mask))


def joined(masks: bytes) -> int:
    """The union of packed masks that stand one after the other."""
    union = 0
    for at in range(0, len(masks), MASK_BYTES):
        union |= int.from_bytes(masks[at : at + MASK_BYTES], "little")
    return union


def pack_withdrawal(event: int) -> bytes:
    return b"w" + EVENT.pack(event)


def unpack_hint(packed: bytes) -> InboxHint | None:
    """Read a hint; None when it is none of ours (another version of the engine may be running beside us)."""
    if packed[:1] == b"w" and len(packed) == 1 + EVENT.size:
        return InboxHint(EVENT.unpack_from(packed, 1)[0], 0, 0, 0, {}, is_withdrawn=True)
    if packed[:1] not in (b"n", b"s") or len(packed) < _HINT.size:
        return None
    kind, group, before, arrival, event = _HINT.unpack_from(packed)
    body = packed[_HINT.size :]
    if len(body) % (NUMBER.size if kind == b"n" else _PLACED.size):
        return None
    people = roster_of(_numbers(body)) if kind == b"n" else _placed(body)
    return InboxHint(event, group, before, arrival, people)


def _numbers(body: bytes) -> Iterable[int]:
    numbers: tuple[int, ...] = unpack_from(f"<{len(body) // 4}I", body)
    return numbers


def _placed(body: bytes) -> Roster:
    return {block: int.from_bytes(mask, "little") for block, mask in _PLACED.iter_unpack(body)}
