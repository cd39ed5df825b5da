"""Quiet hours: who is quiet at a moment, and when each of them may be reached.

A person's quiet hours are half-hours of the local week in Europe/Copenhagen; `quiet.<n>` is the plane of half-hour n
(0 is Monday 00:00). Held people are *rippled* through the following half-hours: in each step, who is not in that
step's plane is released at its start, the others stay held.

We step in UTC and look each step up in local time, so both DST nights come out right: on the last Sunday of March the
planes of 02:00-03:00 are never asked, on the last Sunday of October they are asked twice. (Danish offsets are whole
hours, so half-hours of UTC and of local time begin together.)

Who is quiet at every half-hour of the week is held for a week and then asked again, that is, until the event expires.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from functools import lru_cache
from typing import NamedTuple
from zoneinfo import ZoneInfo

from engine.records.roster import Roster
from engine.records.words import Channel, Urgency
from engine.rules import roster as rosters
from engine.rules.planes import quiet_plane

COPENHAGEN = ZoneInfo("Europe/Copenhagen")
HALF_HOUR_MS = 30 * 60 * 1000
WEEK_STEPS = 7 * 48
WINDOW_STEPS = 24  # a night (22:00 to 07:00) fits one window, so that most nights need one read
HELD_CHANNELS = frozenset((Channel.PUSH, Channel.EMAIL))  # the inbox makes no noise


class Step(NamedTuple):
    """One half-hour to come: when it starts, and the plane of those who are quiet in it."""

    start_ms: int
    plane: str


class Release(NamedTuple):
    """These people may be reached from then on."""

    at_ms: int
    people: Roster


def respects_quiet(urgency: Urgency, channel: Channel) -> bool:
    """Say whether quiet hours hold this back: emergencies pass, and the inbox is never held."""
    return urgency is not Urgency.EMERGENCY and channel in HELD_CHANNELS


def half_hour(moment_ms: int) -> int:
    """Which half-hour of the local week a moment lies in, 0..335."""
    return _half_hour_of(moment_ms // HALF_HOUR_MS)


def plane_now(now_ms: int) -> str:
    """The plane of those who are quiet now."""
    return quiet_plane(half_hour(now_ms))


def windows(now_ms: int, expires_ms: int) -> Iterator[list[Step]]:
    """The half-hours after the present one, in windows to be read one by one until nobody is held.

    Ends after a week or at the event's expiry: nobody needs an answer beyond that.
    """
    first = now_ms // HALF_HOUR_MS + 1
    steps = [
        Step(at * HALF_HOUR_MS, quiet_plane(_half_hour_of(at)))
        for at in range(first, first + WEEK_STEPS)
        if at * HALF_HOUR_MS < expires_ms
    ]
    for at in range(0, len(steps), WINDOW_STEPS):
        yield steps[at : at + WINDOW_STEPS]


def ripple(held: Roster, steps: Sequence[Step], planes: Mapping[str, Roster]) -> tuple[list[Release], Roster]:
    """Push held people through a window: (who is released when, who is still held)."""
    releases = []
    for step in steps:
        if not held:
            break
        plane = planes.get(step.plane, {})
        if free := rosters.minus(held, plane):
            releases.append(Release(step.start_ms, free))
            held = rosters.intersect(held, plane)
    return releases, held


def horizon_ms(now_ms: int, expires_ms: int) -> int:
    """When those are asked again who were quiet in every half-hour up to the end of the windows."""
    return min(expires_ms, (now_ms // HALF_HOUR_MS + WEEK_STEPS) * HALF_HOUR_MS)


@lru_cache(maxsize=4 * WEEK_STEPS)
def _half_hour_of(utc_half_hour: int) -> int:
    local = datetime.fromtimestamp(utc_half_hour * HALF_HOUR_MS / 1000, COPENHAGEN)
    return local.weekday() * 48 + local.hour * 2 + local.minute // 30
