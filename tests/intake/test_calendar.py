"""Calendar entries: JSON and iCalendar to one normal form, the nights when clocks change, texts made from them."""

from __future__ import annotations

from datetime import datetime
from zoneinfo import ZoneInfo

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from engine.intake.calendar_entry import entry_from_json
from engine.intake.calendar_text import texts_of, when
from engine.intake.icalendar_in import entry_from_icalendar
from engine.intake.moments import BadMoment, instant_ms, read_moment, shown
from engine.intake.wire import EntryIn
from engine.records.event import CalendarEntry
from engine.records.words import Kind, Language

HOME = ZoneInfo("Europe/Copenhagen")

ICS = """BEGIN:VCALENDAR
VERSION:2.0
PRODID:-//test//test//DA
METHOD:REQUEST
BEGIN:VEVENT
UID:meeting-1@skole
SEQUENCE:2
DTSTART;TZID=Europe/Copenhagen:20261130T080000
DTEND;TZID=Europe/Copenhagen:20261130T093000
SUMMARY:Samtale\\, 3B
LOCATION:Lokale 12
RRULE:FREQ=WEEKLY;COUNT=4
END:VEVENT
END:VCALENDAR
"""


def ms(*moment: int) -> int:
    return int(datetime(*moment, tzinfo=HOME).timestamp() * 1000)  # type: ignore[arg-type,misc]


def read(text: str, kind: Kind = Kind.CALENDAR_INVITED) -> CalendarEntry:
    entry, faults = entry_from_icalendar(text.replace("\n", "\r\n"), kind, "/i")
    assert faults == []
    assert entry is not None
    return entry


def refusal(text: str, kind: Kind = Kind.CALENDAR_INVITED) -> str:
    entry, faults = entry_from_icalendar(text.replace("\n", "\r\n"), kind, "/i")
    assert entry is None
    return faults[0].code


def test_icalendar_and_json_give_the_same_entry() -> None:
    given_json = EntryIn(
        uid="meeting-1@skole",
        sequence=2,
        start="2026-11-30T08:00:00",
        end="2026-11-30T09:30:00",
        summary="Samtale, 3B",
        location="Lokale 12",
        recurrence_rule="FREQ=WEEKLY;COUNT=4",
    )
    entry = read(ICS)
    assert entry == entry_from_json(given_json, "").entry
    assert (entry.start_ms, entry.end_ms, entry.timezone) == (
        ms(2026, 11, 30, 8),
        ms(2026, 11, 30, 9, 30),
        "Europe/Copenhagen",
    )


@pytest.mark.parametrize(
    ("start", "end", "expected"),
    [
        (":20261130T070000Z", "DTEND:20261130T083000Z", (8, 9, 30)),
        (";TZID=Europe/Copenhagen:20261130T080000", "DURATION:PT1H30M", (8, 9, 30)),
        (";TZID=Romance Standard Time:20261130T080000", "DURATION:PT1H30M", (8, 9, 30)),
        (";TZID=Europe/Copenhagen:20261130T080000", "X-NONE:1", (8, 8, 0)),
    ],
)
def test_ways_to_say_when(start: str, end: str, expected: tuple[int, int, int]) -> None:
    text = ICS.replace(";TZID=Europe/Copenhagen:20261130T080000", start, 1)
    entry = read(text.replace("DTEND;TZID=Europe/Copenhagen:20261130T093000", end))
    first, hour, minute = expected
    assert (entry.start_ms, entry.end_ms) == (ms(2026, 11, 30, first), ms(2026, 11, 30, hour, minute))


def test_a_whole_day_lasts_from_midnight_to_midnight_also_when_it_has_25_hours() -> None:
    text = ICS.replace(";TZID=Europe/Copenhagen:20261130T080000", ";VALUE=DATE:20261025")
    entry = read(text.replace("DTEND;TZID=Europe/Copenhagen:20261130T093000\n", ""))
    assert entry.all_day
    assert (entry.start_ms, entry.end_ms) == (ms(2026, 10, 25), ms(2026, 10, 26))
    assert entry.end_ms - entry.start_ms == 25 * 3_600_000
    assert entry == read(text.replace("DTEND;TZID=Europe/Copenhagen:20261130T093000", "DURATION:P1D"))


def test_an_occurrence_has_one_name_in_every_spelling() -> None:
    line = "RECURRENCE-ID;TZID=Europe/Copenhagen:20261207T080000\nSUMMARY"
    local = read(ICS.replace("SUMMARY", line))
    utc = read(ICS.replace("SUMMARY", "RECURRENCE-ID:20261207T070000Z\nSUMMARY"))
    given_json = EntryIn(uid="u", start="2026-12-07T10:00:00", summary="s", recurrence_id="2026-12-07T08:00:00+01:00")
    entry = entry_from_json(given_json, "").entry
    assert entry is not None
    assert local.recurrence_id == utc.recurrence_id == entry.recurrence_id == "20261207T070000Z"


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (("BEGIN:VCALENDAR", "BEGIN:VCARD"), "malformed-icalendar"),
        (("END:VEVENT\n", ""), "malformed-icalendar"),
        (("UID:meeting-1@skole\n", ""), "missing"),
        (("UID:meeting-1@skole", "UID:a\nUID:b"), "repeated-property"),
        (("SUMMARY:Samtale\\, 3B\n", ""), "missing"),
        (("SEQUENCE:2", "SEQUENCE:two"), "malformed-icalendar"),
        (("SEQUENCE:2", "SEQUENCE:99999999999"), "malformed-icalendar"),
        (("DTSTART;TZID=Europe/Copenhagen:20261130T080000\n", ""), "missing"),
        (("DTSTART;TZID=Europe/Copenhagen:", "DTSTART:"), "floating-time"),
        (("DTSTART;TZID=Europe/Copenhagen:", "DTSTART;TZID=Nowhere/Land:"), "unknown-timezone"),
        (("DTSTART;TZID=Europe/Copenhagen:", "DTSTART;TZID=../../etc/passwd:"), "unknown-timezone"),
        (("20261130T080000", "20270328T023000"), "skipped-time"),
        (("DTEND;TZID=Europe/Copenhagen:20261130T093000", "DTEND;VALUE=DATE:20261201"), "mixed-times"),
        (("T093000", "T070000"), "ends-before-start"),
        (("RRULE:", "DURATION:PT1H\nRRULE:"), "mixed-times"),
        (("RRULE:FREQ=WEEKLY;COUNT=4", "RRULE:FREQ=SECONDLY"), "recurrence-rule"),
        (("RRULE:FREQ=WEEKLY;COUNT=4", "RRULE:FREQ=WEEKLY;INTERVAL=0"), "recurrence-rule"),
        (("RRULE:FREQ=WEEKLY;COUNT=4", "RRULE:FREQ=WEEKLY;UNTIL=20261101T000000Z"), "recurrence-rule"),
        (("SUMMARY:Samtale\\, 3B", "SUMMARY: \u200b "), "pattern"),
        (("METHOD:REQUEST", "METHOD:CANCEL"), "method"),
        (("METHOD:REQUEST", "METHOD:REPLY"), "method"),
        (("RRULE", "STATUS:CANCELLED\nRRULE"), "method"),
        (("BEGIN:VEVENT", "BEGIN:VTODO\nEND:VTODO\nBEGIN:VEVENT"), "one-entry"),
        (("RRULE", "RECURRENCE-ID;RANGE=THISANDFUTURE:20261207T070000Z\nRRULE"), "recurrence-range"),
        (("SUMMARY:Samtale\\, 3B", "SUMMARY:" + "x" * 201), "too-long"),
    ],
)
def test_icalendar_that_is_refused(change: tuple[str, str], code: str) -> None:
    assert refusal(ICS.replace(*change)) == code


def test_a_whole_day_that_ends_on_its_own_day_is_refused() -> None:
    text = ICS.replace(";TZID=Europe/Copenhagen:20261130T080000", ";VALUE=DATE:20261130")
    for end in ("DTEND;VALUE=DATE:20261130", "DURATION:P0D"):
        assert refusal(text.replace("DTEND;TZID=Europe/Copenhagen:20261130T093000", end)) == "ends-before-start"


def test_the_method_must_fit_the_type() -> None:
    assert refusal(ICS, Kind.CALENDAR_CANCELLED) == "method"
    assert read(ICS.replace("METHOD:REQUEST", "METHOD:CANCEL"), Kind.CALENDAR_CANCELLED).uid == "meeting-1@skole"
    assert read(ICS.replace("METHOD:REQUEST\n", ""), Kind.CALENDAR_CHANGED).sequence == 2


_PIECES = [
    *ICS.splitlines(),
    "DTSTART:",
    "DTSTART;VALUE=DATE:2026",
    "DTSTART;VALUE=TIME:120000",
    "DTSTART:99991231T235959Z",
    "DTEND;X=",
    "DURATION:-P",
    "DURATION:P9999999999D",
    "RRULE:FREQ=",
    "RECURRENCE-ID;VALUE=PERIOD:20260101T000000Z/PT1H",
    "SEQUENCE:" + "9" * 5000,
    "BEGIN:VTIMEZONE",
    "END:VTIMEZONE",
    "TZID:Europe/Copenhagen",
    ":",
    ";",
]


@given(st.lists(st.sampled_from(_PIECES) | st.text(max_size=20), max_size=16), st.sampled_from(list(Kind)[1:]))
@example(["UID:1", "SUMMARY:1", "DTSTART:99991231T235959Z"], Kind.CALENDAR_CHANGED)
def test_no_text_breaks_the_reader(lines: list[str], kind: Kind) -> None:
    body = ["BEGIN:VCALENDAR", "BEGIN:VEVENT", *lines, "END:VEVENT", "END:VCALENDAR"]
    for text in ("\r\n".join(lines), "\r\n".join(body)):
        entry, faults = entry_from_icalendar(text, kind, "/i")
        assert (entry is None) == bool(faults)


@given(st.data())
def test_no_mutation_of_good_text_breaks_the_reader(data: st.DataObject) -> None:
    lines = ICS.splitlines()
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(lines) - 1))
        lines[at : at + data.draw(st.integers(0, 1))] = [data.draw(st.sampled_from(_PIECES))]
    entry, faults = entry_from_icalendar("\r\n".join(lines), Kind.CALENDAR_INVITED, "/i")
    assert (entry is None) == bool(faults)


def test_a_time_that_clocks_skip_is_refused_and_one_that_comes_twice_is_the_first() -> None:
    with pytest.raises(BadMoment, match="does not exist"):
        read_moment("2026-03-29T02:30:00", HOME)
    twice, _ = read_moment("2026-10-25T02:30:00", HOME)
    assert shown(twice) == "2026-10-25T00:30:00.000Z"
    assert read_moment("2026-03-29T03:00:00", HOME)[0] == instant_ms("2026-03-29T01:00:00Z")


@given(st.datetimes(datetime(2001, 1, 1), datetime(2150, 1, 1)))
def test_local_times_come_back_unless_they_do_not_exist(local: datetime) -> None:
    local = local.replace(microsecond=0)
    try:
        found, _ = read_moment(local.isoformat(), HOME)
    except BadMoment:
        assert (local.month, local.hour) == (3, 2)
        return
    assert datetime.fromtimestamp(found / 1000, HOME).replace(tzinfo=None) == local


@pytest.mark.parametrize("text", ["2026-02-29", "1999-12-31T00:00:00Z", "2026-11-30T08:00:00.123456789Z"])
def test_days_that_do_not_exist_and_long_fractions(text: str) -> None:
    if "." in text:
        assert instant_ms(text) % 1000 == 123
    else:
        with pytest.raises(BadMoment):
            read_moment(text, HOME)


@pytest.mark.parametrize(
    ("kind", "language", "title", "body"),
    [
        (Kind.CALENDAR_INVITED, Language.DA, "Invitation: Samtale, 3B",
         "Mandag den 30. november 2026 kl. 8.00–9.30\nLokale 12\nGentages"),
        (Kind.CALENDAR_CHANGED, Language.EN, "Changed: Samtale, 3B",
         "Monday 30 November 2026, 08:00–09:30\nLokale 12\nRepeats"),
        (Kind.CALENDAR_CANCELLED, Language.DA, "Aflyst: Samtale, 3B",
         "Mandag den 30. november 2026 kl. 8.00–9.30\nLokale 12\nGentages"),
    ],
)  # fmt: skip
def test_texts_made_from_an_entry(kind: Kind, language: Language, title: str, body: str) -> None:
    text = texts_of(read(ICS), kind)[language]
    assert (text.title, text.body) == (title, body)


def test_times_are_shown_in_the_entrys_zone_and_days_without_a_clock() -> None:
    entry = msgspec.structs.replace(read(ICS), timezone="Europe/London")
    assert when(entry, Language.EN) == "Monday 30 November 2026, 07:00–08:30 (Europe/London)"
    days = msgspec.structs.replace(
        entry, all_day=True, start_ms=ms(2026, 2, 15), end_ms=ms(2026, 2, 22), timezone=str(HOME)
    )
    assert when(days, Language.DA) == "søndag den 15. februar 2026 – lørdag den 21. februar 2026"
    night = msgspec.structs.replace(entry, end_ms=ms(2026, 12, 1, 9), timezone=str(HOME))
    assert when(night, Language.DA) == "mandag den 30. november 2026 kl. 8.00 – tirsdag den 1. december 2026 kl. 9.00"


def test_a_long_summary_is_cut_to_a_title() -> None:
    title = texts_of(msgspec.structs.replace(read(ICS), summary="x" * 200), Kind.CALENDAR_CHANGED)[Language.DA].title
    assert len(title) == 200
    assert title.endswith("…")
