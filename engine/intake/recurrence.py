"""Checks a recurrence rule (RFC 5545, 3.3.10) part by part, and that it gives any day at all. Pure.

The rule itself is passed on as text to calendar programs, which differ in what they make of nonsense: an INTERVAL of 0
hangs some, a COUNT of -1 repeats for ever in others. So nonsense ends here.
"""

from __future__ import annotations

import re
from calendar import isleap, monthrange
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from typing import NamedTuple

from engine.intake import moments
from engine.intake.faults import Fault
from engine.intake.moments import BadMoment

COUNT_MAX = 5_000
INTERVAL_MAX = 999
_FREQUENCIES = ("DAILY", "WEEKLY", "MONTHLY", "YEARLY")
_WEEKDAYS = ("MO", "TU", "WE", "TH", "FR", "SA", "SU")
_WEEKDAY = f"({'|'.join(_WEEKDAYS)})"


class _Numbers(NamedTuple):
    """A list of numbers in a range; `is_signed`: from the end too, and 0 is none."""

    low: int
    high: int
    is_signed: bool = False

    def fits(self, text: str) -> bool:
        form = r"[+-]?[0-9]{1,3}" if self.is_signed else r"[0-9]{1,3}"
        numbers = [int(item) for item in text.split(",") if re.fullmatch(form, item)]
        if len(numbers) != text.count(",") + 1:
            return False
        return all(self.low <= (abs(number) if self.is_signed else number) <= self.high for number in numbers)

    def __str__(self) -> str:
        return f"numbers from {self.low} to {self.high}" + (", or negative from the end" if self.is_signed else "")


_LISTS = {
    "BYMONTHDAY": _Numbers(1, 31, True),
    "BYYEARDAY": _Numbers(1, 366, True),
    "BYWEEKNO": _Numbers(1, 53, True),
    "BYMONTH": _Numbers(1, 12),
    "BYSETPOS": _Numbers(1, 366, True),
    "BYHOUR": _Numbers(0, 23),
    "BYMINUTE": _Numbers(0, 59),
}
_ONLY_WITH = {  # RFC 5545, 3.3.10: what a part means with another frequency is not defined
    "BYWEEKNO": ("YEARLY",),
    "BYYEARDAY": ("YEARLY",),
    "BYMONTHDAY": ("DAILY", "MONTHLY", "YEARLY"),
}
_PARTS = frozenset(["FREQ", "UNTIL", "COUNT", "INTERVAL", "BYDAY", "WKST", *_LISTS])
_CHOOSING = frozenset(_LISTS) - {"BYHOUR", "BYMINUTE"}
_NAMING_DAYS = frozenset(["BYMONTHDAY", "BYYEARDAY", "BYWEEKNO", "BYDAY"])
_BY_NUMBER = re.compile(rf"[+-]?([1-9]|[1-4][0-9]|5[0-3]){_WEEKDAY}")


def rule_faults(rule: str, pointer: str, starts: datetime, is_all_day: bool) -> list[Fault]:
    """List what is wrong with a rule.

    Args:
        starts: the first occurrence, an aware time in the entry's zone.
        is_all_day: whether the entry is of whole days; then UNTIL is a date, else a time in UTC.
    """
    pairs = [part.partition("=") for part in rule.split(";")]
    names = [name for name, _, _ in pairs]
    if any(not name or not value for name, _, value in pairs) or not set(names) <= _PARTS:
        return [_fault(pointer, "must be a recurrence rule of RFC 5545, as FREQ=WEEKLY;COUNT=10")]
    if len(set(names)) != len(names):
        return [_fault(pointer, "a part of the rule stands twice; leave one out")]
    parts = {name: value for name, _, value in pairs}
    found = [_fault(pointer, said) for said in _sentences(parts, is_all_day)]
    if not found:
        found = [_fault(pointer, said) for said in _end_sentences(parts, starts, is_all_day)]
    if not found and not _gives_a_day(rule, starts.month, starts.day):
        found = [_fault(pointer, "gives no day at all, as 30 February: check the BY parts against each other")]
    return found


def _fault(pointer: str, sentence: str) -> Fault:
    return Fault(pointer, "recurrence-rule", sentence)


def _sentences(parts: dict[str, str], is_all_day: bool) -> Iterator[str]:
    frequency = parts.get("FREQ", "")
    if frequency not in _FREQUENCIES:
        yield f"FREQ must be one of {', '.join(_FREQUENCIES)}"
    if "UNTIL" in parts and "COUNT" in parts:
        yield "give UNTIL or COUNT, not both"
    for name, most in (("COUNT", COUNT_MAX), ("INTERVAL", INTERVAL_MAX)):
        if name in parts and not (re.fullmatch(r"[0-9]{1,9}", parts[name]) and 1 <= int(parts[name]) <= most):
            yield f"{name} must be a number from 1 to {most}"
    for name, numbers in _LISTS.items():
        if name in parts and not numbers.fits(parts[name]):
            yield f"{name} must be {numbers}, joined by commas"
        if name in parts and frequency in _FREQUENCIES and frequency not in _ONLY_WITH.get(name, _FREQUENCIES):
            yield f"{name} does not go with FREQ={frequency}"
    if "WKST" in parts and not re.fullmatch(_WEEKDAY, parts["WKST"]):
        yield "WKST must be a day of the week, as MO"
    if "BYDAY" in parts:
        yield from _weekday_sentences(parts, frequency)
    if "BYSETPOS" in parts and not any(name.startswith("BY") and name != "BYSETPOS" for name in parts):
        yield "BYSETPOS chooses among days that another BY part names"
    if is_all_day and ("BYHOUR" in parts or "BYMINUTE" in parts):
        yield "BYHOUR and BYMINUTE do not go with an entry of whole days"


def _weekday_sentences(parts: dict[str, str], frequency: str) -> Iterator[str]:
    days = parts["BYDAY"].split(",")
    numbered = [day for day in days if _BY_NUMBER.fullmatch(day)]
    if not all(re.fullmatch(_WEEKDAY, day) for day in days if day not in numbered):
        yield "BYDAY must be days of the week, as MO,TH, or with a number, as 1MO or -1FR"
    elif numbered and (frequency not in ("MONTHLY", "YEARLY") or "BYWEEKNO" in parts):
        yield "BYDAY with a number, as 1MO, goes with FREQ=MONTHLY or FREQ=YEARLY, without BYWEEKNO"


def _end_sentences(parts: dict[str, str], starts: datetime, is_all_day: bool) -> Iterator[str]:
    until = parts.get("UNTIL")
    if until is None:
        return
    form, example = ("%Y%m%d", "20261231") if is_all_day else ("%Y%m%dT%H%M%SZ", "20261231T225959Z")
    if not re.fullmatch(r"[0-9]{8}" if is_all_day else r"[0-9]{8}T[0-9]{6}Z", until):
        what = "a date for an entry of whole days" if is_all_day else "a time in UTC for an entry with a time"
        yield f"UNTIL must be {what}, as {example}"
        return
    try:
        ends = datetime.strptime(until, form)
        ends_ms = moments.day_ms(ends.date(), starts.tzinfo or moments.zone_of(moments.HOME_ZONE))
        if not is_all_day:
            ends_ms = moments.to_ms(ends.replace(tzinfo=UTC))
    except ValueError:
        yield f"UNTIL must be a day or time that there is, as {example}"
    except BadMoment as bad:
        yield f"UNTIL: {bad.detail}"
    else:
        if ends_ms < moments.to_ms(starts):
            yield "UNTIL is before the start"


# --- whether a rule gives any day -------------------------------------------------------------------------------


class _Day(NamedTuple):
    """A day of a year and all its numbers; those `from_end` are negative."""

    month: int
    month_day: int
    month_day_from_end: int
    year_day: int
    year_day_from_end: int
    week: int
    week_from_end: int
    weekday: str
    names_in_month: frozenset[str]  # MO, 1MO and -4MO for the first of four Mondays: what BYDAY may call it
    names_in_year: frozenset[str]


@lru_cache(maxsize=1)
def _kinds_of_year() -> list[list[_Day]]:
    """The 14 years that there are: seven first weekdays, leap or not."""
    kinds: dict[tuple[int, bool], list[_Day]] = {}
    for year in range(2001, 2029):
        kind = (date(year, 1, 1).weekday(), isleap(year))
        if kind not in kinds:
            kinds[kind] = [_day(date(year, 1, 1) + timedelta(days=at)) for at in range(365 + isleap(year))]
    return list(kinds.values())


def _day(day: date) -> _Day:
    year_day, (iso_year, week, number) = day.timetuple().tm_yday, day.isocalendar()
    weekday = _WEEKDAYS[number - 1]
    from_end_of_month = day.day - monthrange(day.year, day.month)[1] - 1
    from_end_of_year = year_day - 366 - isleap(day.year)
    return _Day(
        month=day.month,
        month_day=day.day,
        month_day_from_end=from_end_of_month,
        year_day=year_day,
        year_day_from_end=from_end_of_year,
        week=week,
        week_from_end=week - date(iso_year, 12, 28).isocalendar().week - 1,
        weekday=weekday,
        names_in_month=_names(weekday, day.day, from_end_of_month),
        names_in_year=_names(weekday, year_day, from_end_of_year),
    )


def _names(weekday: str, place: int, from_end: int) -> frozenset[str]:
    return frozenset([weekday, f"{(place + 6) // 7}{weekday}", f"-{(6 - from_end) // 7}{weekday}"])


@lru_cache(maxsize=1024)
def _gives_a_day(rule: str, start_month: int, start_day: int) -> bool:
    """Whether some year holds a day that fits all parts, enough of them for BYSETPOS. Some ms for a rule that has none.

    A general library walks on to the year 9999 first: 3 s for 30 February, and nothing else is served meanwhile.
    """
    parts = dict(part.split("=", 1) for part in rule.split(";"))
    frequency = parts["FREQ"]
    if not _CHOOSING & set(parts) and not _BY_NUMBER.match(parts.get("BYDAY", "")):
        return True  # weekdays alone: they always come
    wanted = {name: {int(item) for item in parts[name].split(",")} for name in _CHOOSING & set(parts)}
    if frequency in ("MONTHLY", "YEARLY") and not _NAMING_DAYS & set(parts):  # what is left out, the start says
        wanted["BYMONTHDAY"] = {start_day}
        wanted.setdefault("BYMONTH", set(range(1, 13)) if frequency == "MONTHLY" else {start_month})
    positions = [abs(position) for position in wanted.pop("BYSETPOS", {1})]
    times = max(1, len(parts.get("BYHOUR", "").split(","))) * max(1, len(parts.get("BYMINUTE", "").split(",")))
    weekdays = frozenset(parts["BYDAY"].replace("+", "").split(",")) if "BYDAY" in parts else None
    in_month = frequency == "MONTHLY" or "BYMONTH" in parts
    most = 0
    for year in _kinds_of_year():
        fitting = [
            day
            for day in year
            if _fits(day, wanted)
            and (weekdays is None or not weekdays.isdisjoint(day.names_in_month if in_month else day.names_in_year))
        ]
        most = max(most, _most_in_a_period(fitting, frequency))
        if most * times >= min(positions):
            return True
    return False


def _fits(day: _Day, wanted: dict[str, set[int]]) -> bool:
    return (
        ("BYMONTH" not in wanted or day.month in wanted["BYMONTH"])
        and ("BYMONTHDAY" not in wanted or not wanted["BYMONTHDAY"].isdisjoint(day[1:3]))
        and ("BYYEARDAY" not in wanted or not wanted["BYYEARDAY"].isdisjoint(day[3:5]))
        and ("BYWEEKNO" not in wanted or not wanted["BYWEEKNO"].isdisjoint(day[5:7]))
    )


def _most_in_a_period(days: list[_Day], frequency: str) -> int:
    """How many of the days one period of the rule holds at most: BYSETPOS counts among these."""
    match frequency:
        case "DAILY":
            return min(1, len(days))
        case "WEEKLY":
            return len({day.weekday for day in days})
        case "MONTHLY":
            return max(Counter(day.month for day in days).values(), default=0)
        case _:
            return len(days)
