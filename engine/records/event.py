"""An event as the intake admits it: validated, normalised, small enough to store with each part."""

from __future__ import annotations

import msgspec

from engine.records.placeholder import CHILDREN
from engine.records.words import Category, Kind, Language, Role, Urgency

SHARD_COUNT = 16
"""Work is sharded by event over this many fixed shards; the number is part of every event number."""


class Term(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """One term of an audience expression; exactly one of the first six fields is set.

    `role` narrows a group, institution, municipality or everyone to the people who hold that role there.
    The guardians of a group are the guardians of its pupils, derived from relations.
    """

    people: tuple[str, ...] | None = None
    guardians_of: tuple[str, ...] | None = None  # the guardians of these pupils
    group: str | None = None
    institution: str | None = None
    municipality: str | None = None
    everyone: bool | None = None
    role: Role | None = None


class Audience(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """Who an event is for: the union of `include`, minus the union of `exclude`, each person once."""

    include: tuple[Term, ...]
    exclude: tuple[Term, ...] = ()


class Text(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    title: str
    body: str


class CalendarEntry(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A calendar entry, normalised from JSON or iCalendar (RFC 5545). Times are UTC milliseconds."""

    uid: str
    sequence: int
    start_ms: int
    end_ms: int
    timezone: str  # an IANA name; start and end are shown in it
    summary: str
    location: str | None = None
    recurrence_id: str | None = None  # names one occurrence of a series
    recurrence_rule: str | None = None  # RRULE text, passed on in invitations
    all_day: bool = False


class Content(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What people read. Danish is always there; who reads English gets Danish where English is missing."""

    texts: dict[Language, Text]
    sender: str | None = None
    thread: str | None = None  # groups notifications on the phone, threads e-mails
    link: str | None = None
    calendar: CalendarEntry | None = None


class Event(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One admitted event.

    `number` is unique and roughly time-ordered; its low four bits are the home shard. `entity` names the
    thing that the event is about (`tenant/calendar/uid/recurrence`), so that a higher `sequence` of the same
    entity supersedes what still waits of a lower one.
    """

    number: int
    id: str  # CloudEvents id, unique within source
    source: str
    kind: Kind
    tenant: str  # the municipality code of the sender, or "dk" for national
    service: str  # the backend service whose key admitted it
    admitted_ms: int
    expires_ms: int
    category: Category
    urgency: Urgency
    audience: Audience
    content: Content
    roles: tuple[Role, ...] = ()  # when given, people who hold none of them are suppressed(role)
    sensitive: bool = False
    entity: str | None = None
    sequence: int = 0

    @property
    def shard(self) -> int:
        return self.number % SHARD_COUNT

    @property
    def public_id(self) -> str:
        return public_id(self.number)

    @property
    def is_broadcast(self) -> bool:
        """Whether a whole institution or more is addressed: in-app keeps it on shelves, not in each person's list."""
        terms = self.audience.include
        return any(term.institution or term.municipality or term.everyone for term in terms)

    @property
    def names_children(self) -> bool:
        """Whether a text holds `{children}`, so that readers get different words."""
        return any(CHILDREN in text.body or CHILDREN in text.title for text in self.content.texts.values())

    def text(self, language: Language) -> Text:
        return self.content.texts.get(language) or self.content.texts[Language.DA]


_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"  # Crockford base32: no i, l, o, u
_ID_LENGTH = 13
_PAIRS = tuple(first + second for first in _ALPHABET for second in _ALPHABET)  # two characters at a time: 3 x faster


def public_id(number: int) -> str:
    """Spell an event number as the API shows it: `e` and 13 characters of Crockford base32."""
    pairs = _PAIRS
    return (
        f"e{_ALPHABET[number >> 60]}{pairs[number >> 50 & 1023]}{pairs[number >> 40 & 1023]}"
        f"{pairs[number >> 30 & 1023]}{pairs[number >> 20 & 1023]}{pairs[number >> 10 & 1023]}{pairs[number & 1023]}"
    )


def event_number(spelled: str) -> int | None:
    """Read a public id back; None when it is none."""
    if len(spelled) != _ID_LENGTH + 1 or spelled[0] != "e":
        return None
    number = 0
    for letter in spelled[1:]:
        place = _ALPHABET.find(letter)
        if place < 0:
            return None
        number = number << 5 | place
    return number if number < 1 << 63 else None


class Admission(msgspec.Struct, frozen=True):
    """What the ledger answered to an event: `new`, `same` (replayed) or `conflict` (other content, same key)."""

    number: int
    status: str
