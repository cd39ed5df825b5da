"""Reading the directory: rosters, planes, endpoints, people. Long reads give other tasks their turn in between."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from typing import TypeVar

import trio

from engine.records.family import Family, Pupil
from engine.records.person import Device, Person, Profile, QuietHours
from engine.records.roster import Roster, numbers_of, offsets, roster_of, unpack_mask
from engine.records.words import EMAIL_LANE
from engine.records.work import Endpoint
from engine.rules.devices import DeviceRules
from engine.rules.membership import rosters_of
from engine.rules.roster import contains
from queueing.directory import keys
from queueing.directory.addresses import device_at, is_foreign
from queueing.directory.apply import read_cards
from queueing.directory.card import Card, decode, taken_slots
from queueing.directory.index import find_numbers
from queueing.directory.spread import GATHER, Spread
from queueing.link import Command, Link, Reply

_BLOCKS_A_TRIP = 512
_NAMES_A_TRIP = 256
_VERSION_BYTES = 4
_GENERATION_BYTES = 2
_ALONE_MAX = 4  # so few people of a block are asked for one by one, over all blocks at once
_SOME_MAX = 64  # and so few by name; of more the whole block is read, which costs the store less
_QUIET = "quiet."
Item = TypeVar("Item")
_GENERATIONS = {bytes([high, low]): high << 8 | low for high in range(2) for low in range(256)}
"""Nearly all generations; a look-up costs half of `int.from_bytes`."""


async def read_rosters(link: Link, names: Collection[str], blocks: Collection[int] | None) -> dict[str, Roster]:
    wanted = list(names)
    rosters: dict[str, Roster] = {}
    for part in _parts(wanted, _NAMES_A_TRIP):
        if blocks is None:
            commands: list[Command] = [("HGETALL", keys.roster(name)[1]) for name in part]
            replies = await link.run(commands)
            found = [(reply[::2], reply[1::2]) for reply in replies]
        else:
            fields = list(blocks)
            replies = await link.run([("HMGET", keys.roster(name)[1], *fields) for name in part]) if fields else []
            found = [(fields, reply) for reply in replies] if fields else [([], [])] * len(part)
        for name, (at, values) in zip(part, found, strict=True):
            rosters[name] = _roster(at, values)
            await trio.lowlevel.checkpoint()
    return rosters


def _roster(blocks: Iterable[bytes | int], values: Iterable[bytes | None]) -> Roster:
    return {
        int(block): unpack_mask(value[_VERSION_BYTES:])
        for block, value in zip(blocks, values, strict=True)
        if value and len(value) > _VERSION_BYTES  # a mask that became empty keeps its version
    }


async def read_planes(link: Link, blocks: Collection[int], names: Collection[str]) -> dict[str, Roster]:
    """Hot in planning: 40 planes of 7,812 blocks are 312,000 masks, about 0.2 us of ours each."""
    planes: dict[str, Roster] = {name: {} for name in names}
    dense = [name for name in planes if not name.startswith(_QUIET)]
    quiet = [name for name in planes if name.startswith(_QUIET)]
    half_hours = [name[len(_QUIET) :] for name in quiet]
    for part in _parts(sorted(blocks), _BLOCKS_A_TRIP):
        for chosen, fields, key in ((dense, dense, keys.planes), (quiet, half_hours, keys.quiet)):
            if not chosen:
                continue
            replies = await link.run([("HMGET", key(block), *fields) for block in part])
            into = [planes[name] for name in chosen]
            for at in range(0, len(part), 64):
                for block, masks in zip(part[at : at + 64], replies[at : at + 64], strict=True):
                    for plane, packed in zip(into, masks, strict=True):
                        if packed:
                            plane[block] = unpack_mask(packed)
                await trio.lowlevel.checkpoint()
    return planes


async def read_endpoints(link: Link, lane: str, slot: int, people: Roster) -> list[Endpoint]:
    """Hot in dispatch: about 1 us a person where a slice is dense."""
    name = lane.encode()
    alone = Spread(GATHER)
    commands: list[Command] = []
    for block in sorted(people):
        mask = people[block]
        count = mask.bit_count()
        key = keys.endpoints(block, name, slot)
        if count <= _ALONE_MAX:
            for offset in offsets(mask):
                alone.add((block & 15, key), keys.OFFSETS[offset])
        elif count <= _SOME_MAX:
            commands.append(("HMGET", key, *[keys.OFFSETS[offset] for offset in offsets(mask)]))
        else:
            commands.append(("HGETALL", key))
    replies = await link.run([*commands, *alone.commands()])
    singles = iter(alone.replies(replies[len(commands) :]))
    rest = iter(replies)
    found: list[Endpoint] = []
    for block in sorted(people):
        mask = people[block]
        count = mask.bit_count()
        if count <= _ALONE_MAX:
            _collect(found, block, offsets(mask), singles)
        elif count <= _SOME_MAX:
            _collect(found, block, offsets(mask), next(rest))
        else:
            pairs = next(rest)
            by_field = dict(zip(pairs[::2], pairs[1::2], strict=True))
            _collect(found, block, offsets(mask), map(by_field.get, map(keys.OFFSETS.__getitem__, offsets(mask))))
    return found


def _collect(found: list[Endpoint], block: int, at: Iterable[int], values: Iterable[bytes | None]) -> None:
    base = block << 8
    for offset, value in zip(at, values, strict=False):  # `values` may run on over the next blocks
        if value is not None:
            packed = value[:_GENERATION_BYTES]
            generation = _GENERATIONS.get(packed) or int.from_bytes(packed, "big")
            found.append(Endpoint(base + offset, generation, value[_GENERATION_BYTES:]))


async def read_guardians(link: Link, ids: Collection[str]) -> Roster:
    """A relation holds when both cards say so: a guardian that left and came back does not follow of itself."""
    numbers = await find_numbers(link, ids)
    children = await read_cards(link, list(numbers.values()))
    guardians = await read_cards(link, [number for card in children.values() for number in card.guardians])
    return roster_of(
        guardian
        for child, card in children.items()
        for guardian in card.guardians
        if guardian in guardians and guardians[guardian].follows_child(child)
    )


async def read_families(link: Link, people: Roster) -> dict[int, Family]:
    """Two trips. As in `read_guardians`, a relation holds when both cards say so."""
    adults = await read_cards(link, list(numbers_of(people)))
    followed = {follow.child for card in adults.values() for follow in card.follows if follow.places is not None}
    await trio.lowlevel.checkpoint()
    children = await read_cards(link, list(followed))
    return {
        number: Family(
            _pupil(card),
            tuple(
                _pupil(child)
                for follow in card.follows
                if follow.places is not None
                and (child := children.get(follow.child)) is not None
                and number in child.guardians
            ),
        )
        for number, card in adults.items()
        if not card.gone
    }


def _pupil(card: Card) -> Pupil:
    return Pupil(card.id, card.name, frozenset(rosters_of(card.posts, ())))


async def read_living(link: Link, ids: Collection[str]) -> dict[str, int]:
    """Numbers of people who are not gone."""
    numbers = await find_numbers(link, ids)
    everyone = (await read_planes(link, {number >> 8 for number in numbers.values()}, ["all"]))["all"]
    return {id: number for id, number in numbers.items() if contains(everyone, number)}


async def read_lives(link: Link, number: int) -> bool:
    """Whether a number's person is not gone."""
    block = number >> 8
    everyone = (await read_planes(link, [block], ["all"]))["all"]
    return contains(everyone, number)


async def read_person(link: Link, id: str, devices: DeviceRules) -> tuple[Person, Card] | None:
    """A person as the line that would make it, and its card; read again when it is written meanwhile.

    Devices on web lanes that are not configured are left out: they would not be taken back.
    """
    is_hidden = is_foreign(devices)
    number = (await find_numbers(link, [id])).get(id)
    if number is None:
        return None
    block, field = number >> 8, keys.OFFSETS[number & 255]
    version: Command = ("HMGET", keys.meta(block), keys.VERSION)
    while True:
        before, packed = await link.run([version, ("HGET", keys.cards(block), field)])
        card = decode(packed)
        if card is None or card.gone:
            return None
        slots = [slot for slot in taken_slots(card) if not is_hidden(slot[0])]
        guardians = await read_cards(link, card.guardians)
        *addresses, after = await link.run(
            [*[("HGET", keys.endpoints(block, lane.encode(), slot), field) for lane, slot, _ in slots], version]
        )
        if before == after:
            known = [
                guardians[at].id for at in card.guardians if at in guardians and guardians[at].follows_child(number)
            ]
            return _line(card, slots, addresses, known), card


def _line(card: Card, slots: Sequence[tuple[str, int, object]], addresses: Sequence[Reply], known: list[str]) -> Person:
    email = None
    devices: list[tuple[int, Device]] = []
    for (lane, number, _), value in zip(slots, addresses, strict=True):
        address = value[_GENERATION_BYTES:]
        if lane == EMAIL_LANE:
            email = address.decode()
        else:
            devices.append((card.lanes[lane][number].place_in_line, device_at(lane, address)))
    return Person(
        id=card.id,
        tenant=card.tenant,
        name=card.name or None,
        language=card.language,
        email=email,
        profiles=tuple(
            Profile(institution=post.place.institution, role=post.role, groups=post.place.groups) for post in card.posts
        ),
        guardians=tuple(known),
        devices=tuple(device for _, device in sorted(devices, key=lambda pair: pair[0])),
        off=card.off,
        quiet=tuple(QuietHours(days=days, start=start, until=until) for days, start, until in card.quiet),
    )


def _parts(items: list[Item], size: int) -> Iterable[list[Item]]:
    return (items[at : at + size] for at in range(0, len(items), size))
