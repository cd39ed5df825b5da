"""Counts what many people of one block have not read, from the bytes of their lists and of their shelf. Pure.

The same figure as counting `packing.merged` item by item (`tests/inbox/test_counting.py` compares them), in a tenth of
the time: the shelf of a block is counted for all its 256 people at once, in planes of binary digits.
"""

from __future__ import annotations

from collections.abc import Mapping

from queueing.inbox.packing import ENTRY_BYTES, EVENT, ITEM_BYTES, MASK_BYTES

_STATE, _FLAGS = 14, 15  # places in an item
_MASK = ENTRY_BYTES - MASK_BYTES
_UNREAD = (b"\0", b"\1")  # new and seen


def unread_counts(lists: Mapping[int, bytes], shelf: bytes, event: int) -> dict[int, int]:
    """The unread items of people of one block, `event` counted as unread where it is not in the inbox yet.

    Args:
        lists: each person's packed list, by the person's offset in the block; empty where there is none.
        shelf: the block's packed shelf.
    """
    on_shelf = _masks(shelf)
    digits = _summed(list(on_shelf.values()))
    packed_event = EVENT.pack(event)
    shelved = on_shelf.get(packed_event, 0)
    counts: dict[int, int] = {}
    for offset, packed in lists.items():
        states = packed[_STATE::ITEM_BYTES]
        count = sum(map(states.count, _UNREAD))
        count += sum((digit >> offset & 1) << place for place, digit in enumerate(digits))
        count -= _in_both(packed, offset, on_shelf)
        counts[offset] = count + (not shelved >> offset & 1 and not _holds(packed, packed_event))
    return counts


def _masks(shelf: bytes) -> dict[bytes, int]:
    """Who has each event of a shelf; an event may lie there more than once."""
    masks: dict[bytes, int] = {}
    for at in range(0, len(shelf), ENTRY_BYTES):
        event = shelf[at : at + EVENT.size]
        masks[event] = masks.get(event, 0) | int.from_bytes(shelf[at + _MASK : at + ENTRY_BYTES], "little")
    return masks


def _summed(masks: list[int]) -> list[int]:
    """Add masks up, all people at once: bit n of the k-th number is the k-th binary digit of person n's count."""
    digits: list[int] = []
    for mask in masks:
        carry = mask
        for place, digit in enumerate(digits):
            digits[place], carry = digit ^ carry, digit & carry
            if not carry:
                break
        if carry:
            digits.append(carry)
    return digits


def _in_both(packed: bytes, offset: int, on_shelf: Mapping[bytes, int]) -> int:
    """Items of a list that lie on the shelf too, since a mark pulled them: the list's state counts."""
    if not any(packed[_FLAGS::ITEM_BYTES]):
        return 0
    return sum(
        on_shelf.get(packed[at : at + EVENT.size], 0) >> offset & 1
        for at in range(0, len(packed), ITEM_BYTES)
        if packed[at + _FLAGS]
    )


def _holds(packed: bytes, event: bytes) -> bool:
    at = packed.find(event)
    while at >= 0 and at % ITEM_BYTES:
        at = packed.find(event, at + 1)
    return at >= 0
