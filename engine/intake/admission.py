"""Turns a CloudEvent into an event of the engine: defaults, expiry, texts, entity, fingerprint. Pure.

`drafted` collects every fault that can be found without the store; the desk asks whether groups and people exist.
"""

from __future__ import annotations

from hashlib import blake2b
from typing import Any
from urllib.parse import quote

import msgspec

from engine.intake import calendar_text, moments
from engine.intake.calendar_entry import Read, entry_from_json
from engine.intake.cloudevents import read_envelope
from engine.intake.faults import Fault, at, converted
from engine.intake.icalendar_in import entry_from_icalendar
from engine.intake.keys import Service
from engine.intake.moments import BadMoment
from engine.intake.scoping import audience_faults, tenant_of, term_faults
from engine.intake.wire import AudienceIn, Body, CalendarData, EntryIn, Instant, TermIn, TextsIn
from engine.records.event import Audience, CalendarEntry, Content, Event, Term, Text
from engine.records.forms import READABLE
from engine.records.words import Category, Kind, Language, Urgency
from engine.rules.numbering import propose_number

HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS
LIFETIME_MAX_MS = 90 * DAY_MS

LIFETIMES_MS: dict[Category, int] = {  # an event that names no expiry: news grows old at different speeds
    Category.MESSAGE: 7 * DAY_MS,
    Category.CALENDAR: 14 * DAY_MS,
    Category.POST: 7 * DAY_MS,
    Category.PRESENCE: 12 * HOUR_MS,  # who came and left today
    Category.SURVEY: 14 * DAY_MS,
    Category.ANNOUNCEMENT: 7 * DAY_MS,
}
URGENT_LIFETIMES_MS: dict[Urgency, int] = {Urgency.EMERGENCY: DAY_MS, Urgency.URGENT: 2 * DAY_MS}
"""What is urgent today misleads the day after tomorrow."""


class Draft(msgspec.Struct, frozen=True, kw_only=True):
    """An event ready to be admitted once its people and groups are known to exist.

    `late` holds faults that time has made (an expiry that has passed): they do not stop the repetition of an event
    that was admitted when it was in time.
    """

    event: Event
    fingerprint: bytes
    pointer: str
    may_address_all: bool
    late: tuple[Fault, ...] = ()


def drafted(raw: Any, pointer: str, service: Service, now_ms: int, draw: int) -> Draft | list[Fault]:
    """Make a draft of one decoded CloudEvent, or list all its faults.

    Raises:
        strict_json.Malformed: nested too deep, or a number beyond 64 bit.
    """
    envelope, faults = read_envelope(raw, pointer)
    if envelope is None:
        return faults + _faults_of_parts(raw, pointer, service, now_ms)
    tenant = tenant_of(service, envelope.tenant)
    data, inside = envelope.data, f"{pointer}/data"
    kind = Kind(envelope.type)
    faults = audience_faults(data.audience, f"{inside}/audience", service, tenant)
    faults += _tenant_faults(tenant, pointer)
    faults += _text_faults(data.texts, inside)
    asked, late = _expiry(data.expires, f"{inside}/expires", now_ms)
    entry: CalendarEntry | None = None
    if isinstance(data, CalendarData):
        entry, entry_faults = _entry(data, kind, inside)
        faults += entry_faults
    if asked is None and late:
        faults += late
    if faults or not isinstance(tenant, str):
        return faults
    content = Content(texts=_texts(data.texts, entry, kind), sender=data.sender, thread=data.thread, link=data.link)
    if entry is not None:
        content = msgspec.structs.replace(content, calendar=entry)
    event = Event(
        number=propose_number(tenant, envelope.source, envelope.id, now_ms, draw),
        id=envelope.id,
        source=envelope.source,
        kind=kind,
        tenant=tenant,
        service=service.name,
        admitted_ms=now_ms,
        expires_ms=asked if asked is not None else default_expiry_ms(data.category, data.urgency, entry, now_ms),
        category=data.category,
        urgency=data.urgency,
        audience=_audience(data.audience),
        content=content,
        roles=data.roles,
        sensitive=data.sensitive,
        entity=entity_of(tenant, entry),
        sequence=sequence_of(entry, kind),
    )
    return Draft(
        event=event,
        fingerprint=fingerprint_of(event, asked),
        pointer=pointer,
        may_address_all=service.serves_all,
        late=tuple(late),
    )


def default_expiry_ms(category: Category, urgency: Urgency, entry: CalendarEntry | None, now_ms: int) -> int:
    """When an event that names no expiry stops being news; an entry's own end comes first, if that is still ahead."""
    expires_ms = now_ms + min(LIFETIMES_MS[category], URGENT_LIFETIMES_MS.get(urgency, LIFETIME_MAX_MS))
    if entry is not None and entry.recurrence_rule is None and entry.end_ms > now_ms + HOUR_MS:
        return min(expires_ms, entry.end_ms)
    return expires_ms


def entity_of(tenant: str, entry: CalendarEntry | None) -> str | None:
    """The thing that an event is about. A UID is escaped: a slash or a brace in it must not part a key of the store."""
    if entry is None:
        return None
    return f"{tenant}/calendar/{quote(entry.uid, safe='@:+')}/{entry.recurrence_id or ''}"


def sequence_of(entry: CalendarEntry | None, kind: Kind) -> int:
    """The version of the entity. A cancellation beats an invitation of the same SEQUENCE: some senders keep it."""
    if entry is None:
        return 0
    return 2 * entry.sequence + (kind is Kind.CALENDAR_CANCELLED)


def fingerprint_of(event: Event, asked_expiry_ms: int | None) -> bytes:
    """What makes two requests the same: the normalised content, without number, admission time and default expiry."""
    content = (
        event.kind,
        event.category,
        event.urgency,
        event.audience,
        event.content,
        event.roles,
        event.sensitive,
        asked_expiry_ms,
    )
    return blake2b(msgspec.msgpack.encode(content), digest_size=16).digest()


def _text_faults(texts: TextsIn | None, pointer: str) -> list[Fault]:
    if texts is None:
        return []
    faults = _body_faults(texts.da.body, pointer, "da")
    return faults + _body_faults(texts.en.body, pointer, "en") if texts.en is not None else faults


def _body_faults(body: str, pointer: str, language: str) -> list[Fault]:
    """A body of blanks or zero-width marks rings for nothing. Hot: most begin with a letter of ASCII."""
    if "!" <= body[0] <= "~" or READABLE.search(body):
        return []
    return [Fault(f"{pointer}/texts/{language}/body", "pattern", "must be text with something to read")]


def _expiry(text: str | None, pointer: str, now_ms: int) -> tuple[int | None, list[Fault]]:
    """The expiry asked for, and what time has to say against it; None with faults where it names no instant."""
    if text is None:
        return None, []
    try:
        asked = moments.instant_ms(text)
    except BadMoment as bad:
        return None, [Fault(pointer, bad.code, bad.detail)]
    if asked <= now_ms:
        return asked, [Fault(pointer, "in-the-past", "the event would be over before it is sent")]
    if asked > now_ms + LIFETIME_MAX_MS:
        return asked, [Fault(pointer, "too-late", f"at most {LIFETIME_MAX_MS // DAY_MS} days ahead")]
    return asked, []


def _entry(data: CalendarData, kind: Kind, pointer: str) -> Read:
    if (data.calendar is None) == (data.icalendar is None):
        return Read(None, [Fault(pointer, "one-entry", "give exactly one of calendar and icalendar")])
    if data.calendar is not None:
        return entry_from_json(data.calendar, at(pointer, "calendar"))
    return entry_from_icalendar(data.icalendar or "", kind, at(pointer, "icalendar"))


def _texts(given: TextsIn | None, entry: CalendarEntry | None, kind: Kind) -> dict[Language, Text]:
    if given is not None:
        texts = {Language.DA: Text(given.da.title, given.da.body)}
        if given.en is not None:
            texts[Language.EN] = Text(given.en.title, given.en.body)
        return texts
    if entry is None:  # wire.py requires texts of a message
        raise ValueError("an event without texts needs a calendar entry")
    return calendar_text.texts_of(entry, kind)


def _audience(given: AudienceIn) -> Audience:
    return Audience(include=_terms(given.include), exclude=_terms(given.exclude) if given.exclude else ())


def _terms(given: tuple[TermIn, ...]) -> tuple[Term, ...]:
    return tuple(
        Term(
            people=term.people,
            guardians_of=term.guardians_of,
            group=term.group,
            institution=term.institution,
            municipality=term.municipality,
            everyone=term.everyone,
            role=term.role,
        )
        for term in given
    )


def _tenant_faults(tenant: str | Fault, pointer: str) -> list[Fault]:
    if isinstance(tenant, str):
        return []
    return [Fault(pointer + tenant.pointer, tenant.code, tenant.detail)]


def _faults_of_parts(raw: Any, pointer: str, service: Service, now_ms: int) -> list[Fault]:
    """What is wrong with the parts that have the right form, so that one answer lists all there is to mend."""
    data = raw.get("data") if isinstance(raw, dict) else None
    if not isinstance(data, dict):
        return []
    inside, faults = at(pointer, "data"), []
    tenant = converted(raw.get("tenant"), str | None)
    found = tenant_of(service, tenant)
    faults += _tenant_faults(found, pointer)
    if isinstance(data.get("expires"), str) and converted(data["expires"], Instant):
        faults += _expiry(data["expires"], at(inside, "expires"), now_ms)[1]
    faults += _body_part_faults(data.get("texts"), inside)
    entry = converted(data.get("calendar"), EntryIn)
    if entry is not None:
        faults += entry_from_json(entry, at(inside, "calendar")).faults
    return faults + _term_part_faults(data.get("audience"), at(inside, "audience"), service, found)


def _body_part_faults(texts: Any, pointer: str) -> list[Fault]:
    faults: list[Fault] = []
    for language in Language:
        text = texts.get(language.value) if isinstance(texts, dict) else None
        body = converted(text.get("body"), Body) if isinstance(text, dict) else None
        if body is not None:
            faults += _body_faults(body, pointer, language.value)
    return faults


def _term_part_faults(audience: Any, pointer: str, service: Service, tenant: str | Fault) -> list[Fault]:
    faults: list[Fault] = []
    for side in ("include", "exclude"):
        terms = audience.get(side) if isinstance(audience, dict) else None
        for place, raw in enumerate(terms if isinstance(terms, list) else []):
            term = converted(raw, TermIn)
            if term is not None:
                faults += term_faults(term, at(at(pointer, side), place), service, tenant)
    return faults
