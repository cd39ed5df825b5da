"""The whole way: a population's file, the posted events and the ledgers in, a finished comparison out.

Up to 200,000 people everybody is looked at. Above that it is everybody in the groups and institutions that an event
names, and of the rest a seeded sample of about 200,000, so that memory stays bounded.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from hashlib import blake2b
from heapq import nlargest
from pathlib import Path
from typing import NamedTuple

from loadtests.oracle.comparison import Comparison
from loadtests.oracle.expectation import Expected, Need, Rules
from loadtests.oracle.ledger import received
from loadtests.oracle.people import Surroundings, everybody, people_of
from loadtests.oracle.posted import Posted

PEOPLE_LOOKED_AT_MAX = 200_000
INBOXES_MAX = 40
_UNIT = 1 << 32


class Inbox(NamedTuple):
    """Which events must, and which may, lie in one person's inbox."""

    person: str
    must: frozenset[str]
    may: frozenset[str]


class Expectations(NamedTuple):
    """A comparison that knows what must have happened, and the inboxes to look into."""

    comparison: Comparison
    inboxes: tuple[Inbox, ...]
    people: int
    is_complete: bool


class Sample:
    """Who is looked at: everybody, or the named ones and a seeded share of the others."""

    def __init__(self, population: int, named: set[str], seed: int, most: int = PEOPLE_LOOKED_AT_MAX) -> None:
        self.is_complete = population <= most
        self._named = named
        self._key = b"oracle%d" % seed
        self._below = _UNIT if self.is_complete else int(_UNIT * most / population)

    def draw(self, id: str) -> int:
        return int.from_bytes(blake2b(id.encode(), digest_size=4, key=self._key).digest(), "little")

    def wants(self, id: str) -> bool:
        return self.is_complete or id in self._named or self.draw(id) < self._below


def expectations(
    people_file: Path, events: Sequence[Posted], *, seen_ms: int, seed: int = 1, most: int = PEOPLE_LOOKED_AT_MAX
) -> Expectations:
    """Work out what every person looked at must have received by `seen_ms` (Unix milliseconds)."""
    events = list(events)
    population = count_people(people_file)
    named: set[str] = set()
    if population > most:
        named = people_of(people_file, {scope for event in events for scope in event.narrow_scopes()})
        named |= {id for event in events for id in event.named_people()}
    sample = Sample(population, named, seed, most)
    surroundings = Surroundings(people_file, sample.wants)
    comparison = Comparison(events, is_complete=sample.is_complete)
    rules = [Rules(event, events, surroundings.strategies, seen_ms) for event in events]
    inboxes: list[tuple[int, int, Inbox]] = []
    looked_at = 0
    for someone in everybody(people_file, surroundings):
        looked_at += 1
        comparison.meet(someone)
        outcomes = [rule.expect(someone) for rule in rules]
        for at, outcome in enumerate(outcomes):
            if outcome is not None:
                comparison.expect(at, someone, outcome)
        inboxes.append((sum(map(bool, outcomes)), sample.draw(someone.id), _inbox(someone.id, events, outcomes)))
        if len(inboxes) > 50 * INBOXES_MAX:
            inboxes = _keep(inboxes)
    chosen = tuple(inbox for _, _, inbox in _keep(inboxes))
    return Expectations(comparison, chosen, looked_at, sample.is_complete)


def compare(expected: Expectations, ledgers: Iterable[Path]) -> Comparison:
    """Read the ledgers against the expectations; use each `Expectations` once."""
    for ledger in ledgers:
        for line in received(ledger):
            expected.comparison.receive(line)
    expected.comparison.finish()
    return expected.comparison


def count_people(people_file: Path) -> int:
    """Count the lines of people, also where an id comes twice."""
    with people_file.open("rb") as file:
        return sum(1 for line in file if _PERSON.match(line))


_PERSON = re.compile(rb'\{"kind":"person"|.*"kind":\s*"person"')


def _inbox(person: str, events: Sequence[Posted], outcomes: Sequence[list[Expected] | None]) -> Inbox:
    found: dict[Need, set[str]] = {Need.MUST: set(), Need.MAY: set()}
    for event, outcome in zip(events, outcomes, strict=True):
        for one in outcome or ():
            if one.channel == "inapp" and not one.reason:
                found[one.need].add(event.id)
    return Inbox(person, frozenset(found[Need.MUST]), frozenset(found[Need.MAY]))


def _keep(inboxes: list[tuple[int, int, Inbox]]) -> list[tuple[int, int, Inbox]]:
    """Keep half of those who are in the most events, and half by the draw."""
    fullest = nlargest(INBOXES_MAX // 2, inboxes, key=lambda one: one[:2])
    drawn = nlargest(INBOXES_MAX // 2, inboxes, key=lambda one: one[1])
    return list({inbox.person: (count, draw, inbox) for count, draw, inbox in (*fullest, *drawn)}.values())
