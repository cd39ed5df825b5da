"""What one write of one block will change: collected person by person, then finished with the masks that were read."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from struct import Struct

import msgspec

from engine.records.roster import pack_mask, unpack_mask
from engine.rules.quiet_week import half_hours
from queueing.directory import keys
from queueing.directory.card import Card, encode, planes_of_card, rosters_of_card, taken_slots, tokens_of
from queueing.directory.family import Letter, letters
from queueing.directory.spread import COMMIT
from queueing.link import Argument, Command

VERSION = Struct(">I")
_GENERATION = Struct(">H")
_NOBODY = frozenset[str]()


class Owed(msgspec.Struct, frozen=True, array_like=True):
    """What a written block still owes: its masks in rosters, token digests to forget, and a line in the journal."""

    rosters: list[tuple[str, bytes]]
    forget: list[tuple[bytes, int]]  # digest, the number that does not own it any more
    planes_changed: bool


_encode_owed = msgspec.msgpack.Encoder().encode
decode_owed = msgspec.msgpack.Decoder(Owed).decode


class Masks:
    """Bits of one block to turn on and off, per name."""

    __slots__ = ("off", "on")

    def __init__(self) -> None:
        self.on: defaultdict[str, int] = defaultdict(int)
        self.off: defaultdict[str, int] = defaultdict(int)

    def move(self, before: Iterable[str], after: Iterable[str], bit: int) -> None:
        """A person was in the names `before` and is in those of `after`."""
        for name in after:
            self.on[name] |= bit
        for name in before:
            if name not in after:
                self.off[name] |= bit

    def names(self) -> list[str]:
        return list(self.on.keys() | self.off.keys()) if self.off else list(self.on)

    def changed(self, names: Sequence[str], present: Iterable[bytes | None]) -> list[tuple[str, bytes]]:
        """The masks that differ from the present ones, packed."""
        changed = []
        on, off = self.on, self.off
        for name, packed in zip(names, present, strict=True):
            old = unpack_mask(packed) if packed else 0
            new = old & ~off.get(name, 0) | on.get(name, 0)
            if new != old:
                changed.append((name, pack_mask(new)))
        return changed


class Draft:
    """One block: its version as read, and all that its next version changes."""

    def __init__(self, block: int, version: int) -> None:
        self.block = block
        self.version = version
        self.dirty = False
        self.cards: list[bytes] = []  # field and value by turns
        self.planes, self.quiet, self.rosters = Masks(), Masks(), Masks()
        self.endpoints: dict[tuple[str, int], tuple[list[bytes], list[bytes]]] = {}  # (lane, slot) -> set, delete
        self.letters: list[Letter] = []
        self.claims: list[tuple[bytes, int]] = []
        self.forget: list[tuple[bytes, int]] = []
        self.plane_names: list[str] = []
        self.quiet_names: list[str] = []
        self.roster_names: list[str] = []
        self.owed: Owed | None = None

    def note(
        self, number: int, old: Card | None, new: Card | None, addresses: Mapping[bytes, bytes], *, remind: bool
    ) -> None:
        """One person's card changes from `old` to `new`."""
        self.dirty = True
        if new is None:
            return
        offset = number & 255
        bit = 1 << offset
        self.cards += (keys.OFFSETS[offset], encode(new))
        self.planes.move(planes_of_card(old) if old else _NOBODY, planes_of_card(new), bit)
        self.rosters.move(rosters_of_card(old) if old else _NOBODY, rosters_of_card(new), bit)
        if new.quiet or (old and old.quiet):
            self.quiet.move(_quiet(old), _quiet(new), bit)
        self._note_endpoints(number, old, new, addresses)
        self.letters += letters(number, old, new, self.version + 1, remind=remind)

    def _note_endpoints(self, number: int, old: Card | None, new: Card, addresses: Mapping[bytes, bytes]) -> None:
        if not new.lanes:
            return  # a card's lanes are never taken away, only their slots vacated
        field = keys.OFFSETS[number & 255]
        before = {} if old is None else {(lane, slot): held for lane, slot, held in taken_slots(old)}
        for lane, slot, held in taken_slots(new):
            was = before.pop((lane, slot), None)
            if was is None or was.digest != held.digest:
                packed = _GENERATION.pack(held.generation) + addresses[held.digest]
                self.endpoints.setdefault((lane, slot), ([], []))[0].extend((field, packed))
        for place in before:
            self.endpoints.setdefault(place, ([], []))[1].append(field)
        mine, had = tokens_of(new), tokens_of(old)
        self.claims += [(digest, number) for digest in mine - had]
        self.forget += [(digest, number) for digest in had - mine]

    def name_masks(self) -> None:
        """Fix the order in which the present masks are read."""
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


def _quiet(card: Card | None) -> set[str]:
    """The quiet half-hours of a card, spelled as fields of the block's quiet hash."""
    if card is None:
        return set()
    return {_SPELLED[at] for days, start, until in card.quiet for at in half_hours(days, start, until)}


_SPELLED = tuple(str(at) for at in range(336))
