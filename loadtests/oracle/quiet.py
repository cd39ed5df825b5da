"""Quiet hours as the settings page tells them: on these days, from this time until that one, Danish time."""

from __future__ import annotations

from datetime import datetime, timedelta
from enum import StrEnum
from zoneinfo import ZoneInfo

_DENMARK = ZoneInfo("Europe/Copenhagen")
_HALF_HOUR_MS = 30 * 60 * 1000

Hours = tuple[tuple[int, ...], str, str]


class Quiet(StrEnum):
    """How a person's quiet hours lie in a stretch of time."""

    NEVER = "never"
    PARTLY = "partly"
    ALWAYS = "always"


def quiet_between(hours: tuple[Hours, ...], from_ms: int, until_ms: int) -> Quiet:
    """Say whether a person is quiet in this stretch: settings change state on half-hours only."""
    if not hours:
        return Quiet.NEVER
    first, last = from_ms // _HALF_HOUR_MS, max(from_ms, until_ms) // _HALF_HOUR_MS
    states = {is_quiet(hours, at * _HALF_HOUR_MS) for at in range(first, last + 1)}
    if len(states) == 2:
        return Quiet.PARTLY
    return Quiet.ALWAYS if states.pop() else Quiet.NEVER


def is_quiet(hours: tuple[Hours, ...], moment_ms: int) -> bool:
    """Say whether a moment lies in any of the hours; `until` at or before `from` means the next day."""
    local = datetime.fromtimestamp(moment_ms / 1000, _DENMARK)
    clock = local.strftime("%H:%M")
    today, yesterday = local.weekday(), (local - timedelta(days=1)).weekday()
    for days, start, until in hours:
        if until > start:
            if today in days and start <= clock < until:
                return True
        elif (today in days and clock >= start) or (yesterday in days and clock < until):
            return True
    return False
