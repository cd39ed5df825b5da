"""What `{children}` says to one reader: the names of those of their children whom the event is about.

In order:

1. A guardian reads the given names of their children who are meant, if all of those have one: `Anna og Bo`.
2. A guardian whose meant children are not all named, or none of whose children is meant (a guardian who was named in
   person), reads `dit barn` or `dine børn`.
3. A pupil who is meant reads their own name.
4. Everybody else (staff, say) reads `børnene`.

A child is *meant* when a term of the audience names the child, names its guardians, or is a group, institution,
municipality or everyone where the child is a pupil; a term for staff alone means no child. Exclusions take readers
away, they do not change what an event is about.

A sensitive event names nobody, not even behind the login.
"""

from __future__ import annotations

from engine.records.event import Audience, Event
from engine.records.family import Family, Pupil
from engine.records.words import Language, Role
from engine.rules.audience import scope_of

NOBODYS = {Language.DA: "børnene", Language.EN: "the children"}
_ONE = {Language.DA: "dit barn", Language.EN: "your child"}
_SEVERAL = {Language.DA: "dine børn", Language.EN: "your children"}
_AND = {Language.DA: " og ", Language.EN: " and "}


def phrase(event: Event, family: Family | None, language: Language) -> str:
    """Say what the placeholder stands for; `family` is None for a person of whom nothing is known."""
    if family is None:
        return NOBODYS[language]
    meant = [child for child in family.children if is_meant(event.audience, child)]
    if meant and not event.sensitive and all(child.name for child in meant):
        return joined(sorted((child.name for child in meant), key=str.casefold), language)
    if family.children:
        return (_ONE if len(meant or family.children) == 1 else _SEVERAL)[language]
    if family.own.name and not event.sensitive and is_meant(event.audience, family.own):
        return family.own.name
    return NOBODYS[language]


def is_meant(audience: Audience, pupil: Pupil) -> bool:
    """Whether an event to this audience is about this child."""
    for term in audience.include:
        if pupil.id in (term.people or ()) or pupil.id in (term.guardians_of or ()):
            return True
        scope = scope_of(term)
        if scope is not None and term.role is not Role.STAFF and f"{scope}/{Role.PUPIL}" in pupil.rosters:
            return True
    return False


def joined(names: list[str], language: Language) -> str:
    """`Anna`, `Anna og Bo`, `Anna, Bo og Carl`."""
    if len(names) < 2:
        return "".join(names)
    return ", ".join(names[:-1]) + _AND[language] + names[-1]
