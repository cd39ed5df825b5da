"""The algebra on rosters: union, minus, intersect, cut, slice. Every answer is new and holds no empty mask.

One operation on a block handles 256 people, so a national roster (7,800 blocks) costs about a millisecond.
"""

from __future__ import annotations

from collections.abc import Iterator

from engine.records.event import SHARD_COUNT
from engine.records.roster import BLOCK_SIZE, Roster
from engine.records.work import SLICE_PEOPLE_MAX


def union(*rosters: Roster) -> Roster:
    """Everyone who is in at least one."""
    together: Roster = {}
    for roster in rosters:
        merge_into(together, roster)
    return together


def merge_into(together: Roster, more: Roster) -> None:
    """Add people to a roster that the caller owns."""
    if not together:
        together.update((block, mask) for block, mask in more.items() if mask)
        return
    for block, mask in more.items():
        if mask:
            together[block] = together.get(block, 0) | mask


def minus(roster: Roster, less: Roster) -> Roster:
    """Everyone of the first who is not in the second."""
    if not less:
        return {block: mask for block, mask in roster.items() if mask}
    return {block: left for block, mask in roster.items() if (left := mask & ~less.get(block, 0))}


def intersect(one: Roster, other: Roster) -> Roster:
    """Everyone who is in both."""
    if len(other) < len(one):  # most planes are sparse: walk the shorter one
        one, other = other, one
    return {block: both for block, mask in one.items() if (both := mask & other.get(block, 0))}


def cut(roster: Roster, people: int) -> tuple[Roster, Roster]:
    """Split off the first `people` in ascending order: (those, the rest)."""
    taken: Roster = {}
    rest: Roster = {}
    room = max(people, 0)
    for block in sorted(roster):
        mask = roster[block]
        count = mask.bit_count()
        if count <= room:
            if count:
                taken[block] = mask
            room -= count
            continue
        head = lowest_bits(mask, room)
        room = 0
        if head:
            taken[block] = head
        rest[block] = mask ^ head
    return taken, rest


def lowest_bits(mask: int, count: int) -> int:
    """The lowest `count` set bits of a mask, found by halving."""
    taken = 0
    base = 0
    width = BLOCK_SIZE
    while count > 0 and mask:
        if mask.bit_count() <= count:
            return taken | mask << base
        width //= 2
        low = mask & (1 << width) - 1
        ones = low.bit_count()
        if ones <= count:  # the lower half goes whole; go on in the upper one
            taken |= low << base
            count -= ones
            mask >>= width
            base += width
        else:
            mask = low
    return taken


def slices(roster: Roster, people_max: int = SLICE_PEOPLE_MAX) -> Iterator[Roster]:
    """Split into rosters of at most `people_max` (at least 256) in ascending block order.

    A block is never divided, so that each block's planes are read once a lane.
    """
    if people_max < BLOCK_SIZE:
        raise ValueError(f"people_max must be at least {BLOCK_SIZE}")
    current: Roster = {}
    people = 0
    for block in sorted(roster):
        mask = roster[block]
        count = mask.bit_count()
        if people + count > people_max:
            yield current
            current, people = {}, 0
        if count:
            current[block] = mask
            people += count
    if current:
        yield current


def by_shard(roster: Roster) -> dict[int, Roster]:
    """Split by work shard: part = block % 16."""
    parts: dict[int, Roster] = {}
    for block, mask in roster.items():
        if mask:
            parts.setdefault(block % SHARD_COUNT, {})[block] = mask
    return parts


def chunks_of_blocks(roster: Roster, blocks_max: int) -> Iterator[Roster]:
    """Split into rosters of at most `blocks_max` blocks, ascending."""
    blocks = sorted(roster)
    for at in range(0, len(blocks), blocks_max):
        yield {block: roster[block] for block in blocks[at : at + blocks_max]}


def contains(roster: Roster, number: int) -> bool:
    """Say whether one person is in a roster."""
    return bool(roster.get(number >> 8, 0) >> (number & 255) & 1)
