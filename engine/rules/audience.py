"""Audience expressions: what must be fetched for one, and who it means.

A term without a role means all three roles of its scope. A role narrows a group, institution, municipality or
everyone; on `people` and `guardians_of` it has no meaning (the intake refuses it there).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from engine.records.event import Audience, Term
from engine.records.roster import Roster, roster_of
from engine.records.words import Role
from engine.rules import roster as rosters


class Needs(NamedTuple):
    """What an expression asks the directory: roster names, ids of people, and groups of pupils' ids."""

    rosters: frozenset[str]
    people: frozenset[str]
    guardians_of: frozenset[tuple[str, ...]]


class Facts(NamedTuple):
    """What the directory answered; unknown names and ids are simply missing."""

    rosters: Mapping[str, Roster]
    numbers: Mapping[str, int]
    guardians: Mapping[tuple[str, ...], Roster]


def needs(audience: Audience) -> Needs:
    """Say what to fetch to evaluate an audience."""
    terms = (*audience.include, *audience.exclude)
    return Needs(
        rosters=frozenset(name for term in terms for name in roster_names(term)),
        people=frozenset(id for term in terms for id in term.people or ()),
        guardians_of=frozenset(term.guardians_of for term in terms if term.guardians_of),
    )


def evaluate(audience: Audience, facts: Facts) -> Roster:
    """Who the audience means: the union of what is included, minus what is excluded.

    Facts that were fetched for some blocks only give the answer for those blocks (and for people named by id
    anywhere): cut it with `rosters.intersect`.
    """
    included = rosters.union(*(_term(term, facts) for term in audience.include))
    excluded = rosters.union(*(_term(term, facts) for term in audience.exclude))
    return rosters.minus(included, excluded)


def roster_names(term: Term) -> tuple[str, ...]:
    """The directory's rosters that make up a term: one when it names a role, else one for each role."""
    scope = scope_of(term)
    if scope is None:
        return ()
    return tuple(f"{scope}/{role}" for role in ((term.role,) if term.role else Role))


def scope_of(term: Term) -> str | None:
    """The scope of a term, as rosters spell it; None for one that names people."""
    if term.group is not None:
        return f"group/{term.group}"
    if term.institution is not None:
        return f"institution/{term.institution}"
    if term.municipality is not None:
        return f"municipality/{term.municipality}"
    return "everyone" if term.everyone else None


def _term(term: Term, facts: Facts) -> Roster:
    if term.people is not None:
        return roster_of(facts.numbers[id] for id in term.people if id in facts.numbers)
    if term.guardians_of is not None:
        return facts.guardians.get(term.guardians_of, {})
    return rosters.union(*(facts.rosters.get(name, {}) for name in roster_names(term)))
