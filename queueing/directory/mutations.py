"""The ways a card changes, as pure steps: present card in, next card out. `commit.py` writes what came of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec

from engine.records.person import SLOT_MAX, Device, Person
from engine.records.words import EMAIL_LANE
from engine.rules.membership import Post
from queueing.directory.card import VACANT, Card, Follow, Slot, taken_slots
from queueing.directory.family import hear
from queueing.directory.lanes import settle_lane, vacate


class Mutation(msgspec.Struct, gc=False, kw_only=True):
    """One step on one person. Structs, since an import makes two million of them."""

    touch: bool = False  # write the block even when nothing changed, to fence off who read it before
    remind: bool = False  # write to the guardians even when nothing changed; comes with `touch`
    addresses: dict[bytes, bytes] = {}  # digest -> address, for what may be new
    forget: tuple[bytes, ...] = ()  # digests whose owner this person is not, whatever its card says

    def on(self, card: Card | None) -> Card | None:
        """The next card; the same one when there is nothing to change."""
        raise NotImplementedError


class Upsert(Mutation, kw_only=True):
    """The card that a person's line asks for. With `expected` only if the card is still that one.

    `addresses` holds the devices' digests in the line's order, then the e-mail's. Slots on lanes that this process's
    configuration does not know (`is_foreign`) are left alone: a missing setting must not delete addresses.
    """

    line: Person
    device_lanes: Sequence[str]  # of the line's devices that stay
    posts: tuple[Post, ...]
    guardians: tuple[int, ...]
    now_ms: int
    is_foreign: Callable[[str], bool] = lambda lane: False
    expected: Card | None = None
    stale: bool = False

    def on(self, card: Card | None) -> Card | None:
        if self.expected is not None:
            self.stale = card != self.expected
            if self.stale:
                return card
        line = self.line
        lanes = self._lanes(card.lanes if card else {})
        return Card(
            line.id,
            line.tenant,
            line.language,
            self.posts,
            self.guardians,
            card.follows if card else (),
            lanes,
            card is not None and card.bad_email and _same_email(card.lanes, lanes),
            line.off,
            tuple([(hours.days, hours.start, hours.until) for hours in line.quiet]) if line.quiet else (),
            line.name or "",
        )

    def _lanes(self, old: Mapping[str, tuple[Slot, ...]]) -> dict[str, tuple[Slot, ...]]:
        wanted: dict[str, list[tuple[bytes, int]]] = {}
        digests = iter(self.addresses)
        for place, lane in enumerate(self.device_lanes):
            wanted.setdefault(lane, []).append((next(digests), place))
        if self.line.email is not None:
            wanted[EMAIL_LANE] = [(next(digests), 0)]
        if not old:
            return {lane: settle_lane((), digests_there, self.now_ms) for lane, digests_there in wanted.items()}
        lanes = {
            lane: slots if self.is_foreign(lane) else settle_lane(slots, wanted.get(lane, ()), self.now_ms)
            for lane, slots in old.items()
        }
        for lane, digests_there in wanted.items():
            if lane not in lanes:
                lanes[lane] = settle_lane((), digests_there, self.now_ms)
        return lanes


class Depart(Mutation):
    """A person leaves: its endpoints, memberships, relations and preferences go, number and generations stay."""

    def on(self, card: Card | None) -> Card | None:
        if card is None or card.gone:
            return card
        follows = tuple(Follow(follow.child, follow.revision, None) for follow in card.follows)
        lanes = {lane: tuple(vacate(slot) for slot in slots) for lane, slots in card.lanes.items()}
        return Card(card.id, "", follows=follows, lanes=lanes)


class Hear(Mutation, kw_only=True):
    """A guardian hears of a child. Who is gone hears nothing."""

    follow: Follow

    def on(self, card: Card | None) -> Card | None:
        return card if card is None or card.gone else hear(card, self.follow)


class Release(Mutation):
    """A device token is about to belong to somebody else. Always writes, so that a claim under way starts again."""

    def on(self, card: Card | None) -> Card | None:
        if card is None:
            return None
        for lane, number, slot in taken_slots(card):
            if slot.digest in self.forget and lane != EMAIL_LANE:
                return with_slot(card, lane, number, vacate(slot))
        return card


class Retire(Mutation, kw_only=True):
    """The provider called an endpoint dead: a device is freed, an e-mail address is marked bad and kept.

    Nothing happens when the slot has another generation by now, or was registered after the provider's time stamp.
    """

    lane: str
    slot: int
    generation: int
    gone_since_ms: int | None

    def on(self, card: Card | None) -> Card | None:
        if card is None or card.gone or self.slot >= len(card.lanes.get(self.lane, ())):
            return card
        slot = card.lanes[self.lane][self.slot]
        if not slot.digest or slot.generation != self.generation:
            return card
        if self.gone_since_ms is not None and slot.registered_ms > self.gone_since_ms:
            return card
        if self.lane == EMAIL_LANE:
            return _replace(card, bad_email=True)
        return with_slot(card, self.lane, self.slot, vacate(slot))


class Register(Mutation, kw_only=True):
    """An app reports its token: the device is added, or its registration time renewed. Either way it is the newest."""

    lane: str
    digest: bytes
    now_ms: int

    def on(self, card: Card | None) -> Card | None:
        if card is None or card.gone:
            return card
        last = 1 + max((slot.place_in_line for lane, _, slot in taken_slots(card) if lane != EMAIL_LANE), default=-1)
        for lane, number, slot in taken_slots(card):
            if slot.digest == self.digest and lane not in (EMAIL_LANE, self.lane):
                card = with_slot(card, lane, number, vacate(slot))  # the app says which app it is
        slots = card.lanes.get(self.lane, ())
        in_line = sorted((slot.place_in_line, slot.digest) for slot in slots if slot.digest)
        wanted = [(digest, place) for place, digest in in_line if digest != self.digest]
        settled = settle_lane(slots, [*wanted, (self.digest, last)], self.now_ms)
        renewed = tuple(
            Slot(slot.generation, max(slot.registered_ms, self.now_ms), last, slot.digest)
            if slot.digest == self.digest
            else slot
            for slot in settled
        )
        return _replace(card, lanes={**card.lanes, self.lane: renewed})


def release(digest: bytes) -> Release:
    return Release(touch=True, forget=(digest,))


def register(lane: str, digest: bytes, address: bytes, now_ms: int) -> Register:
    return Register(lane=lane, digest=digest, now_ms=now_ms, addresses={digest: address})


def devices_that_stay(devices: Sequence[Device], lane_of: Callable[[Device], str]) -> Sequence[Device]:
    """Of more than `SLOT_MAX` devices on one lane the last ones in line stay."""
    if len(devices) <= SLOT_MAX:
        return devices
    counts: dict[str, int] = {}
    stay: list[Device] = []
    for device in reversed(devices):
        lane = lane_of(device)
        counts[lane] = counts.get(lane, 0) + 1
        if counts[lane] <= SLOT_MAX:
            stay.append(device)
    return stay[::-1]


def _same_email(old: Mapping[str, tuple[Slot, ...]], new: Mapping[str, tuple[Slot, ...]]) -> bool:
    before, after = old.get(EMAIL_LANE, ()), new.get(EMAIL_LANE, ())
    return bool(before and after) and before[0].digest == after[0].digest != VACANT


def with_slot(card: Card, lane: str, number: int, slot: Slot) -> Card:
    slots = card.lanes[lane]
    return _replace(card, lanes={**card.lanes, lane: (*slots[:number], slot, *slots[number + 1 :])})


def _replace(card: Card, **changes: Any) -> Card:
    return msgspec.structs.replace(card, **changes)
