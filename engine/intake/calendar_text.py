"""Words for a calendar entry that came without texts: title and body in Danish and English. Pure."""

from __future__ import annotations

from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from engine.intake.moments import HOME_ZONE
from engine.records.dates import MONTHS, WEEKDAYS
from engine.records.event import CalendarEntry, Text
from engine.records.words import Kind, Language

TITLE_CHARACTERS_MAX = 200

_TITLES: dict[Language, dict[Kind, str]] = {
    Language.DA: {
        Kind.CALENDAR_INVITED: "Invitation: ",
        Kind.CALENDAR_CHANGED: "Ændret: ",
        Kind.CALENDAR_CANCELLED: "Aflyst: ",
    },
    Language.EN: {
        Kind.CALENDAR_INVITED: "Invitation: ",
        Kind.CALENDAR_CHANGED: "Changed: ",
        Kind.CALENDAR_CANCELLED: "Cancelled: ",
    },
}
_REPEATS = {Language.DA: "Gentages", Language.EN: "Repeats"}


def texts_of(entry: CalendarEntry, kind: Kind) -> dict[Language, Text]:
    """Title and body of an entry in every language."""
    return {language: Text(_title(entry, kind, language), _body(entry, language)) for language in Language}


def when(entry: CalendarEntry, language: Language) -> str:
    """The entry's time in its own zone, as in `mandag den 30. november 2026 kl. 8.00-9.30`."""
    zone = ZoneInfo(entry.timezone)
    start = datetime.fromtimestamp(entry.start_ms / 1000, zone)
    end = datetime.fromtimestamp(entry.end_ms / 1000, zone)
    if entry.all_day:
        return _days(start, end - timedelta(days=1), language)
    text = _times(start, end, language)
    return text if entry.timezone == HOME_ZONE else f"{text} ({entry.timezone})"


def _title(entry: CalendarEntry, kind: Kind, language: Language) -> str:
    title = _TITLES[language][kind] + entry.summary
    return title if len(title) <= TITLE_CHARACTERS_MAX else title[: TITLE_CHARACTERS_MAX - 1] + "…"


def _body(entry: CalendarEntry, language: Language) -> str:
    lines = [_capital(when(entry, language))]
    if entry.location:
        lines.append(entry.location)
    if entry.recurrence_rule:
        lines.append(_REPEATS[language])
    return "\n".join(lines)


def _days(first: datetime, last: datetime, language: Language) -> str:
    if last.date() <= first.date():
        return _day(first, language)
    return f"{_day(first, language)} – {_day(last, language)}"


def _times(start: datetime, end: datetime, language: Language) -> str:
    opening = f"{_day(start, language)}{_clock(start, language, is_first=True)}"
    if end == start:
        return opening
    if end.date() == start.date():
        return f"{opening}–{_clock(end, language, is_first=False)}"
    return f"{opening} – {_day(end, language)}{_clock(end, language, is_first=True)}"


def _day(moment: datetime, language: Language) -> str:
    day, month = WEEKDAYS[language][moment.weekday()], MONTHS[language][moment.month - 1]
    if language is Language.DA:
        return f"{day} den {moment.day}. {month} {moment.year}"
    return f"{day} {moment.day} {month} {moment.year}"


def _clock(moment: datetime, language: Language, *, is_first: bool) -> str:
    if language is Language.DA:
        return (" kl. " if is_first else "") + f"{moment.hour}.{moment.minute:02}"
    return (", " if is_first else "") + f"{moment.hour:02}:{moment.minute:02}"


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
