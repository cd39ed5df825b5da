"""A calendar entry as an iTIP message (RFC 5545, 5546, 6047), with a gap where the recipient's ATTENDEE line goes.

UID and SEQUENCE are the entry's, so that an update replaces and a repeat changes nothing; DTSTAMP is the moment of
admission, so that every attempt is the same. RSVP is FALSE: nobody reads answers to us.
An occurrence of a series whose RECURRENCE-ID or rule we cannot read gets no calendar part at all: without it,
a cancellation of one Tuesday would cancel them all. The text of the mail still says what happened.
"""

from __future__ import annotations

import re
from binascii import b2a_qp
from datetime import UTC, date, datetime, timedelta
from hashlib import blake2b
from zoneinfo import ZoneInfo

import icalendar

from channels.email import words
from channels.email.phrases import days, local, zone_of
from engine.records.event import CalendarEntry, Event
from engine.records.words import Kind, Language

_GAP = b"X-KLOKKE-ATTENDEE:"
# Quoted-printable, folded after the colon so that any address that is short enough fits its own line as it is
_ATTENDEE = b"ATTENDEE;ROLE=3DREQ-PARTICIPANT;PARTSTAT=3DNEEDS-ACTION;RSVP=3DFALSE:\r\n mailto:"
_SIMPLE_ADDRESS = re.compile(rb"[!-<>-~]{1,60}")
_FOLD_BYTES_MAX = 24  # each byte may become three in quoted-printable, and a line holds 76

# The rule that holds in Denmark since 1996; a table generated from tzdata is thirty times as long.
_COPENHAGEN = """\
BEGIN:VTIMEZONE
TZID:Europe/Copenhagen
BEGIN:STANDARD
DTSTART:19961027T030000
RRULE:FREQ=YEARLY;BYDAY=-1SU;BYMONTH=10
TZNAME:CET
TZOFFSETFROM:+0200
TZOFFSETTO:+0100
END:STANDARD
BEGIN:DAYLIGHT
DTSTART:19960331T020000
RRULE:FREQ=YEARLY;BYDAY=-1SU;BYMONTH=3
TZNAME:CEST
TZOFFSETFROM:+0100
TZOFFSETTO:+0200
END:DAYLIGHT
END:VTIMEZONE
"""


def method(event: Event) -> str:
    return "CANCEL" if event.kind is Kind.CALENDAR_CANCELLED else "REQUEST"


def invitation(event: Event, language: Language, organizer: str) -> tuple[str, bytes] | None:
    """Write an event's calendar entry.

    Returns:
        The iCalendar text, and the line in it (without its end) that `attendee` replaces; None when the event has
        no entry, or one that cannot be written without changing what it means.
    """
    entry = event.content.calendar
    if entry is None or event.sensitive:
        return None
    try:
        component = _component(event, entry, language)
    except ValueError:
        return None
    component["organizer"] = icalendar.vCalAddress(f"mailto:{organizer}")
    gap = _GAP + blake2b(repr(event).encode(errors="replace"), digest_size=20).hexdigest().encode()
    name, _, value = gap.decode().partition(":")
    component.add(name, value)
    calendar = icalendar.Calendar()
    calendar.add("prodid", "-//Klokke//Klokke//DA")
    calendar.add("version", "2.0")
    calendar.add("method", method(event))
    _add_zone(calendar, entry)
    calendar.add_component(component)
    return calendar.to_ical().decode(), gap


def _component(event: Event, entry: CalendarEntry, language: Language) -> icalendar.Event:
    component = icalendar.Event()
    component.add("uid", words.line(entry.uid))
    component.add("sequence", entry.sequence)
    component.add("dtstamp", datetime.fromtimestamp(event.admitted_ms // 1000, UTC))
    start, end = days(entry) if entry.all_day else local(entry)
    component.add("dtstart", start)
    component.add("dtend", end)
    component.add("summary", words.line(entry.summary))
    component.add("status", "CANCELLED" if event.kind is Kind.CALENDAR_CANCELLED else "CONFIRMED")
    body = words.lines(event.text(language).body)
    if body:
        component.add("description", body)
    if entry.location:
        component.add("location", words.line(entry.location))
    if entry.recurrence_id is not None:
        component.add("recurrence-id", _occurrence(entry))
    elif entry.recurrence_rule is not None:
        component.add("rrule", icalendar.vRecur.from_ical(words.line(entry.recurrence_rule)))
    return component


def _occurrence(entry: CalendarEntry) -> datetime | date:
    """Read a RECURRENCE-ID, in iCalendar's spelling or ISO 8601's.

    Raises:
        ValueError: it is neither.
    """
    moment = datetime.fromisoformat(entry.recurrence_id or "")  # since 3.11 it reads the basic format too
    if entry.all_day:
        return moment.date()
    zone = zone_of(entry)
    return moment.replace(tzinfo=zone) if moment.tzinfo is None else moment.astimezone(zone)


def _add_zone(calendar: icalendar.Calendar, entry: CalendarEntry) -> None:
    zone = zone_of(entry)
    if entry.all_day or zone.key == "UTC":
        return
    if zone.key == "Europe/Copenhagen":
        calendar.add_component(icalendar.Timezone.from_ical(_COPENHAGEN))
        return
    first = local(entry)[0].date() - timedelta(days=366)
    calendar.add_component(icalendar.Timezone.from_tzinfo(ZoneInfo(zone.key), first_date=first))


def attendee(address: bytes) -> bytes:
    """The ATTENDEE line of one recipient, in quoted-printable, folded, without its end."""
    if _SIMPLE_ADDRESS.fullmatch(address):  # nearly all: short ASCII without an equals sign
        return _ATTENDEE + address
    return _ATTENDEE + b"\r\n ".join(b2a_qp(piece, istext=True) for piece in _pieces(address))


def _pieces(address: bytes) -> list[bytes]:
    pieces = [""]
    for character in address.decode(errors="replace"):
        if len(pieces[-1].encode()) >= _FOLD_BYTES_MAX - 4:
            pieces.append("")
        pieces[-1] += character
    return [piece.encode() for piece in pieces]
