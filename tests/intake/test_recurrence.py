"""Recurrence rules: nonsense is refused with its remedy, and what calendar programs understand is taken."""

from __future__ import annotations

from calendar import monthrange
from datetime import date, datetime
from time import process_time
from zoneinfo import ZoneInfo

import pytest
from dateutil.rrule import rrulestr
from hypothesis import given
from hypothesis import strategies as st

from engine.intake.recurrence import rule_faults

START = datetime(2026, 11, 30, 8, tzinfo=ZoneInfo("Europe/Copenhagen"))
WEEKDAYS = ("MO", "TU", "WE", "TH", "FR", "SA", "SU")


def said(rule: str, *, is_all_day: bool = False, starts: datetime = START) -> str:
    faults = rule_faults(rule, "/r", starts.replace(hour=0) if is_all_day else starts, is_all_day)
    assert {(fault.pointer, fault.code) for fault in faults} <= {("/r", "recurrence-rule")}
    return "; ".join(fault.detail for fault in faults)


@pytest.mark.parametrize(
    "rule",
    [
        "FREQ=WEEKLY",
        "FREQ=MONTHLY;BYDAY=1MO;COUNT=10",
        "FREQ=DAILY;UNTIL=20261201T000000Z",
        "FREQ=DAILY;UNTIL=20261130T070000Z",
        "FREQ=MONTHLY;BYDAY=MO,TU,WE,TH,FR;BYSETPOS=-1",
        "FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=29;BYDAY=MO",
        "FREQ=YEARLY;BYDAY=53MO",
        "FREQ=MONTHLY;BYDAY=+2TU,-1FR",
        "FREQ=YEARLY;BYWEEKNO=-1;BYDAY=SU;WKST=MO",
        "FREQ=DAILY;BYHOUR=8,12;BYMINUTE=0;BYSETPOS=2",
        "FREQ=WEEKLY;COUNT=5000;INTERVAL=999",
    ],
)
def test_good_rules_pass(rule: str) -> None:
    assert said(rule) == ""


@pytest.mark.parametrize(
    ("rule", "words"),
    [
        ("", "as FREQ=WEEKLY"),
        ("FREQ", "as FREQ=WEEKLY"),
        ("FREQ=", "as FREQ=WEEKLY"),
        (";FREQ=DAILY", "as FREQ=WEEKLY"),
        ("FREQ=DAILY;EVIL=1", "as FREQ=WEEKLY"),
        ("COUNT=3", "FREQ must be one of"),
        ("FREQ=HOURLY", "FREQ must be one of"),
        ("FREQ=DAILY;FREQ=DAILY", "stands twice"),
        ("FREQ=DAILY;COUNT=2;UNTIL=20261201T000000Z", "not both"),
        ("FREQ=DAILY;COUNT=-1", "COUNT must be a number from 1"),
        ("FREQ=DAILY;COUNT=0", "COUNT must be a number from 1"),
        ("FREQ=DAILY;COUNT=999999999", "to 5000"),
        ("FREQ=DAILY;COUNT=" + "9" * 400, "to 5000"),
        ("FREQ=DAILY;INTERVAL=0", "INTERVAL must be a number from 1"),
        ("FREQ=DAILY;INTERVAL=-2;COUNT=-1", "COUNT must be a number from 1 to 5000; INTERVAL"),
        ("FREQ=WEEKLY;BYDAY=XX", "BYDAY must be days of the week"),
        ("FREQ=WEEKLY;BYDAY=MO,", "BYDAY must be days of the week"),
        ("FREQ=MONTHLY;BYDAY=0MO", "BYDAY must be days of the week"),
        ("FREQ=WEEKLY;BYDAY=1MO", "goes with FREQ=MONTHLY"),
        ("FREQ=YEARLY;BYDAY=1MO;BYWEEKNO=3", "without BYWEEKNO"),
        ("FREQ=MONTHLY;BYMONTHDAY=32", "BYMONTHDAY must be numbers from 1 to 31"),
        ("FREQ=MONTHLY;BYMONTHDAY=0", "BYMONTHDAY must be numbers from 1 to 31"),
        ("FREQ=WEEKLY;BYMONTHDAY=1", "does not go with FREQ=WEEKLY"),
        ("FREQ=MONTHLY;BYYEARDAY=1", "does not go with FREQ=MONTHLY"),
        ("FREQ=WEEKLY;BYMONTH=-1", "BYMONTH must be numbers from 1 to 12"),
        ("FREQ=WEEKLY;WKST=1", "WKST must be a day"),
        ("FREQ=MONTHLY;BYSETPOS=1", "BYSETPOS chooses"),
        ("FREQ=DAILY;UNTIL=20261129T000000Z", "UNTIL is before the start"),
        ("FREQ=DAILY;UNTIL=20261332T000000Z", "a day or time that there is"),
        ("FREQ=DAILY;UNTIL=99991231T000000Z", "the year must be"),
        ("FREQ=DAILY;UNTIL=20261201", "a time in UTC"),
        ("FREQ=DAILY;UNTIL=20261201T000000", "a time in UTC"),
        ("FREQ=DAILY;BYMONTH=2;BYMONTHDAY=30", "gives no day at all"),
        ("FREQ=MONTHLY;BYDAY=6MO", "gives no day at all"),
        ("FREQ=MONTHLY;BYMONTHDAY=1,2;BYSETPOS=3", "gives no day at all"),
        ("FREQ=YEARLY;BYYEARDAY=-1;BYMONTH=11", "gives no day at all"),
        ("FREQ=YEARLY;BYWEEKNO=20;BYMONTH=1", "gives no day at all"),
        ("FREQ=WEEKLY;BYDAY=MO,TU;BYSETPOS=3", "gives no day at all"),
        ("FREQ=MONTHLY;BYMONTH=2", "gives no day at all"),  # the start says: on the 30th
    ],
)
def test_nonsense_is_refused_with_its_remedy(rule: str, words: str) -> None:
    assert words in said(rule)


def test_a_long_rule_that_never_comes_is_soon_known() -> None:
    rule = "FREQ=MONTHLY;BYDAY=" + ",".join(f"{number}{day}" for number in range(6, 24) for day in WEEKDAYS)
    said("FREQ=MONTHLY;BYDAY=7MO")  # the table of days is made once
    begun = process_time()
    assert "gives no day at all" in said(rule[:500].rpartition(",")[0])
    assert process_time() - begun < 0.1  # a walk day by day, weekday by weekday, took four times as long


def test_the_rule_of_whole_days_ends_on_a_date_and_names_no_hours() -> None:
    assert said("FREQ=DAILY;UNTIL=20261130", is_all_day=True) == ""
    assert "a date" in said("FREQ=DAILY;UNTIL=20261201T000000Z", is_all_day=True)
    assert "before the start" in said("FREQ=DAILY;UNTIL=20261129", is_all_day=True)
    assert "BYHOUR" in said("FREQ=DAILY;BYHOUR=3", is_all_day=True)


@given(st.dates(date(2001, 1, 1), date(2028, 12, 31)), st.sets(st.integers(0, 6)), st.booleans())
def test_a_rule_that_was_made_from_a_day_gives_a_day(day: date, chosen: set[int], from_end: bool) -> None:
    length = monthrange(day.year, day.month)[1]
    weekday = WEEKDAYS[day.weekday()]
    choices = [
        f"BYMONTH={day.month}",
        f"BYMONTHDAY={day.day - length - 1 if from_end else day.day}",
        f"BYDAY={-((length - day.day) // 7 + 1) if from_end else (day.day + 6) // 7}{weekday}",
    ]
    month = [choices[at] for at in sorted(chosen & {0, 1, 2})]
    starts = datetime(day.year, day.month, day.day, 8, tzinfo=START.tzinfo)
    assert said(";".join(["FREQ=MONTHLY", *month]), starts=starts) == ""
    yearly = f"FREQ=YEARLY;BYYEARDAY={day.timetuple().tm_yday};BYDAY={weekday}"
    assert said(";".join([yearly, *[choices[0]] * (0 in chosen)])) == ""
    assert said(f"FREQ=YEARLY;BYWEEKNO={day.isocalendar().week};BYDAY={weekday};BYMONTH={day.month}") == ""


PIECES = st.sampled_from(
    ["BYMONTH=2", "BYMONTH=4,6", "BYMONTHDAY=29", "BYMONTHDAY=30,31", "BYMONTHDAY=-31", "BYDAY=MO", "BYDAY=5FR",
     "BYDAY=-5TU", "BYDAY=6MO", "BYDAY=53SU", "BYSETPOS=2", "BYSETPOS=-3", "BYSETPOS=40", "BYYEARDAY=366",
     "BYYEARDAY=1,60", "BYWEEKNO=53", "BYWEEKNO=1", "WKST=MO"]
)  # fmt: skip


@given(st.sampled_from(["DAILY", "WEEKLY", "MONTHLY", "YEARLY"]), st.lists(PIECES, max_size=4))
def test_another_reader_of_rules_finds_a_day_wherever_we_take_one(frequency: str, pieces: list[str]) -> None:
    rule = ";".join([f"FREQ={frequency}", *pieces])
    if said(rule) == "":
        assert next(iter(rrulestr(rule, dtstart=datetime(2026, 11, 30, 8))), None) is not None
