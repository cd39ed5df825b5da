"""From lines to commits: references resolved in bulk, lines checked in order, what is taken written as one batch.

A batch takes about ten round trips whatever its size, so an import costs its CPU time. Within one batch no person and
no token comes twice: a repetition starts the next batch, so that lines take effect in their order.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import trio

from engine.ports import Refusal
from engine.records.errors import ChangeRefused
from engine.records.person import Gone, Group, Institution, Line, Person
from engine.rules.devices import DeviceRules
from queueing.directory import keys
from queueing.directory.addresses import address_of, is_foreign
from queueing.directory.card import Card, decode
from queueing.directory.catalogue import Catalogue, CataloguePart
from queueing.directory.check import Known, check_catalogue, check_gone, check_person, posts_of
from queueing.directory.commit import Committer, Entry
from queueing.directory.index import Digests, find_numbers, give_numbers
from queueing.directory.mutations import Depart, Upsert, devices_that_stay
from queueing.link import Command, Link

Numbered = Sequence[tuple[int, Line]]

BATCH_LINES = 4000
_LINES_WITHOUT_REST = 250


class Importer:
    """Applies lines of people, groups and strategies."""

    def __init__(
        self, link: Link, committer: Committer, catalogue: Catalogue, digests: Digests, devices: DeviceRules
    ) -> None:
        self._devices = devices
        self._is_foreign = is_foreign(devices)
        self._link = link
        self._committer = committer
        self._catalogue = catalogue
        self._digests = digests

    async def apply(self, lines: Numbered, now_ms: int) -> list[Refusal]:
        """Write one batch (see `batches`); answers what was refused."""
        people: dict[str, Person | Gone] = {}
        known = await self._read_references(lines)
        parts: list[CataloguePart] = []
        refused: list[Refusal] = []
        for at, (number, line) in enumerate(lines):
            reason: str | None
            if isinstance(line, Person):
                reason = check_person(line, known, self._devices.fault_of)
                people[line.id] = line
            elif isinstance(line, Gone):
                reason = check_gone(line, known)
                people[line.id] = line
            else:
                reason = check_catalogue(line, known)
                parts.append(line)
            if reason is not None:
                refused.append(Refusal(number, reason))
                if isinstance(line, Person | Gone):
                    del people[line.id]
                else:
                    parts.pop()
            if not at % _LINES_WITHOUT_REST:
                await trio.lowlevel.checkpoint()
        await self._write_catalogue(parts, known)
        if people:
            numbers = known.numbers
            numbers.update(await give_numbers(self._link, [id for id in people if id not in numbers]))
            await self._committer.commit(await self._entries(people, known, now_ms))
        return refused

    async def revise(self, line: Person, present: Card, now_ms: int) -> bool:
        """Write one person's line if the card is still the present one; False when it is not.

        Raises:
            ChangeRefused: the line is refused; the text says why.
        """
        known = await self._read_references([(1, line)])
        reason = check_person(line, known, self._devices.fault_of_kept)
        if reason is not None:
            raise ChangeRefused(reason)
        upsert = self._upsert(line, known, now_ms, present)
        await self._committer.commit([Entry(known.numbers[line.id], upsert)])
        return not upsert.stale

    async def _read_references(self, lines: Numbered) -> Known:
        """Read what the lines name: numbers of people, cards of guardians, parents of institutions and groups."""
        ids: set[str] = set()
        guardians: set[str] = set()
        institutions: set[str] = set()
        groups: set[str] = set()
        for _, line in lines:
            if isinstance(line, Person):
                ids.add(line.id)
                guardians.update(line.guardians)
                for profile in line.profiles:
                    institutions.add(profile.institution)
                    groups.update(profile.groups)
            elif isinstance(line, Gone):
                ids.add(line.id)
            elif isinstance(line, Institution):
                institutions.add(line.id)
            elif isinstance(line, Group):
                institutions.add(line.institution)
                groups.add(line.id)
        tenants, parents = await self._catalogue.learn(institutions, groups)
        numbers = await find_numbers(self._link, ids | guardians)
        cards = await read_cards(self._link, [numbers[id] for id in guardians if id in numbers])
        return Known(numbers, cards, tenants, parents)

    async def _write_catalogue(self, parts: Sequence[CataloguePart], known: Known) -> None:
        if parts:
            await self._catalogue.write(parts)
            self._catalogue.remember(known.tenants, known.institutions)

    async def _entries(self, people: dict[str, Person | Gone], known: Known, now_ms: int) -> list[Entry]:
        entries = []
        for at, (id, line) in enumerate(people.items()):
            mutation = Depart() if isinstance(line, Gone) else self._upsert(line, known, now_ms, None)
            entries.append(Entry(known.numbers[id], mutation))
            if not at % _LINES_WITHOUT_REST:
                await trio.lowlevel.checkpoint()
        return entries

    def _upsert(self, line: Person, known: Known, now_ms: int, expected: Card | None) -> Upsert:
        number = known.numbers[line.id]
        stay = devices_that_stay(line.devices, self._devices.lane_of)
        texts = [address_of(device) for device in stay]
        if line.email is not None:
            texts.append(line.email.encode())
        addresses = {self._digests.of(text): text for text in texts}
        guardians: tuple[int, ...] = ()
        unheard = False
        if line.guardians:
            guardians = tuple([known.numbers[id] for id in line.guardians])
            cards = known.cards
            unheard = any(guardian in cards and not cards[guardian].follows_child(number) for guardian in guardians)
        return Upsert(
            line=line,
            device_lanes=[self._devices.lane_of(device) for device in stay],
            posts=posts_of(line, known.tenants),
            guardians=guardians,
            addresses=addresses,
            now_ms=now_ms,
            touch=unheard,
            remind=unheard,
            is_foreign=self._is_foreign,
            expected=expected,
        )


async def read_cards(link: Link, numbers: Sequence[int]) -> dict[int, Card]:
    """The cards of these people; who has none is left out."""
    by_block: dict[int, list[int]] = {}
    for number in sorted(set(numbers)):
        by_block.setdefault(number >> 8, []).append(number)
    commands: list[Command] = [
        ("HMGET", keys.cards(block), *[keys.OFFSETS[number & 255] for number in there])
        for block, there in by_block.items()
    ]
    cards: dict[int, Card] = {}
    for there, packed in zip(by_block.values(), await link.run(commands), strict=True):
        for number, value in zip(there, packed, strict=True):
            card = decode(value)
            if card is not None:
                cards[number] = card
    return cards


def batches(lines: Numbered) -> Iterator[Numbered]:
    """Cut lines so that no batch is long, and none has a person or a token twice."""
    first = 0
    ids: set[str] = set()
    tokens: set[str] = set()
    for at, (_, line) in enumerate(lines):
        if not isinstance(line, Person | Gone):
            continue
        there = [device.name for device in line.devices] if isinstance(line, Person) and line.devices else ()
        if at - first >= BATCH_LINES or line.id in ids or not tokens.isdisjoint(there):
            yield lines[first:at]
            first = at
            ids.clear()
            tokens.clear()
        ids.add(line.id)
        tokens.update(there)
    if first < len(lines):
        yield lines[first:]
