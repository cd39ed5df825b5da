"""Reads iCalendar text (RFC 5545, RFC 5546) as the data of a calendar event: one VEVENT becomes one entry.

Taken: UID, SEQUENCE, DTSTART with DTEND or DURATION, RECURRENCE-ID, RRULE, SUMMARY, LOCATION. Times carry a TZID or are
UTC; a floating time names no instant and is refused. METHOD, where given, must fit the event's type. The people of an
event come from its audience, so ORGANIZER and ATTENDEE are not read; alarms are the phone's affair.
"""

from __future__ import annotations

from datetime import date, datetime, timedelta, tzinfo
from typing import Any
from zoneinfo import ZoneInfo

from icalendar import Calendar
from icalendar.error import InvalidCalendar

from engine.intake import moments
from engine.intake.calendar_entry import Read, default_end_ms, length_faults, occurrence_name
from engine.intake.faults import Fault, faults_in
from engine.intake.moments import BadMoment
from engine.intake.recurrence import rule_faults
from engine.intake.wire import Line, Title, Uid
from engine.records.event import CalendarEntry
from engine.records.words import Kind

METHODS: dict[Kind, tuple[str, ...]] = {
    Kind.CALENDAR_INVITED: ("REQUEST", "PUBLISH"),
    Kind.CALENDAR_CHANGED: ("REQUEST", "PUBLISH"),
    Kind.CALENDAR_CANCELLED: ("CANCEL",),
}
SEQUENCE_MAX = 2**31 - 1
_ONCE = [
    "UID",
    "SEQUENCE",
    "DTSTART",
    "DTEND",
    "DURATION",
    "RECURRENCE-ID",
    "RRULE",
    "SUMMARY",
    "LOCATION",
    "STATUS",
]  # a property of these may stand at most once (RFC 5545, 3.6.1)
_LIBRARY_ERRORS = (ValueError, KeyError, IndexError, TypeError, AttributeError, OverflowError, InvalidCalendar)
"""What the library raises for text that is not iCalendar; a fuzz test keeps this list honest."""


class _Refused(Exception):
    """A property cannot be read; carries the fault's code and sentence."""

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(detail)
        self.code = code
        self.detail = detail


def entry_from_icalendar(text: str, kind: Kind, pointer: str) -> Read:
    """Read the `icalendar` member of an event; every fault names the property and points at the member."""
    try:
        calendar = Calendar.from_ical(text)
        component = _the_event(calendar)
        _check_method(calendar, component, kind)
        _check_properties(component)
    except _Refused as refused:
        return Read(None, [Fault(pointer, refused.code, refused.detail)])
    except _LIBRARY_ERRORS:
        return Read(None, [Fault(pointer, "malformed-icalendar", "not iCalendar text as in RFC 5545")])
    return _read(component, pointer)


def _the_event(calendar: Any) -> Any:
    if calendar.name != "VCALENDAR":
        raise _Refused("malformed-icalendar", "must start with BEGIN:VCALENDAR")
    names = [part.name for part in calendar.subcomponents]
    if set(names) - {"VEVENT", "VTIMEZONE"} or names.count("VEVENT") != 1:
        raise _Refused("one-entry", "must hold exactly one VEVENT, and VTIMEZONE at most beside it; one event an entry")
    return next(part for part in calendar.subcomponents if part.name == "VEVENT")


def _check_method(calendar: Any, component: Any, kind: Kind) -> None:
    method = calendar.get("METHOD")
    if method is not None and str(method).upper() not in METHODS[kind]:
        raise _Refused("method", f"METHOD does not fit the event's type: {' or '.join(METHODS[kind])} does")
    is_cancelled = str(component.get("STATUS", "")).upper() == "CANCELLED"
    if is_cancelled and kind is not Kind.CALENDAR_CANCELLED:
        raise _Refused("method", f"STATUS:CANCELLED needs the type {Kind.CALENDAR_CANCELLED.value}")


def _check_properties(component: Any) -> None:
    if component.errors:
        raise _Refused("malformed-icalendar", "a property of the VEVENT has a value that RFC 5545 does not allow")
    for name in _ONCE:
        if isinstance(component.get(name), list):
            raise _Refused("repeated-property", f"{name} stands more than once")


def _read(component: Any, pointer: str) -> Read:
    found: list[Fault] = []

    def tried(read: Any, *arguments: Any) -> Any:
        try:
            return read(*arguments)
        except (_Refused, BadMoment) as refused:
            found.append(Fault(pointer, refused.code, refused.detail))
        except _LIBRARY_ERRORS:
            found.append(Fault(pointer, "malformed-icalendar", "a property of the VEVENT cannot be read"))
        return None

    uid = tried(_text, component, "UID", Uid, True)
    summary = tried(_text, component, "SUMMARY", Title, True)
    location = tried(_text, component, "LOCATION", Line, False)
    sequence = tried(_sequence, component)
    start = tried(_time, component, "DTSTART")
    occurrence = tried(_occurrence, component)
    if start is None:
        return Read(None, found)
    start_ms, all_day, zone = start
    rule = tried(_rule, component, datetime.fromtimestamp(start_ms / 1000, zone), all_day)
    end_ms = tried(_end, component, start_ms, all_day, zone)
    if end_ms is not None:
        found.extend(length_faults(start_ms, end_ms, all_day, pointer))
    if found:
        return Read(None, found)
    entry = CalendarEntry(
        uid=uid,
        sequence=sequence,
        start_ms=start_ms,
        end_ms=end_ms,
        timezone=str(zone),
        summary=summary,
        location=location,
        recurrence_id=occurrence,
        recurrence_rule=rule,
        all_day=all_day,
    )
    return Read(entry, [])


def _text(component: Any, name: str, shape: Any, is_required: bool) -> str | None:
    value = component.get(name)
    if value is None or (str(value).strip() == "" and not is_required):
        if is_required:
            raise _Refused("missing", f"{name} is missing")
        return None
    text = " ".join(str(value).split()) if name != "UID" else str(value)
    faults = faults_in(text, shape)
    if faults:
        raise _Refused(faults[0].code, f"{name} {faults[0].detail}")
    return text


def _sequence(component: Any) -> int:
    sequence = int(component.get("SEQUENCE", 0))
    if not 0 <= sequence <= SEQUENCE_MAX:
        raise _Refused("too-big", f"SEQUENCE must be 0 to {SEQUENCE_MAX}")
    return sequence


def _rule(component: Any, starts: datetime, all_day: bool) -> str | None:
    rule = component.get("RRULE")
    if rule is None:
        return None
    text: str = rule.to_ical().decode()
    faults = rule_faults(text, "", starts, all_day)
    if faults:
        raise _Refused(faults[0].code, f"RRULE: {faults[0].detail}")
    return text


def _time(component: Any, name: str) -> tuple[int, bool, tzinfo]:
    """A date or time property as UTC milliseconds, whether it is a date, and the zone to show it in."""
    value = component.get(name)
    if value is None:
        raise _Refused("missing", f"{name} is missing")
    moment = value.dt
    home = moments.zone_of(moments.HOME_ZONE)
    if not isinstance(moment, datetime):
        if not isinstance(moment, date):
            raise _Refused("no-such-time", f"{name} must be a date or a date with time")
        return moments.day_ms(moment, home), True, home
    if moment.tzinfo is None and "TZID" not in value.params:
        raise _Refused("floating-time", f"{name} has neither a TZID nor a Z: a floating time names no instant")
    zone = moment.tzinfo
    if zone is not None and zone.utcoffset(None) == timedelta(0):  # UTC is nobody's wall clock: shown at home
        return moments.to_ms(moment), False, home
    if not isinstance(zone, ZoneInfo):
        raise _Refused("unknown-timezone", f"{name}: TZID is no IANA time zone; write {moments.HOME_ZONE}, for example")
    return moments.local_ms(moment.replace(tzinfo=None), zone), False, zone


def _end(component: Any, start_ms: int, all_day: bool, zone: tzinfo) -> int:
    has_end, length = component.get("DTEND") is not None, component.get("DURATION")
    if has_end and length is not None:
        raise _Refused("mixed-times", "give DTEND or DURATION, not both")
    if has_end:
        end_ms, is_date, _ = _time(component, "DTEND")
        if is_date != all_day:
            raise _Refused("mixed-times", "DTSTART and DTEND are both dates or both times")
        return end_ms
    if length is None:
        return default_end_ms(start_ms, all_day, zone)
    return _after(start_ms, length.dt, all_day, zone)


def _after(start_ms: int, length: timedelta, all_day: bool, zone: tzinfo) -> int:
    """Days of a DURATION follow the wall clock, hours are exact (RFC 5545, 3.3.6)."""
    if all_day and length % timedelta(days=1):
        raise _Refused("mixed-times", "DURATION of a whole-day entry is in days")
    local = datetime.fromtimestamp(start_ms / 1000, zone).replace(tzinfo=None)
    days = timedelta(days=length.days)
    return moments.to_ms((local + days).replace(tzinfo=zone)) + (length - days) // timedelta(milliseconds=1)


def _occurrence(component: Any) -> str | None:
    value = component.get("RECURRENCE-ID")
    if value is None:
        return None
    if str(value.params.get("RANGE", "")).upper() == "THISANDFUTURE":
        raise _Refused("recurrence-range", "RECURRENCE-ID with RANGE=THISANDFUTURE is not taken; send a new series")
    return occurrence_name(*_time(component, "RECURRENCE-ID"))
