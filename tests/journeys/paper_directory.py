"""A directory on paper: the port `Directory` kept as a card a person, asked one person at a time.

It is slow and plain on purpose: a second implementation beside the store's, and what the journeys compare with.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence

from engine.ports import Changes, Refusal
from engine.records.family import Family, Pupil
from engine.records.person import Gone, Group, Institution, Line, Person, QuietHours, Strategy
from engine.records.roster import Roster, numbers_of, roster_of
from engine.records.words import Category, Channel, Language, Role, device_lane
from engine.records.work import Endpoint


class Card:
    """One person's endpoints by (lane, slot): an address and its generation, None where it was retired."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.endpoints: dict[tuple[str, int], tuple[bytes, int] | None] = {}
        self.generations: Counter[tuple[str, int]] = Counter()

    def register(self, lane: str, address: bytes) -> None:
        """Put an address into the lowest free slot of a lane, unless it has one."""
        held = {slot: one for (other, slot), one in self.endpoints.items() if other == lane and one}
        if any(one[0] == address for one in held.values()):
            return
        key = lane, next(slot for slot in range(8) if slot not in held)
        self.generations[key] += 1
        self.endpoints[key] = address, self.generations[key]


class PaperDirectory:
    def __init__(self) -> None:
        self.people: dict[str, Person] = {}
        self.cards: dict[str, Card] = {}
        self.strategies: dict[str, dict[Category, frozenset[Channel]]] = {}
        self.tenants: dict[str, str] = {}  # institution -> tenant
        self.journal: list[tuple[frozenset[int], frozenset[str]]] = []
        self.reads = 0

    @property
    def parents(self) -> set[str]:
        return {guardian for person in self.people.values() for guardian in person.guardians}

    async def stamp(self) -> str:
        return f"{len(self.journal)}-0"

    async def changes_since(self, stamp: str) -> Changes | None:
        self.reads += 1
        later = self.journal[int(stamp.split("-")[0]) :]
        return Changes(
            await self.stamp(),
            frozenset().union(*(blocks for blocks, _ in later)),
            frozenset().union(*(names for _, names in later)),
        )

    async def rosters(self, names: Collection[str], blocks: Collection[int] | None = None) -> dict[str, Roster]:
        self.reads += 1
        return {name: self._roster(name, blocks) for name in names}

    async def numbers(self, ids: Collection[str]) -> dict[str, int]:
        return {id: self.cards[id].number for id in ids if id in self.people}

    async def guardians(self, ids: Collection[str]) -> Roster:
        found = {guardian for id in ids if id in self.people for guardian in self.people[id].guardians}
        return roster_of(self.cards[guardian].number for guardian in found)

    async def families(self, people: Roster) -> dict[int, Family]:
        at = {card.number: id for id, card in self.cards.items() if id in self.people}
        return {number: self._family(at[number]) for number in numbers_of(people) if number in at}

    def _family(self, id: str) -> Family:
        children = [person for person in self.people.values() if id in person.guardians]
        return Family(self._pupil(self.people[id]), tuple(map(self._pupil, children)))

    def _pupil(self, person: Person) -> Pupil:
        rosters = {f"group/{group}/{p.role}" for p in person.profiles for group in p.groups}
        rosters |= {f"{scope}/{p.role}" for p in person.profiles for scope in self._scopes(person, p.institution)}
        return Pupil(person.id, person.name or "", frozenset(rosters))

    async def planes(self, blocks: Collection[int], names: Collection[str]) -> dict[str, Roster]:
        self.reads += 1
        found: dict[str, set[int]] = {name: set() for name in names}
        for id, person in self.people.items():
            number = self.cards[id].number
            if number >> 8 in blocks:
                for name in found.keys() & set(self._planes(id, person)):
                    found[name].add(number)
        return {name: roster_of(who) for name, who in found.items()}

    async def endpoints(self, lane: str, slot: int, people: Roster) -> list[Endpoint]:
        self.reads += 1
        at = {card.number: card for card in self.cards.values()}
        held = [(number, at[number].endpoints.get((lane, slot))) for number in numbers_of(people) if number in at]
        return [Endpoint(number, one[1], one[0]) for number, one in held if one]

    async def strategy(self, tenant: str) -> Mapping[Category, frozenset[Channel]]:
        return self.strategies.get(tenant, {})

    async def retire(self, lane: str, slot: int, number: int, generation: int, gone_since_ms: int | None) -> bool:
        for id, card in self.cards.items():
            held = card.endpoints.get((lane, slot))
            if card.number == number and held and held[1] == generation:
                card.endpoints[lane, slot] = None
                self._note([id])
                return True
        return False

    async def apply(self, lines: Sequence[tuple[int, Line]], now_ms: int) -> list[Refusal]:
        for _, line in lines:
            match line:
                case Person():
                    self._put(line)
                case Gone():
                    self._note([line.id], self._rosters_of(line.id))
                    del self.people[line.id]
                    self.cards[line.id].endpoints.clear()
                case Strategy():
                    self.strategies.setdefault(line.tenant, {})[line.category] = frozenset(line.channels)
                case Institution():
                    self.tenants[line.id] = line.tenant
                case Group():
                    pass
        return []

    async def person(self, id: str) -> Person | None:
        return self.people.get(id)

    async def change(self, id: str, edit: Callable[[Person], Person], now_ms: int) -> Person | None:
        if id not in self.people:
            return None
        self._put(edit(self.people[id]))
        return self.people[id]

    async def scope_tenant(self, scope: str) -> str | None:
        return self.tenants.get(scope.removeprefix("institution/"))

    def _put(self, person: Person) -> None:
        touched = {person.id, *person.guardians}
        before: set[str] = set()
        if person.id in self.people:
            before = self._rosters_of(person.id)
            touched |= set(self.people[person.id].guardians)
        card = self.cards.setdefault(person.id, Card(len(self.cards)))
        self.people[person.id] = person
        wanted = [(device_lane(device.platform, device.app), device.token.encode()) for device in person.devices]
        wanted += [("email", person.email.encode())] if person.email else []
        for key, held in list(card.endpoints.items()):
            if held and (key[0], held[0]) not in wanted:
                card.endpoints[key] = None
        for lane, address in wanted:
            card.register(lane, address)
        self._note(touched, before | self._rosters_of(person.id))

    def _note(self, ids: Collection[str], rosters: Collection[str] = ()) -> None:
        blocks = frozenset(self.cards[id].number >> 8 for id in ids if id in self.cards)
        self.journal.append((blocks, frozenset(rosters)))

    def _rosters_of(self, id: str) -> set[str]:
        """Every roster that this person, or their guardians through them, stand in."""
        person = self.people[id]
        roles = {profile.role for profile in person.profiles} | {Role.GUARDIAN}
        scopes = {scope for profile in person.profiles for scope in self._scopes(person, profile.institution)}
        groups = {f"group/{group}" for profile in person.profiles for group in profile.groups}
        return {f"{scope}/{role}" for scope in scopes | groups for role in roles}

    def _scopes(self, person: Person, institution: str) -> Iterator[str]:
        yield from ("everyone", f"institution/{institution}")
        yield f"municipality/{self.tenants.get(institution, person.tenant)}"

    def _roster(self, name: str, blocks: Collection[int] | None) -> Roster:
        scope, _, role = name.rpartition("/")
        members: set[str] = set()
        for id, person in self.people.items():
            for profile in person.profiles:
                scopes = {*self._scopes(person, profile.institution), *(f"group/{group}" for group in profile.groups)}
                if scope in scopes:
                    members |= {id} if profile.role == role else set()
                    members |= set(person.guardians) if role == Role.GUARDIAN and profile.role is Role.PUPIL else set()
        found = [self.cards[id].number for id in members if id in self.people]
        return roster_of(number for number in found if blocks is None or number >> 8 in blocks)

    def _planes(self, id: str, person: Person) -> Iterator[str]:
        yield "all"
        if person.language is Language.EN:
            yield "en"
        for profile in person.profiles:
            yield f"role.{profile.role}"
        if id in self.parents:
            yield "role.guardian"
        for channel, categories in person.off.items():
            yield from (f"off.{channel}.{category}" for category in categories)
        for (lane, slot), held in self.cards[id].endpoints.items():
            if held:
                yield f"ep.{lane}.{slot}"
        for hours in person.quiet:
            yield from (f"quiet.{half_hour}" for half_hour in _half_hours(hours))


def _half_hours(hours: QuietHours) -> Iterator[int]:
    start, until = _half_hour(hours.start), _half_hour(hours.until)
    length = (until - start - 1) % 48 + 1
    for day in hours.days:
        yield from ((day * 48 + start + step) % 336 for step in range(length))


def _half_hour(clock: str) -> int:
    return int(clock[:2]) * 2 + int(clock[3:]) // 30
