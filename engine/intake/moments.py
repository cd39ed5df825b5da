"""Reads dates and times as they come in, and says when a local time does not exist.

Pure. Everything inside is UTC milliseconds; a time zone is an IANA name. A local time in the hour that a clock
change skips is refused: guessing would ring the bell an hour off. One that happens twice means the first (RFC 5545,
3.3.5).
"""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, timedelta, tzinfo
from functools import lru_cache
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError, available_timezones

HOME_ZONE = "Europe/Copenhagen"
_FRACTION = re.compile(r"\.([0-9]+)")
_YEARS = range(2000, 2200)  # beyond these a typo is likelier than a meeting


class BadMoment(Exception):
    """A time that names no instant; its text is a sentence that says why, without the value."""

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(detail)
        self.code = code
        self.detail = detail


def instant_ms(text: str) -> int:
    """Read RFC 3339 with an offset.

    Raises:
        BadMoment: there is no such day or time.
    """
    return to_ms(_parsed(text))


def read_moment(text: str, zone: tzinfo) -> tuple[int, bool]:
    """Read an instant, a local time in `zone`, or a date; gives UTC milliseconds and whether it was a date.

    Raises:
        BadMoment: no such day, or a local time that a clock change skips.
    """
    if "T" not in text:
        try:
            day = date.fromisoformat(text)
        except ValueError:
            raise BadMoment("no-such-time", "there is no such day") from None
        return day_ms(day, zone), True
    moment = _parsed(text)
    if moment.tzinfo is None:
        return local_ms(moment, zone), False
    return to_ms(moment), False


def day_ms(day: date, zone: tzinfo) -> int:
    """The start of a day in a zone. Where midnight is skipped (never in Denmark), it starts right after."""
    _check_year(day.year)
    return to_ms(datetime(day.year, day.month, day.day, tzinfo=zone))


def local_ms(local: datetime, zone: tzinfo) -> int:
    """A wall-clock time in a zone as UTC milliseconds.

    Raises:
        BadMoment: clocks are put forward over it.
    """
    _check_year(local.year)
    there = local.replace(tzinfo=zone, fold=0)
    if there.astimezone(UTC).astimezone(zone).replace(tzinfo=None) != local:
        raise BadMoment("skipped-time", f"clocks are put forward over this local time in {zone}: it does not exist")
    return to_ms(there)


def to_ms(moment: datetime) -> int:
    """An aware datetime as UTC milliseconds."""
    _check_year(moment.year)
    return (moment - _EPOCH) // timedelta(milliseconds=1)


def shown(at_ms: int) -> str:
    """UTC milliseconds as RFC 3339."""
    return datetime.fromtimestamp(at_ms / 1000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


@lru_cache(maxsize=256)
def zone_of(name: str) -> ZoneInfo:
    """Find a time zone by its IANA name.

    Raises:
        BadMoment: unknown.
    """
    try:
        if name in _zones():
            return ZoneInfo(name)
    except ZoneInfoNotFoundError:
        pass
    raise BadMoment("unknown-timezone", f"not an IANA time zone; write {HOME_ZONE}, for example")


@lru_cache(maxsize=1)
def _zones() -> frozenset[str]:
    return frozenset(available_timezones()) - {"Factory", "localtime", "posixrules"}  # no place on earth


def _parsed(text: str) -> datetime:
    # fromisoformat takes up to six digits of a fraction; a wire moment may have nine
    trimmed = _FRACTION.sub(lambda found: "." + found[1][:6].ljust(6, "0"), text)
    try:
        return datetime.fromisoformat(trimmed)
    except ValueError:
        raise BadMoment("no-such-time", "there is no such day or time") from None


def _check_year(year: int) -> None:
    if year not in _YEARS:
        raise BadMoment("no-such-time", f"the year must be {_YEARS.start} to {_YEARS.stop - 1}")


_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
