"""Posts the events, then looks at their reports until nothing more is due, and shows the progress.

An event is at rest when it is planned and nothing of it lives but what quiet hours hold. How much that is says the
oracle where it looks at everybody; with a sample, an event is also at rest when nothing has changed for longer than
the engine's first retries take.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence

from rich.console import Console
from rich.live import Live

from loadtests.demo.school_day import Played, Scene
from loadtests.demo.tables import progress_line, progress_table
from loadtests.oracle import posted
from loadtests.oracle.posted import Posted
from loadtests.stage.api import Api, Report

POLL_SECONDS = 0.5
UNCHANGED_SECONDS_MAX = 40.0  # the first retries come within 30 s
GIVE_UP_SECONDS = 120.0  # nothing has changed for so long although something is due
PLANNED_SECONDS_MAX = 10.0

AllowedLive = Mapping[tuple[str, str], int]
"""(event, channel) -> how many deliveries may still live since quiet hours hold them."""


def play(api: Api, scenes: Sequence[Scene], keep: Callable[[int, Posted], None]) -> list[Played]:
    """Post every event. A newer version of a calendar entry follows as soon as the older one is planned: some of it
    is sent by then and some still waits, so superseding can be seen."""
    played: list[Played] = []
    for at, scene in enumerate(scenes):
        if played and _is_newer_version(scene, played[-1].scene):
            _wait_until_planned(api, played[-1].posted.id)
        posted_ms = int(time.time() * 1000)
        event = Posted(api.post_event(scene.body), posted_ms, scene.body)
        keep(at, event)
        played.append(Played(scene, event))
    return played


def _is_newer_version(scene: Scene, before: Scene) -> bool:
    return scene.kind.startswith("calendar_") and before.kind.startswith("calendar_")


def _wait_until_planned(api: Api, event: str) -> None:
    """Wait a little; when the engine is too busy to plan it in time, the newer version simply follows."""
    deadline = time.monotonic() + PLANNED_SECONDS_MAX
    while api.report(event)["state"] == "admitted" and time.monotonic() < deadline:
        time.sleep(0.02)


def watch(
    console: Console,
    api: Api,
    played: Sequence[Played],
    allowed_live: AllowedLive | None,
    check_stage: Callable[[], None],
) -> dict[str, Report]:
    """Look at all events until they are at rest, or nothing has changed for too long; returns the last reports."""
    started = changed = time.monotonic()
    reports: dict[str, Report] = {}
    shown_plain: set[str] = set()
    with Live(console=console, auto_refresh=False, transient=True) as live:
        while True:
            check_stage()
            before, reports = reports, {one.posted.id: api.report(one.posted.id) for one in played}
            now = time.monotonic()
            if reports != before:
                changed = now
            if console.is_terminal:
                live.update(progress_table(played, reports, now - started), refresh=True)
            unchanged = now - changed
            resting = {id for id, report in reports.items() if is_at_rest(report, allowed_live, unchanged)}
            if not console.is_terminal:
                _say_plain(console, played, reports, resting - shown_plain, now - started)
                shown_plain |= resting
            if len(resting) == len(played) or unchanged > GIVE_UP_SECONDS:
                return reports
            time.sleep(POLL_SECONDS)


def is_at_rest(report: Report, allowed_live: AllowedLive | None, unchanged_seconds: float) -> bool:
    """Say whether an event has nothing more that is due now."""
    if report["state"] == "admitted":
        return False
    lives = {channel: counts["live"] for channel, counts in report["channels"].items()}
    if not any(lives.values()):
        return True
    if allowed_live is None:
        return report["urgency"] != "emergency" and unchanged_seconds > UNCHANGED_SECONDS_MAX
    return all(live <= allowed_live.get((report["id"], channel), 0) for channel, live in lives.items())


def _say_plain(
    console: Console, played: Sequence[Played], reports: Mapping[str, Report], resting: set[str], seconds: float
) -> None:
    for one in played:
        if one.posted.id in resting:
            console.print(progress_line(one, reports[one.posted.id], seconds), soft_wrap=True)


def replaced(played: Sequence[Played]) -> set[str]:
    """The ids of events that a newer version replaced: nothing of them may live on."""
    events = [one.posted for one in played]
    return {event.id for event in events if posted.replaced_ms(event, events) is not None}
