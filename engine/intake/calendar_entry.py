"""Makes a calendar entry from its JSON form, and holds the rules that JSON and iCalendar share. Pure."""

from __future__ import annotations

from datetime import UTC, datetime, tzinfo
from typing import NamedTuple
from zoneinfo import ZoneInfo

from engine.intake import moments
from engine.intake.faults import Fault, at
from engine.intake.moments import BadMoment
from engine.intake.recurrence import rule_faults
from engine.intake.wire import EntryIn
from engine.records.event import CalendarEntry

DAY_MS = 86_400_000
LENGTH_DAYS_MAX = 366


class Read(NamedTuple):
    """What came of reading an entry: the entry, or why not."""

    entry: CalendarEntry | None
    faults: list[Fault]


def entry_from_json(given: EntryIn, pointer: str) -> Read:
    """Read the `calendar` member of an event."""
    found: list[Fault] = []
    zone = _zone(given.timezone, at(pointer, "timezone"), found)
    if zone is None:
        return Read(None, found)
    start = _moment(given.start, zone, at(pointer, "start"), found)
    end = _moment(given.end, zone, at(pointer, "end"), found) if given.end is not None else None
    recurrence = (
        _moment(given.recurrence_id, zone, at(pointer, "recurrence_id"), found)
        if given.recurrence_id is not None
        else None
    )
    if start is None:
        return Read(None, found)
    start_ms, all_day = start
    if given.recurrence_rule is not None:
        starts = datetime.fromtimestamp(start_ms / 1000, zone)
        found.extend(rule_faults(given.recurrence_rule, at(pointer, "recurrence_rule"), starts, all_day))
    if given.end is not None and end is None:
        return Read(None, found)
    if end is not None and end[1] != all_day:
        found.append(Fault(at(pointer, "end"), "mixed-times", "start and end are both dates or both times"))
        return Read(None, found)
    try:
        end_ms = end[0] if end is not None else default_end_ms(start_ms, all_day, zone)
    except BadMoment as bad:
        return Read(None, [*found, Fault(at(pointer, "end"), bad.code, bad.detail)])
    found.extend(length_faults(start_ms, end_ms, all_day, at(pointer, "end")))
    if found:
        return Read(None, found)
    entry = CalendarEntry(
        uid=given.uid,
        sequence=given.sequence,
        start_ms=start_ms,
        end_ms=end_ms,
        timezone=given.timezone,
        summary=given.summary,
        location=given.location,
        recurrence_id=occurrence_name(*recurrence, zone) if recurrence is not None else None,
        recurrence_rule=given.recurrence_rule,
        all_day=all_day,
    )
    return Read(entry, [])


def default_end_ms(start_ms: int, all_day: bool, zone: tzinfo) -> int:
    """Where an entry ends that names no end: the next midnight for whole days, at once for a time (RFC 5545, 3.6.1)."""
    if not all_day:
        return start_ms
    day = datetime.fromtimestamp(start_ms / 1000, zone).date()
    return moments.day_ms(day.fromordinal(day.toordinal() + 1), zone)


def occurrence_name(at_ms: int, is_date: bool, zone: tzinfo) -> str:
    """One spelling for an occurrence of a series, whatever zone it came in: part of the entity's key."""
    if is_date:
        return datetime.fromtimestamp(at_ms / 1000, zone).strftime("%Y%m%d")
    return datetime.fromtimestamp(at_ms / 1000, UTC).strftime("%Y%m%dT%H%M%SZ")


def length_faults(start_ms: int, end_ms: int, all_day: bool, pointer: str) -> list[Fault]:
    """An entry must not end before it starts, nor last more than a year; one of whole days lasts a day at least."""
    if end_ms < start_ms:
        return [Fault(pointer, "ends-before-start", "the entry ends before it starts")]
    if all_day and end_ms == start_ms:
        return [Fault(pointer, "ends-before-start", "the end of whole days is the day after the last one")]
    if end_ms - start_ms > LENGTH_DAYS_MAX * DAY_MS:
        return [Fault(pointer, "too-long", f"an entry lasts at most {LENGTH_DAYS_MAX} days; repeat it with a rule")]
    return []


def _zone(name: str, pointer: str, found: list[Fault]) -> ZoneInfo | None:
    try:
        return moments.zone_of(name)
    except BadMoment as bad:
        found.append(Fault(pointer, bad.code, bad.detail))
        return None


def _moment(text: str, zone: tzinfo, pointer: str, found: list[Fault]) -> tuple[int, bool] | None:
    try:
        return moments.read_moment(text, zone)
    except BadMoment as bad:
        found.append(Fault(pointer, bad.code, bad.detail))
        return None
