"""A directory in memory, for tests of the intake alone: who exists, and whose. Keeps the port's promises."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence

from engine.ports import Changes, Refusal
from engine.records.errors import StoreUnavailable
from engine.records.person import Gone, Group, Institution, Line, Person, Strategy
from engine.records.roster import Roster, roster_of
from engine.records.words import Category, Channel
from engine.records.work import Endpoint


class Register:
    """`is_away` makes every question fail as a lost store does."""

    def __init__(self) -> None:
        self.people: dict[str, Person] = {}
        self.ids: dict[str, int] = {}
        self.institutions: dict[str, Institution] = {}
        self.groups: dict[str, Group] = {}
        self.strategies: dict[tuple[str, Category], Strategy] = {}
        self.is_away = False
        self.questions = 0

    async def stamp(self) -> str:
        self._ask()
        return "0-0"

    async def changes_since(self, stamp: str) -> Changes | None:
        return Changes(stamp, frozenset(), frozenset())

    async def rosters(self, names: Collection[str], blocks: Collection[int] | None = None) -> dict[str, Roster]:
        return {name: {} for name in names}

    async def numbers(self, ids: Collection[str]) -> dict[str, int]:
        self._ask()
        return {id: self.ids[id] for id in ids if id in self.ids}

    async def guardians(self, ids: Collection[str]) -> Roster:
        return roster_of(self.ids[g] for id in ids if id in self.people for g in self.people[id].guardians)

    async def planes(self, blocks: Collection[int], names: Collection[str]) -> dict[str, Roster]:
        return {name: {} for name in names}

    async def endpoints(self, lane: str, slot: int, people: Roster) -> list[Endpoint]:
        return []

    async def strategy(self, tenant: str) -> Mapping[Category, frozenset[Channel]]:
        return {key[1]: frozenset(s.channels) for key, s in self.strategies.items() if key[0] == tenant}

    async def retire(self, lane: str, slot: int, number: int, generation: int, gone_since_ms: int | None) -> bool:
        return False

    async def apply(self, lines: Sequence[tuple[int, Line]], now_ms: int) -> list[Refusal]:
        self._ask()
        refusals = []
        for number, line in lines:
            reason = self._take(line)
            if reason is not None:
                refusals.append(Refusal(number, reason))
        return refusals

    async def person(self, id: str) -> Person | None:
        self._ask()
        return self.people.get(id)

    async def change(self, id: str, edit: Callable[[Person], Person], now_ms: int) -> Person | None:
        self._ask()
        if id not in self.people:
            return None
        self.people[id] = edit(self.people[id])
        return self.people[id]

    async def scope_tenant(self, scope: str) -> str | None:
        self._ask()
        sort, _, id = scope.partition("/")
        if sort == "group":
            if id not in self.groups:
                return None
            id = self.groups[id].institution
        return self.institutions[id].tenant if id in self.institutions else None

    def _ask(self) -> None:
        self.questions += 1
        if self.is_away:
            raise StoreUnavailable("the store did not answer (test)")

    def _take(self, line: Line) -> str | None:
        match line:
            case Person():
                unknown = [guardian for guardian in line.guardians if guardian not in self.ids]
                if unknown:
                    return "guardians: there is no such person"
                self.ids.setdefault(line.id, len(self.ids))
                self.people[line.id] = line
            case Institution():
                self.institutions[line.id] = line
            case Group():
                self.groups[line.id] = line
            case Strategy():
                self.strategies[line.tenant, line.category] = line
            case Gone():
                self.people.pop(line.id, None)
        return None
