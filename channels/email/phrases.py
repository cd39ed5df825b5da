"""What a mail says besides the words of the event, in Danish and English."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import msgspec

from engine.records.dates import MONTHS, WEEKDAYS
from engine.records.event import CalendarEntry
from engine.records.words import Category, Kind, Language


class Phrases(msgspec.Struct, frozen=True, kw_only=True):
    neutral_subject: str  # of a sensitive event: says that there is something, never what
    neutral_body: str
    log_in: str
    open_link: str
    from_whom: str
    when: str
    where: str
    repeats: str
    cancelled: str
    changed: str
    why: str  # why this mail came, with {category}
    no_reply: str
    categories: dict[Category, str]
    weekdays: tuple[str, ...]
    months: tuple[str, ...]


DANISH = Phrases(
    neutral_subject="Du har fået en ny notifikation",
    neutral_body="Du har fået en ny notifikation. Log ind for at læse den.",
    log_in="Log ind",
    open_link="Åbn",
    from_whom="Fra",
    when="Hvornår",
    where="Hvor",
    repeats="Begivenheden gentages.",
    cancelled="Begivenheden er aflyst.",
    changed="Begivenheden er ændret.",
    why="Du får denne e-mail, fordi du får {category} på e-mail.",
    no_reply="E-mailen er sendt automatisk og kan ikke besvares.",
    categories={
        Category.MESSAGE: "beskeder",
        Category.CALENDAR: "kalenderbegivenheder",
        Category.POST: "opslag",
        Category.PRESENCE: "besked om komme og gå",
        Category.SURVEY: "spørgeskemaer",
        Category.ANNOUNCEMENT: "meddelelser",
    },
    weekdays=WEEKDAYS[Language.DA],
    months=MONTHS[Language.DA],
)

ENGLISH = Phrases(
    neutral_subject="You have a new notification",
    neutral_body="You have a new notification. Log in to read it.",
    log_in="Log in",
    open_link="Open",
    from_whom="From",
    when="When",
    where="Where",
    repeats="The event repeats.",
    cancelled="The event is cancelled.",
    changed="The event has changed.",
    why="You get this e-mail because you receive {category} by e-mail.",
    no_reply="This e-mail was sent automatically and cannot be answered.",
    categories={
        Category.MESSAGE: "messages",
        Category.CALENDAR: "calendar events",
        Category.POST: "posts",
        Category.PRESENCE: "presence news",
        Category.SURVEY: "surveys",
        Category.ANNOUNCEMENT: "announcements",
    },
    weekdays=WEEKDAYS[Language.EN],
    months=MONTHS[Language.EN],
)

PHRASES = {Language.DA: DANISH, Language.EN: ENGLISH}


def notice(kind: Kind, language: Language) -> str | None:
    """The sentence that says that a calendar entry was changed or cancelled."""
    phrases = PHRASES[language]
    return {Kind.CALENDAR_CHANGED: phrases.changed, Kind.CALENDAR_CANCELLED: phrases.cancelled}.get(kind)


def zone_of(entry: CalendarEntry) -> ZoneInfo:
    """The zone of an entry; UTC where its name is none that we know."""
    try:
        return ZoneInfo(entry.timezone)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return ZoneInfo("UTC")


def local(entry: CalendarEntry) -> tuple[datetime, datetime]:
    """Start and end on the clock of the entry's zone."""
    zone = zone_of(entry)
    return datetime.fromtimestamp(entry.start_ms / 1000, zone), datetime.fromtimestamp(entry.end_ms / 1000, zone)


def days(entry: CalendarEntry) -> tuple[date, date]:
    """First day, and the day after the last, of an entry that takes whole days."""
    start, end = local(entry)
    return start.date(), max(end.date(), start.date() + timedelta(days=1))


def span(entry: CalendarEntry, language: Language) -> str:
    """Say when an entry takes place, as people write it."""
    if entry.all_day:
        first, after = days(entry)
        last = after - timedelta(days=1)
        return _day(first, language) if first == last else f"{_day(first, language)} – {_day(last, language)}"
    start, end = local(entry)
    if start.date() == end.date():
        between = f"{_clock(start, language)}–{_clock(end, language)}"
        return f"{_day(start, language)} {'kl. ' if language is Language.DA else ''}{between}"
    return f"{_moment(start, language)} – {_moment(end, language)}"


def _day(day: date, language: Language) -> str:
    phrases = PHRASES[language]
    dot = "." if language is Language.DA else ""
    return f"{phrases.weekdays[day.weekday()]} {day.day}{dot} {phrases.months[day.month - 1]} {day.year}"


def _clock(moment: datetime, language: Language) -> str:
    return moment.strftime("%H.%M" if language is Language.DA else "%H:%M")


def _moment(moment: datetime, language: Language) -> str:
    return f"{_day(moment, language)} {'kl. ' if language is Language.DA else ''}{_clock(moment, language)}"
