"""Calendar parts, read back by an iCalendar parser as a mail program would."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Any

import icalendar
import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.records.event import CalendarEntry
from engine.records.words import Kind
from tests.mail.letters import ADMITTED_MS, ENTRY, event, parts, read, written


def calendar_of(raw: bytes) -> Any:
    """The library types every property as a union of all; the tests know which is which."""
    return icalendar.Calendar.from_ical(parts(read(raw))["text/calendar"])


def entry_of(entry: CalendarEntry, kind: Kind = Kind.CALENDAR_INVITED, address: str = "ole@hjem.example") -> Any:
    return calendar_of(written(event(kind=kind, calendar=entry), address=address)).walk("VEVENT")[0]


@pytest.mark.parametrize(
    ("kind", "method", "status"),
    [
        (Kind.CALENDAR_INVITED, "REQUEST", "CONFIRMED"),
        (Kind.CALENDAR_CHANGED, "REQUEST", "CONFIRMED"),
        (Kind.CALENDAR_CANCELLED, "CANCEL", "CANCELLED"),
    ],
)
def test_the_method_follows_the_kind_in_header_and_calendar(kind: Kind, method: str, status: str) -> None:
    raw = written(event(kind=kind, calendar=ENTRY))
    part = list(read(raw).iter_parts())[2]
    calendar = calendar_of(raw)

    assert part.get_content_type() == "text/calendar"
    assert part["Content-Type"].params["method"] == method
    assert calendar["METHOD"] == method
    assert calendar.walk("VEVENT")[0]["STATUS"] == status


def test_an_entry_keeps_uid_and_sequence_and_is_stamped_with_the_admission() -> None:
    found = entry_of(ENTRY)

    assert found["UID"] == ENTRY.uid
    assert found["SEQUENCE"] == 3
    assert found["DTSTAMP"].dt == datetime.fromtimestamp(ADMITTED_MS / 1000, UTC)
    assert found["DTSTART"].dt.isoformat() == "2026-03-02T09:00:00+01:00"
    assert found["DTEND"].dt.isoformat() == "2026-03-02T10:00:00+01:00"
    assert found["SUMMARY"] == ENTRY.summary
    assert found["ORGANIZER"] == "mailto:notify@skole.example"
    assert found["ATTENDEE"] == "mailto:ole@hjem.example"


@pytest.mark.parametrize(
    "address",
    [
        "a@b.dk",
        "x=y+z@hjem.example",
        "n" * 64 + "@" + "d" * 60 + "." + "e" * 60 + ".example",
        "søren.ærlig@hjem.example",
    ],
)
def test_any_address_stands_whole_in_its_attendee_line(address: str) -> None:
    raw = written(event(calendar=ENTRY), address=address)

    assert entry_of(ENTRY, address=address)["ATTENDEE"] == f"mailto:{address}"
    assert max(len(row) for row in raw.split(b"\r\n\r\n", 1)[1].split(b"\r\n")) <= 76


def test_a_series_brings_its_rule_and_its_zone() -> None:
    raw = written(event(calendar=msgspec.structs.replace(ENTRY, recurrence_rule="FREQ=WEEKLY;COUNT=4")))
    calendar = calendar_of(raw)

    assert calendar.walk("VEVENT")[0]["RRULE"] == {"FREQ": ["WEEKLY"], "COUNT": [4]}
    assert [zone["TZID"] for zone in calendar.walk("VTIMEZONE")] == ["Europe/Copenhagen"]


def test_the_written_zone_knows_both_danish_nights() -> None:
    zone = calendar_of(written(event(calendar=ENTRY))).walk("VTIMEZONE")[0].to_tz()

    def hours(local: str) -> float:
        offset = datetime.fromisoformat(local).replace(tzinfo=zone).utcoffset()
        assert offset is not None
        return offset.total_seconds() / 3600

    assert [hours("2026-03-29T01:59"), hours("2026-03-29T03:01")] == [1, 2]
    assert [hours("2026-10-25T01:59"), hours("2026-10-25T03:01")] == [2, 1]


@pytest.mark.parametrize("spelled", ["20260302T090000", "2026-03-02T08:00:00Z", "20260302T080000Z"])
def test_one_occurrence_is_named_in_the_zone_of_its_series(spelled: str) -> None:
    found = entry_of(msgspec.structs.replace(ENTRY, recurrence_id=spelled, recurrence_rule="FREQ=DAILY"))

    assert found["RECURRENCE-ID"].dt.isoformat() == "2026-03-02T09:00:00+01:00"
    assert "RRULE" not in found


@pytest.mark.parametrize("fields", [{"recurrence_id": "den anden tirsdag"}, {"recurrence_rule": "FREQ=SOMETIMES"}])
def test_what_cannot_be_written_truly_is_told_in_words_only(fields: dict[str, str]) -> None:
    broken = msgspec.structs.replace(ENTRY, **fields)
    alternatives = parts(read(written(event(kind=Kind.CALENDAR_CANCELLED, calendar=broken))))

    assert "text/calendar" not in alternatives
    assert "Begivenheden er aflyst." in alternatives["text/plain"]


def test_a_whole_day_is_a_date_and_ends_the_day_after() -> None:
    found = entry_of(msgspec.structs.replace(ENTRY, all_day=True, start_ms=1_772_406_000_000, end_ms=1_772_492_400_000))

    assert (found["DTSTART"].dt, found["DTEND"].dt) == (date(2026, 3, 2), date(2026, 3, 3))


@pytest.mark.parametrize(("zone", "start"), [("Europe/London", "08:00:00+00:00"), ("Mars/Base", "08:00:00+00:00")])
def test_other_zones_are_written_and_unknown_ones_become_utc(zone: str, start: str) -> None:
    assert entry_of(msgspec.structs.replace(ENTRY, timezone=zone))["DTSTART"].dt.isoformat() == f"2026-03-02T{start}"


def test_the_mail_says_when_and_where_in_words() -> None:
    text = parts(read(written(event(kind=Kind.CALENDAR_CHANGED, calendar=ENTRY))))["text/plain"]

    assert "Hvornår: mandag 2. marts 2026 kl. 09.00–10.00" in text
    assert "Hvor: Lokale 12" in text
    assert "Begivenheden er ændret." in text


@settings(max_examples=60, deadline=None)
@given(summary=st.text(max_size=80), location=st.text(max_size=40), uid=st.text(min_size=1, max_size=80))
def test_any_words_stay_inside_their_property(summary: str, location: str, uid: str) -> None:
    found = entry_of(msgspec.structs.replace(ENTRY, summary=summary, location=location, uid=uid))

    assert found["ATTENDEE"] == "mailto:ole@hjem.example"
    assert found["SEQUENCE"] == 3
    assert set(found) <= {
        "SUMMARY", "DTSTART", "DTEND", "DTSTAMP", "UID", "SEQUENCE", "DESCRIPTION", "LOCATION", "ORGANIZER",
        "STATUS", "ATTENDEE",
    }  # fmt: skip
