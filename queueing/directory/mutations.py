"""The ways a card changes, as pure steps: present card in, next card out. `commit.py` writes what came of them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

import msgspec

from engine.records.person import SLOT_MAX, Device, Person
from engine.records.words import EMAIL_LANE, Platform, device_lane
from engine.rules.membership import Post
from queueing.directory.card import Card, Follow, Slot, taken_slots
from queueing.directory.family import hear
from queueing.directory.lanes import settle_lane, vacate

_NO_ADDRESSES: Mapping[bytes, bytes] = {}


class Mutation(ABC):
    """One step on one person."""

    touch = False  # write the block even when nothing changed, to fence off who read it before
    remind = False  # write to the guardians even when nothing changed; comes with `touch`
    addresses: Mapping[bytes, bytes] = _NO_ADDRESSES  # digest -> address, for what may be new
    forget: Sequence[bytes] = ()  # digests whose owner this person is not, whatever its card says

    @abstractmethod
    def on(self, card: Card | None) -> Card | None:
        """The next card; the same one when there is nothing to change."""


class Upsert(Mutation):
    """The card that a person's line asks for. With `expected` only if the card is still that one."""

    def __init__(
        self,
        line: Person,
        devices: Sequence[Device],  # those of the line that stay
        posts: tuple[Post, ...],
        guardians: tuple[int, ...],
        addresses: dict[bytes, bytes],  # digests in the line's order, e-mail last
        now_ms: int,
        *,
        remind: bool = False,
        expected: Card | None = None,
    ) -> None:
        self.line = line
        self.devices = devices
        self.posts = posts
        self.guardians = guardians
        self.addresses = addresses
        self.now_ms = now_ms
        self.touch = self.remind = remind
        self.expected = expected
        self.stale = False

    def on(self, card: Card | None) -> Card | None:
        if self.expected is not None:
            self.stale = card != self.expected
            if self.stale:
                return card
        line = self.line
        lanes = self._lanes({} if card is None else card.lanes)
        email = lanes.get(EMAIL_LANE, ())
        old_email = () if card is None else card.lanes.get(EMAIL_LANE, ())
        same_email = bool(email and old_email) and email[0].digest == old_email[0].digest
        return Card(
            line.id,
            line.tenant,
            line.language,
            self.posts,
            self.guardians,
            () if card is None else card.follows,
            lanes,
            card is not None and card.bad_email and same_email and bool(line.email),
            line.off,
            tuple([(hours.days, hours.start, hours.until) for hours in line.quiet]) if line.quiet else (),
        )

    def _lanes(self, old: Mapping[str, tuple[Slot, ...]]) -> dict[str, tuple[Slot, ...]]:
        wanted: dict[str, list[tuple[bytes, int]]] = {}
        digests = iter(self.addresses)
        for place, device in enumerate(self.devices):
            wanted.setdefault(lane_of(device), []).append((next(digests), place))
        if self.line.email is not None:
            wanted[EMAIL_LANE] = [(next(digests), 0)]
        lanes = {lane: settle_lane(slots, wanted.get(lane, ()), self.now_ms) for lane, slots in old.items()}
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


class Hear(Mutation):
    """A guardian hears of a child. Who is gone hears nothing."""

    def __init__(self, follow: Follow) -> None:
        self.follow = follow

    def on(self, card: Card | None) -> Card | None:
        return card if card is None or card.gone else hear(card, self.follow)


class Release(Mutation):
    """A device token is about to belong to somebody else. Always writes, so that a claim under way starts again."""

    touch = True

    def __init__(self, digest: bytes) -> None:
        self.forget = (digest,)

    def on(self, card: Card | None) -> Card | None:
        if card is None:
            return None
        for lane, number, slot in taken_slots(card):
            if slot.digest == self.forget[0] and lane != EMAIL_LANE:
                return with_slot(card, lane, number, vacate(slot))
        return card


class Retire(Mutation):
    """The provider called an endpoint dead: a device is freed, an e-mail address is marked bad and kept.

    Nothing happens when the slot has another generation by now, or was registered after the provider's time stamp.
    """

    def __init__(self, lane: str, slot: int, generation: int, gone_since_ms: int | None) -> None:
        self.lane, self.slot, self.generation, self.gone_since_ms = lane, slot, generation, gone_since_ms

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


class Register(Mutation):
    """An app reports its token: the device is added, or its registration time renewed. Either way it is the newest."""

    def __init__(self, device: Device, digest: bytes, now_ms: int) -> None:
        self.lane, self.digest, self.now_ms = lane_of(device), digest, now_ms
        self.addresses = {digest: device.token.encode()}

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


def lane_of(device: Device) -> str:
    return _lane(device.platform.value, device.app)


@lru_cache(maxsize=256)
def _lane(platform: str, app: str) -> str:
    return device_lane(Platform(platform), app)


def devices_that_stay(devices: Sequence[Device]) -> Sequence[Device]:
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


def with_slot(card: Card, lane: str, number: int, slot: Slot) -> Card:
    slots = card.lanes[lane]
    return _replace(card, lanes={**card.lanes, lane: (*slots[:number], slot, *slots[number + 1 :])})


def _replace(card: Card, **changes: Any) -> Card:
    return msgspec.structs.replace(card, **changes)
