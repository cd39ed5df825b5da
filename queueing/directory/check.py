"""Which lines are taken: references must be known by then, in the order of the lines.

A reason names the field and the place in it (`guardians[1]`), then the remedy. It holds no address and no id: what
refuses a change over HTTP is shown to a caller who may have named somebody of another tenant.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from engine.records.person import Device, Gone, Group, Institution, Person, Strategy
from engine.records.words import Role
from engine.rules.devices import DeviceFault
from engine.rules.membership import Place, Post
from queueing.directory.card import Card


class Known:
    """What the lines of a batch may refer to: the directory as read, overlaid with the lines taken so far."""

    def __init__(
        self, numbers: dict[str, int], cards: Mapping[int, Card], tenants: dict[str, str], institutions: dict[str, str]
    ) -> None:
        self.numbers = numbers  # of everybody named who ever had one
        self.cards = cards  # of the guardians named
        self.tenants = tenants  # institution -> municipality
        self.institutions = institutions  # group -> institution
        self.living = {id for id, number in numbers.items() if number in cards and not cards[number].gone}
        self.ever = set(numbers)


def check_catalogue(part: Institution | Group | Strategy, known: Known) -> str | None:
    """Take an institution, group or strategy into `known`, or say why not."""
    if isinstance(part, Institution):
        if known.tenants.setdefault(part.id, part.tenant) != part.tenant:
            return "tenant: an institution keeps its tenant; make a new one to move it"
    elif isinstance(part, Group):
        if part.institution not in known.tenants:
            return "institution: is not known; put institutions before their groups"
        if known.institutions.setdefault(part.id, part.institution) != part.institution:
            return "institution: the group belongs to another one; make a new group"
    return None


def check_gone(line: Gone, known: Known) -> str | None:
    if line.id not in known.ever:
        return "id: there is no such person"
    known.living.discard(line.id)
    return None


def check_person(line: Person, known: Known, fault_of: Callable[[Device], DeviceFault | None]) -> str | None:
    """Take a person into `known`, or say what is wrong with its line; `fault_of` judges its devices."""
    wrong = (
        _wrong_profile(line, known)
        or (_wrong_guardian(line, known) if line.guardians else None)
        or (_wrong_device(line, fault_of) if line.devices else None)
    )
    if wrong is None:
        known.living.add(line.id)
        known.ever.add(line.id)
    return wrong


def posts_of(line: Person, tenants: Mapping[str, str]) -> tuple[Post, ...]:
    """The posts that a checked line's profiles give."""
    return tuple([Post(p.role, Place(p.institution, tenants[p.institution], p.groups)) for p in line.profiles])


def _wrong_profile(line: Person, known: Known) -> str | None:
    for at, profile in enumerate(line.profiles):
        field = f"profiles[{at}]"
        if profile.role is Role.GUARDIAN:
            return f"{field}.role: guardian is no profile; name the person in `guardians` of the child"
        if profile.institution not in known.tenants:
            return f"{field}.institution: is not known; put institutions before people"
        for place, group in enumerate(profile.groups):
            parent = known.institutions.get(group)
            if parent is None:
                return f"{field}.groups[{place}]: is not known; put groups before people"
            if parent != profile.institution:
                return f"{field}.groups[{place}]: belongs to another institution"
    return None


def _wrong_device(line: Person, fault_of: Callable[[Device], DeviceFault | None]) -> str | None:
    for at, device in enumerate(line.devices):
        fault = fault_of(device)
        if fault is not None:
            return f"devices[{at}].{fault.field}: {fault.sentence}"
    return "devices: two of them have the same token or endpoint" if _repeats([d.name for d in line.devices]) else None


def _wrong_guardian(line: Person, known: Known) -> str | None:
    if line.id in line.guardians:
        return f"guardians[{line.guardians.index(line.id)}]: a person is not its own guardian"
    if _repeats(line.guardians):
        return "guardians: one of them stands twice"
    for place, guardian in enumerate(line.guardians):
        if guardian not in known.living:
            return f"guardians[{place}]: there is no such person; put guardians before their children"
    return None


def _repeats(items: Sequence[str]) -> bool:
    return len(items) > 1 and len(set(items)) < len(items)
