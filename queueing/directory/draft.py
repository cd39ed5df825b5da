"""What one write of one block will change: collected person by person, then finished with the masks that were read."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence, Set
from functools import lru_cache
from struct import Struct

import msgspec

from engine.records.roster import pack_mask, unpack_mask
from engine.records.words import EMAIL_LANE
from engine.rules.quiet_week import half_hours
from queueing.directory import keys
from queueing.directory.card import Card, Quiet, Slot, encode, planes_of_card, rosters_of_card, taken_slots
from queueing.directory.family import Letter, hear, letters
from queueing.directory.spread import COMMIT
from queueing.link import Argument, Command

VERSION = Struct(">I")
_GENERATION = Struct(">H")
_NONE = frozenset[str]()

Taken = Sequence[tuple[str, int, Slot]]


class Owed(msgspec.Struct, frozen=True, array_like=True):
    """What a written block still owes: its masks in rosters, token digests to forget, and a line in the journal."""

    rosters: list[tuple[str, bytes]]
    forget: list[tuple[bytes, int]]  # digest, the number that does not own it any more
    planes_changed: bool


_encode_owed = msgspec.msgpack.Encoder().encode
decode_owed = msgspec.msgpack.Decoder(Owed).decode


class Masks:
    """Bits of one block to turn on and off, per name. Who is turned on and off is on."""

    __slots__ = ("off", "on")

    def __init__(self) -> None:
        self.on: defaultdict[str, int] = defaultdict(int)
        self.off: defaultdict[str, int] = defaultdict(int)

    def move(self, before: Set[str], after: Set[str], bits: int) -> None:
        """People were in the names `before` and are in those of `after`."""
        on, off = self.on, self.off
        for name in after - before:
            on[name] |= bits
        for name in before - after:
            off[name] |= bits

    def names(self) -> list[str]:
        return list(self.on.keys() | self.off.keys()) if self.off else list(self.on)

    def changed(self, names: Sequence[str], present: Iterable[bytes | None]) -> list[tuple[str, bytes]]:
        """The masks that differ from the present ones, packed. Most half-hours of a night have the same mask."""
        changed = []
        on, off = self.on, self.off
        known: dict[int, bytes] = {}
        for name, packed in zip(names, present, strict=True):
            old = unpack_mask(packed) if packed else 0
            new = old & ~off.get(name, 0) | on.get(name, 0)
            if new != old:
                again = known.get(new)
                if again is None:
                    again = known[new] = pack_mask(new)
                changed.append((name, again))
        return changed


class Change(msgspec.Struct, gc=False):
    """One person's way from one card to the next within one write."""

    old: Card | None
    new: Card | None
    addresses: dict[bytes, bytes]
    touched: bool = False
    remind: bool = False


class Draft:
    """One block: its version as read, and all that its next version changes."""

    def __init__(self, block: int, version: int) -> None:
        self.block = block
        self.version = version
        self.dirty = False
        self.cards: list[bytes] = []  # field and value by turns
        self.planes, self.quiet, self.rosters = Masks(), Masks(), Masks()
        self.endpoints: dict[tuple[str, int], tuple[list[bytes], list[bytes]]] = {}  # (lane, slot) -> set, delete
        self.schedules: dict[tuple[Quiet, Quiet], int] = {}  # people who went from one week to the other
        self.letters: list[Letter] = []
        self.claims: list[tuple[bytes, int]] = []
        self.forget: list[tuple[bytes, int]] = []
        self.plane_names: list[str] = []
        self.quiet_names: list[str] = []
        self.roster_names: list[str] = []
        self.owed: Owed | None = None

    def work(self, changes: Mapping[int, Change]) -> None:
        """Take in what happens to people of this block.

        Letters to people of the block who are at hand are heard at once, in the same write. In an import that is
        nearly all of them: families stand together.
        """
        for number, change in changes.items():
            new = change.new
            if new is None or (new == change.old and not change.remind):
                continue
            for letter in letters(number, change.old, new, self.version + 1, remind=change.remind):
                there = changes.get(letter.guardian)
                if there is None:
                    self.letters.append(letter)
                elif there.new is not None and not there.new.gone:
                    there.new = hear(there.new, letter.follow)
        for number, change in changes.items():
            if change.touched or change.new != change.old:
                self.dirty = True
                if change.new is not None:
                    self._note(number, change.old, change.new, change.addresses)

    def _note(self, number: int, old: Card | None, new: Card, addresses: Mapping[bytes, bytes]) -> None:
        """One person's card changes from `old` to `new`. Hot: every line of an import comes here."""
        offset = number & 255
        bit = 1 << offset
        self.cards += (keys.OFFSETS[offset], encode(new))
        if old is None:
            taken = taken_slots(new)
            self.planes.move(_NONE, planes_of_card(new, taken), bit)
            self.rosters.move(_NONE, rosters_of_card(new), bit)
            self._note_endpoints(number, [], taken, addresses)
        else:
            taken_before, taken = taken_slots(old), taken_slots(new)
            self.planes.move(planes_of_card(old, taken_before), planes_of_card(new, taken), bit)
            self.rosters.move(rosters_of_card(old), rosters_of_card(new), bit)
            if taken != taken_before:
                self._note_endpoints(number, taken_before, taken, addresses)
        quiet_before = old.quiet if old else ()
        if new.quiet != quiet_before:
            self.schedules[quiet_before, new.quiet] = self.schedules.get((quiet_before, new.quiet), 0) | bit

    def _note_endpoints(self, number: int, before: Taken, after: Taken, addresses: Mapping[bytes, bytes]) -> None:
        field = keys.OFFSETS[number & 255]
        left = {(lane, slot): held.digest for lane, slot, held in before}
        had = {held.digest for lane, _, held in before if lane != EMAIL_LANE} if before else set()
        for lane, slot, held in after:
            digest = held.digest
            if left.pop((lane, slot), None) != digest:
                kept, _ = self.endpoints.setdefault((lane, slot), ([], []))
                kept += (field, _GENERATION.pack(held.generation) + addresses[digest])
            if lane != EMAIL_LANE:
                if digest in had:
                    had.remove(digest)
                else:
                    self.claims.append((digest, number))
        for place in left:
            self.endpoints.setdefault(place, ([], []))[1].append(field)
        self.forget += [(digest, number) for digest in had]

    def name_masks(self) -> None:
        """Fix the order in which the present masks are read."""
        for (before, after), people in self.schedules.items():
            self.quiet.move(_half_hours_of(before), _half_hours_of(after), people)
        self.plane_names = self.planes.names()
        self.quiet_names = self.quiet.names()
        self.roster_names = self.rosters.names()

    def command(
        self,
        present_planes: Sequence[bytes | None],
        present_quiet: Sequence[bytes | None],
        present_rosters: Sequence[bytes | None],
    ) -> Command:
        """The script call that writes the block, given the present masks in the order of `name_masks`."""
        planes = self.planes.changed(self.plane_names, present_planes)
        quiet = self.quiet.changed(self.quiet_names, present_quiet)
        rosters = self.rosters.changed(
            self.roster_names, [value and value[VERSION.size :] for value in present_rosters]
        )
        planes_changed = bool(planes or quiet or self.endpoints)
        if planes_changed or rosters or self.forget:
            self.owed = Owed(rosters, self.forget, planes_changed)
        block = self.block
        hashes: list[Argument] = [keys.cards(block)]
        edits: list[Argument] = [len(self.cards), *self.cards, 0]
        for key, masks in ((keys.planes(block), planes), (keys.quiet(block), quiet)):
            if masks:
                hashes.append(key)
                edits += _mask_edits(masks)
        for (lane, slot), (kept, deleted) in self.endpoints.items():
            hashes.append(keys.endpoints(block, lane.encode(), slot))
            edits += (len(kept), *kept, len(deleted), *deleted)
        if self.letters:
            hashes.append(keys.letters(block))
            edits += (
                2 * len(self.letters),
                *(part for letter in self.letters for part in (letter.field, letter.value)),
                0,
            )
        owed = b"" if self.owed is None else _encode_owed(self.owed)
        stays_open = 1 if owed or self.letters else 0
        return COMMIT.call(
            [keys.meta(block), keys.open_blocks(block), *hashes],
            [self.version, self.version + 1, block, owed, stays_open, *edits],
        )


def _mask_edits(masks: list[tuple[str, bytes]]) -> list[Argument]:
    kept = [part for name, mask in masks if mask for part in (name, mask)]
    deleted = [name for name, mask in masks if not mask]
    return [len(kept), *kept, len(deleted), *deleted]


@lru_cache(maxsize=4096)
def _half_hours_of(quiet: Quiet) -> frozenset[str]:
    """The quiet half-hours of a card, spelled as fields of the block's quiet hash."""
    return frozenset(str(at) for days, start, until in quiet for at in half_hours(days, start, until))
