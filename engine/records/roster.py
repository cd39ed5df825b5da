"""A set of people as a map of blocks to masks, and its packed form.

A recipient number is a dense integer, given once. 256 consecutive numbers are a block; a roster is
`{block: mask}`, where bit `n % 256` of the mask of block `n // 256` says that person `n` is in.
The algebra (union, minus, slicing) lives in `engine/rules/roster.py`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from struct import Struct

BLOCK_SIZE = 256
FULL_MASK = (1 << BLOCK_SIZE) - 1
_MASK_BYTES = BLOCK_SIZE // 8
_HEADER = Struct("<IB")
_SINGLE = Struct("<IBB")  # one person in a block, which is what scattered small audiences are made of
_AS_MASK = 255  # the length byte that announces a whole mask instead of a list of offsets

Roster = dict[int, int]


def roster_of(numbers: Iterable[int]) -> Roster:
    """Make a roster of recipient numbers."""
    roster: Roster = {}
    for number in numbers:
        block = number >> 8
        roster[block] = roster.get(block, 0) | 1 << (number & 255)
    return roster


def offsets(mask: int) -> Iterator[int]:
    """Yield the set bits of one mask, lowest first."""
    while mask:
        low = mask & -mask
        yield low.bit_length() - 1
        mask ^= low


def numbers_of(roster: Roster) -> Iterator[int]:
    """Yield the recipient numbers of a roster, ascending."""
    for block in sorted(roster):
        base = block << 8
        for offset in offsets(roster[block]):
            yield base + offset


def headcount(roster: Roster) -> int:
    """Count the people of a roster."""
    return sum(mask.bit_count() for mask in roster.values())


def pack_mask(mask: int) -> bytes:
    """Pack one mask: up to 31 people as one byte each, more as the 32-byte little-endian mask."""
    if mask.bit_count() < _MASK_BYTES:
        return bytes(offsets(mask))
    return mask.to_bytes(_MASK_BYTES, "little")


def unpack_mask(packed: bytes) -> int:
    """Undo `pack_mask`: 32 bytes are a mask, fewer are offsets."""
    if len(packed) == _MASK_BYTES:
        return int.from_bytes(packed, "little")
    mask = 0
    for offset in packed:
        mask |= 1 << offset
    return mask


def pack(roster: Roster) -> bytes:
    """Pack a roster: for each non-empty block its number (u32), a length byte, then offsets or the mask."""
    parts: list[bytes] = []
    for block in sorted(roster):
        mask = roster[block]
        if mask and not mask & (mask - 1):
            parts.append(_SINGLE.pack(block, 1, mask.bit_length() - 1))
        elif mask:
            body = pack_mask(mask)
            length = _AS_MASK if len(body) == _MASK_BYTES else len(body)
            parts.append(_HEADER.pack(block, length))
            parts.append(body)
    return b"".join(parts)


def unpack(packed: bytes) -> Roster:
    """Undo `pack`."""
    roster: Roster = {}
    at = 0
    while at < len(packed):
        block, length = _HEADER.unpack_from(packed, at)
        at += _HEADER.size
        if length == 1:
            roster[block] = 1 << packed[at]
            at += 1
            continue
        size = _MASK_BYTES if length == _AS_MASK else length
        roster[block] = unpack_mask(packed[at : at + size])
        at += size
    return roster
