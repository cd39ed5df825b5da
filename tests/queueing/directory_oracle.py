"""A naive directory: a dict of people and loops over it; no blocks, masks or cards."""

from __future__ import annotations

from collections.abc import Collection, Iterable

import msgspec

from engine.records.person import SLOT_MAX, Gone, Group, Institution, Line, Person, Strategy
from engine.records.roster import Roster, roster_of
from engine.records.words import Language, Platform, Role, device_lane
from engine.rules.devices import DeviceRules, PushService
from engine.rules.quiet_week import quiet_half_hours
from queueing.directory import StoreDirectory
from tests.webpush.browsers import browser

INSTITUTIONS = {"s1": "0101", "s2": "0101", "d1": "0147"}
GROUPS = {"1a": "s1", "1b": "s1", "2a": "s2", "bees": "d1"}
WEB, PUSH_SERVICE = "webpush.x", "https://push.example"
LANES = ("apns.parent", "fcm.parent", "apns.staff", WEB)
DEVICES = DeviceRules([PushService(WEB, PUSH_SERVICE)])

SCOPES = [
    *(f"group/{id}" for id in GROUPS),
    *(f"institution/{id}" for id in INSTITUTIONS),
    *(f"municipality/{code}" for code in ("0101", "0147")),
    "everyone",
]
ROSTERS = [f"{scope}/{role}" for scope in SCOPES for role in Role]
CATALOGUE: list[Line] = [
    *(Institution(id=id, tenant=tenant, name=id) for id, tenant in INSTITUTIONS.items()),
    *(Group(id=id, institution=parent, name=id) for id, parent in GROUPS.items()),
]


class Oracle:
    """People by id; devices by slot, each with the generation that a slot has reached."""

    def __init__(self) -> None:
        self.people: dict[str, Person] = {}
        self.numbers: dict[str, int] = {}
        self.slots: dict[tuple[str, str], list[tuple[int, str | None]]] = {}  # (id, lane) -> (generation, address)

    def apply(self, lines: Iterable[Line]) -> list[str]:
        """Take lines one by one; answers the ids of refused ones."""
        return [getattr(line, "id", "") for line in lines if not self._take(line)]

    def _take(self, line: Line) -> bool:
        if isinstance(line, Institution | Group | Strategy):
            return True
        if isinstance(line, Gone):
            if line.id not in self.numbers:
                return False
            self._leave(line.id)
            return True
        if not self._valid(line):
            return False
        self.numbers.setdefault(line.id, len(self.numbers))
        for device in line.devices:
            self._take_token_from_others(line.id, device.name)
        self._store(line)
        return True

    def _valid(self, line: Person) -> bool:
        tokens = [device.name for device in line.devices]
        return (
            all(guardian in self.people and guardian != line.id for guardian in line.guardians)
            and len(set(line.guardians)) == len(line.guardians)
            and len(set(tokens)) == len(tokens)
            and all(profile.role is not Role.GUARDIAN for profile in line.profiles)
            and all(GROUPS[group] == profile.institution for profile in line.profiles for group in profile.groups)
        )

    def _leave(self, id: str) -> None:
        self.people.pop(id, None)
        for lane in (*LANES, "email"):
            self._settle(id, lane, [])
        for other in list(self.people.values()):
            if id in other.guardians:
                rest = tuple(guardian for guardian in other.guardians if guardian != id)
                self.people[other.id] = msgspec.structs.replace(other, guardians=rest)

    def _take_token_from_others(self, id: str, token: str) -> None:
        for other in list(self.people.values()):
            if other.id != id and any(device.name == token for device in other.devices):
                rest = tuple(device for device in other.devices if device.name != token)
                self._store(msgspec.structs.replace(other, devices=rest))

    def _store(self, line: Person) -> None:
        by_lane: dict[str, list[str]] = {lane: [] for lane in LANES}
        for device in line.devices:
            lane = WEB if device.platform is Platform.WEB else device_lane(device.platform, device.app)
            by_lane[lane].append(device.name)
        kept = {token for tokens in by_lane.values() for token in tokens[-SLOT_MAX:]}
        self.people[line.id] = msgspec.structs.replace(
            line, devices=tuple(device for device in line.devices if device.name in kept)
        )
        for lane, tokens in by_lane.items():
            self._settle(line.id, lane, tokens[-SLOT_MAX:])
        self._settle(line.id, "email", [line.email] if line.email else [])

    def _settle(self, id: str, lane: str, addresses: list[str]) -> None:
        slots = self.slots.setdefault((id, lane), [])
        slots[:] = [(generation, held if held in addresses else None) for generation, held in slots]
        for address in addresses:
            if any(held == address for _, held in slots):
                continue
            free = [at for at, (_, held) in enumerate(slots) if held is None]
            if free:
                slots[free[0]] = (slots[free[0]][0] + 1, address)
            else:
                slots.append((1, address))

    # --- what follows ------------------------------------------------------------------------------------------

    def holds(self, person: Person) -> set[tuple[str, Role]]:
        """The (scope, role) pairs of a person."""
        pairs = {(scope, profile.role) for profile in person.profiles for scope in _scopes(profile)}
        for child in self.people.values():
            if person.id in child.guardians:
                for profile in child.profiles:
                    if profile.role is Role.PUPIL:
                        pairs |= {(scope, Role.GUARDIAN) for scope in _scopes(profile)}
        return pairs

    def rosters(self) -> dict[str, Roster]:
        members: dict[str, list[int]] = {name: [] for name in ROSTERS}
        for person in self.people.values():
            for scope, role in self.holds(person):
                members[f"{scope}/{role}"].append(self.numbers[person.id])
        return {name: roster_of(numbers) for name, numbers in members.items()}

    def planes(self) -> dict[str, Roster]:
        members: dict[str, list[int]] = {}
        for person in self.people.values():
            number = self.numbers[person.id]
            names = {"all", *(f"role.{role}" for _, role in self.holds(person))}
            names |= {"en"} if person.language is Language.EN else set()
            names |= {f"off.{channel}.{category}" for channel, off in person.off.items() for category in off}
            names |= {f"quiet.{at}" for at in quiet_half_hours(person.quiet)}
            for lane in (*LANES, "email"):
                for slot, (_, held) in enumerate(self.slots.get((person.id, lane), [])):
                    names |= {f"ep.{lane}.{slot}"} if held else set()
            for name in names:
                members.setdefault(name, []).append(number)
        return {name: roster_of(numbers) for name, numbers in members.items()}

    def endpoints(self, lane: str, slot: int) -> list[tuple[int, int, bytes]]:
        found = []
        for (id, at), slots in self.slots.items():
            if at == lane and slot < len(slots) and slots[slot][1]:
                found.append((self.numbers[id], slots[slot][0], _address(slots[slot][1] or "")))
        return sorted(found)

    def guardians(self, id: str) -> Roster:
        person = self.people.get(id)
        return roster_of(self.numbers[guardian] for guardian in person.guardians) if person else {}


def _address(name: str) -> bytes:
    """What is stored of a token, or of the one browser that all subscriptions here are of."""
    return browser().address(name) if name.startswith("https://") else name.encode()


def _scopes(profile: msgspec.Struct) -> list[str]:
    institution: str = profile.institution  # type: ignore[attr-defined]
    groups: tuple[str, ...] = profile.groups  # type: ignore[attr-defined]
    tenant = INSTITUTIONS[institution]
    return [*(f"group/{group}" for group in groups), f"institution/{institution}", f"municipality/{tenant}", "everyone"]


PLANES = [
    *("all", "en", "bad.email", *(f"role.{role}" for role in Role)),
    *(f"off.{channel}.{category}" for channel in ("push", "email", "inapp") for category in ("message", "post")),
    *(f"quiet.{at}" for at in range(336)),
    *(f"ep.{lane}.{slot}" for lane in (*LANES, "email") for slot in range(SLOT_MAX)),
]


async def assert_same(directory: StoreDirectory, oracle: Oracle, *, generations: bool = True) -> None:
    """The directory says of everybody what the oracle says."""
    blocks = {number >> 8 for number in oracle.numbers.values()}
    everyone = roster_of(oracle.numbers.values())
    rosters = await directory.rosters(ROSTERS)
    assert {name: {b: m for b, m in roster.items() if m} for name, roster in rosters.items()} == oracle.rosters()
    planes = await directory.planes(blocks, PLANES)
    assert {name: plane for name, plane in planes.items() if plane} == oracle.planes()
    assert await directory.numbers(oracle.numbers) == {id: oracle.numbers[id] for id in oracle.people}
    for lane in (*LANES, "email"):
        for slot in range(3):
            found = await directory.endpoints(lane, slot, everyone)
            expected = oracle.endpoints(lane, slot)
            if generations:
                assert [tuple(endpoint) for endpoint in found] == expected
            else:
                assert [(e.number, e.address) for e in found] == [(number, held) for number, _, held in expected]
    for id in oracle.numbers:
        assert await directory.person(id) == oracle.people.get(id)
        assert await directory.guardians([id]) == oracle.guardians(id)


async def assert_in_keeping_with_itself(directory: StoreDirectory, ids: Collection[str]) -> Oracle:
    """Rosters, planes and endpoints are what follows from the records; no token is on two people."""
    oracle = Oracle()
    known = await directory.numbers(ids)
    oracle.numbers = dict(known)
    for id in known:
        person = await directory.person(id)
        assert person is not None
        oracle.people[id] = person
    tokens = [device.name for person in oracle.people.values() for device in person.devices]
    assert len(set(tokens)) == len(tokens)
    rosters = await directory.rosters(ROSTERS)
    assert rosters == oracle.rosters()
    planes = await directory.planes({number >> 8 for number in known.values()}, PLANES)
    naive = oracle.planes()
    for name in PLANES:
        if not name.startswith("ep.") and name != "bad.email":
            assert planes[name] == naive.get(name, {}), name
    for person in oracle.people.values():
        held = {_address(device.name) for device in person.devices}
        found = set()
        for lane in LANES:
            for slot in range(SLOT_MAX):
                number = known[person.id]
                mine = planes[f"ep.{lane}.{slot}"].get(number >> 8, 0) >> (number & 255) & 1
                there = await directory.endpoints(lane, slot, roster_of([number]))
                assert len(there) == mine
                found |= {endpoint.address for endpoint in there}
        assert found == held
    return oracle
