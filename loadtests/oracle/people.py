"""Reads the population's NDJSON one person at a time: who they are, where they belong, what they wish.

A file is read twice. First come the facts about others that a person's own line does not tell: which institution lies
where, what a municipality's strategy is, whose guardian somebody is. Then come the people themselves. The last line
of an id counts, as in an import. Tokens are taken to be unique in the file.
"""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

EVERYONE = "everyone"
GUARDIAN = "guardian"


class Child(NamedTuple):
    """A child of whom a text may speak: its given name, empty where its line tells none, and where it is what."""

    id: str
    name: str
    belongs: frozenset[tuple[str, str]]


class Someone(NamedTuple):
    """One person, with everything that decides what they get."""

    id: str
    tenant: str
    language: str
    email: str | None
    devices: tuple[str, ...]  # as the ledgers name them: tokens, names of browsers
    off: dict[str, list[str]]  # channel -> categories
    quiet: tuple[tuple[tuple[int, ...], str, str], ...]  # days, from, until
    belongs: frozenset[tuple[str, str]]  # (scope, role): where the person holds which role
    own: Child
    children: tuple[Child, ...]
    tenants: frozenset[str]  # own municipality, and those of all institutions that matter to the person


class Surroundings:
    """What the first reading found: institutions, strategies, children of guardians, the last line of each id."""

    def __init__(self, people_file: Path, wanted: Callable[[str], bool]) -> None:
        self.tenant_of_institution: dict[str, str] = {}
        self.institution_of_group: dict[str, str] = {}
        self.strategies: dict[tuple[str, str], frozenset[str]] = {}
        self.last_line: dict[str, int] = {}
        self._children: dict[
            str, tuple[list[str], list[dict[str, Any]], str]
        ] = {}  # child -> guardians, profiles, name
        self._wanted = wanted
        for at, line in _lines(people_file):
            self._read(at, line)
        self.children_of: dict[str, set[str]] = defaultdict(set)
        for child, (guardians, *_) in self._children.items():
            for guardian in guardians:
                self.children_of[guardian].add(child)

    def _read(self, at: int, line: bytes) -> None:
        if line.startswith(b'{"kind":"person"') and b'"guardians"' not in line:
            found = _ID.search(line)
            if found:  # most lines: an adult, of whom nothing else is asked in this reading
                self._note(found[1].decode(), at)
                return
        record = json.loads(line)
        match record["kind"]:
            case "person":
                self._note(record["id"], at)
                guardians = [one for one in record.get("guardians", ()) if self._wanted(one)]
                if guardians:
                    self._children[record["id"]] = (guardians, record.get("profiles", []), record.get("name", ""))
            case "gone":
                self.last_line.pop(record["id"], None)
                self._children.pop(record["id"], None)
            case "institution":
                self.tenant_of_institution[record["id"]] = record["tenant"]
            case "group":
                self.institution_of_group[record["id"]] = record["institution"]
            case "strategy":
                self.strategies[record["tenant"], record["category"]] = frozenset(record["channels"])

    def _note(self, id: str, at: int) -> None:
        self._children.pop(id, None)
        if self._wanted(id):
            self.last_line[id] = at

    def belongs(self, profiles: Iterable[dict[str, Any]]) -> set[tuple[str, str]]:
        """Every (scope, role) that these profiles give."""
        found = set()
        for profile in profiles:
            role, institution = profile["role"], profile["institution"]
            scopes = [f"group/{group}" for group in profile.get("groups", ())]
            scopes += [
                f"institution/{institution}",
                f"municipality/{self.tenant_of_institution[institution]}",
                EVERYONE,
            ]
            found |= {(scope, role) for scope in scopes}
        return found

    def person(self, record: dict[str, Any]) -> Someone:
        """Join a person's own line with what others' lines say about the person."""
        own = Child(record["id"], record.get("name", ""), frozenset(self.belongs(record.get("profiles", ()))))
        children = tuple(map(self._child, sorted(self.children_of.get(record["id"], ()))))
        belongs = set(own.belongs)
        for child in children:
            belongs |= {(scope, GUARDIAN) for scope, role in child.belongs if role == "pupil"}
        named = {scope.removeprefix("municipality/") for scope, _ in belongs if scope.startswith("municipality/")}
        return Someone(
            id=record["id"],
            tenant=record["tenant"],
            language=record.get("language", "da"),
            email=record.get("email"),
            devices=tuple(map(_name_in_ledger, record.get("devices", ()))),
            off=record.get("off", {}),
            quiet=tuple((tuple(one["days"]), one["from"], one["until"]) for one in record.get("quiet", ())),
            belongs=frozenset(belongs),
            own=own,
            children=children,
            tenants=frozenset({record["tenant"], *named}),
        )

    def _child(self, id: str) -> Child:
        _, profiles, name = self._children[id]
        return Child(id, name, frozenset(self.belongs(profiles)))


_ID = re.compile(rb'"id":\s*"([^"]+)"')


def _name_in_ledger(device: dict[str, Any]) -> str:
    """A token; of a browser the last step of its endpoint, which is its name at the simulated push service."""
    if "subscription" in device:
        return str(device["subscription"]["endpoint"]).rpartition("/")[2]
    return str(device["token"])


def everybody(people_file: Path, surroundings: Surroundings) -> Iterator[Someone]:
    """Yield the wanted people of the file, each once, as they are after the last line."""
    last_line = surroundings.last_line
    for at, line in _lines(people_file):
        found = _ID.search(line)
        if found and last_line.get(found[1].decode()) == at:
            record = json.loads(line)
            if record["kind"] == "person":
                yield surroundings.person(record)


def people_of(people_file: Path, scopes: Iterable[str]) -> set[str]:
    """The ids of all who are named in these groups and institutions (`g-...`, `i-...`), and their guardians."""
    wanted = [scope.encode() for scope in scopes]
    found: set[str] = set()
    if not wanted:
        return found
    pattern = re.compile(b"|".join(b'"' + re.escape(scope) + b'"' for scope in wanted))
    for _, line in _lines(people_file):
        if pattern.search(line):
            record = json.loads(line)
            if record["kind"] == "person":
                found.update((record["id"], *record.get("guardians", ())))
    return found


def _lines(people_file: Path) -> Iterator[tuple[int, bytes]]:
    with people_file.open("rb") as file:
        for at, line in enumerate(file, 1):
            if line.strip():
                yield at, line
