"""One blast: a national event, an urgent class message every second beside it, until everything has ended."""

from __future__ import annotations

import secrets
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

from loadtests.bench.engine.people import CATEGORY
from loadtests.stage.api import Api, Report
from loadtests.stage.building import Stage
from loadtests.stage.filling import Advance
from loadtests.stage.processes import StageFault

URGENT_EVERY_SECONDS = 1.0
POLL_SECONDS = 0.25
UNCHANGED_SECONDS_MAX = 60.0
"""Leases last 30 s: with nothing new for so long, nothing more will come."""

_SOURCE = "/bench/engine"
_NATIONAL = {
    "da": ("Skolerne åbner kl. 10 i morgen", "På grund af stormen åbner alle skoler og dagtilbud først kl. 10."),
    "en": ("Schools open at 10 tomorrow", "Because of the storm all schools and day-care open at 10."),
}
_CLASS = {
    "da": ("Husk varmt tøj i morgen", "Klassen er på tur i skoven hele dagen. Husk madpakke."),
    "en": ("Warm clothes tomorrow", "The class spends the day in the forest. Remember packed lunch."),
}

Class = tuple[str, str, int]
"""Group, tenant, number of guardians."""


class Sent(NamedTuple):
    """An event that was posted: its id, and when its 202 came (Unix milliseconds)."""

    id: str
    accepted_ms: int


class Blast(NamedTuple):
    """What was posted and how the engine says it ended."""

    national: Sent
    urgent: list[Sent]
    report: Report
    inapp_done_ms: int  # first seen at a poll, so up to 0.25 s late
    urgent_reports: list[Report]


def event(tenant: str, urgency: str, include: dict[str, Any], texts: dict[str, tuple[str, str]]) -> dict[str, Any]:
    """Make a CloudEvent with a new id."""
    spelled = {language: {"title": title, "body": body} for language, (title, body) in texts.items()}
    data = {"audience": {"include": [include]}, "category": CATEGORY, "urgency": urgency, "texts": spelled}
    return {
        "specversion": "1.0",
        "id": secrets.token_hex(8),
        "source": _SOURCE,
        "tenant": tenant,
        "type": "dk.klokke.message.v1",
        "data": data,
    }


def post(api: Api, body: dict[str, Any]) -> Sent:
    id = api.post_event(body)
    return Sent(id, time.time_ns() // 1_000_000)


def post_urgent(api: Api, to: Class) -> Sent:
    """Post an urgent message to the guardians of a class."""
    group, tenant, _ = to
    return post(api, event(tenant, "urgent", {"group": group, "role": "guardian"}, _CLASS))


def wait_until_ended(api: Api, sent: Sequence[Sent], check: Callable[[], None]) -> list[Report]:
    """Wait until nothing of some small events lives; returns their reports.

    Raises:
        StageFault: it takes longer than a lease could explain.
    """
    deadline = time.monotonic() + UNCHANGED_SECONDS_MAX
    reports: list[Report] = []
    while time.monotonic() < deadline:
        check()
        reports = [api.report(one.id) for one in sent]
        if all(has_ended(report) for report in reports):
            return reports
        time.sleep(POLL_SECONDS)
    live = sum(not has_ended(report) for report in reports)
    raise StageFault(f"{live} urgent messages have not ended within {UNCHANGED_SECONDS_MAX:.0f} s")


def blast(stage: Stage, api: Api, classes: Sequence[Class], advance: Advance) -> Blast:
    """Post the national event, and class messages until it has ended."""
    national = post(api, event("dk", "normal", {"everyone": True}, _NATIONAL))
    with _urgent_beside(stage, classes) as urgent:
        report, inapp_done_ms = _watch(stage, api, national, advance)
    return Blast(national, urgent, report, inapp_done_ms, wait_until_ended(api, urgent, stage.check))


@contextmanager
def _urgent_beside(stage: Stage, classes: Sequence[Class]) -> Iterator[list[Sent]]:
    """Post an urgent message every second from a thread until the block ends; its faults are raised here."""
    sent: list[Sent] = []
    faults: list[StageFault] = []
    is_over = threading.Event()

    def run() -> None:
        due = time.monotonic()
        with Api(stage.addresses.api, stage.addresses.gateway, stage.api_key) as api:
            while True:
                due += URGENT_EVERY_SECONDS
                if is_over.wait(max(0.0, due - time.monotonic())):
                    return
                try:
                    sent.append(post_urgent(api, classes[len(sent) % len(classes)]))
                except StageFault as fault:
                    faults.append(fault)
                    return

    thread = threading.Thread(target=run, name="urgent", daemon=True)
    thread.start()
    try:
        yield sent
    finally:
        is_over.set()
        thread.join()
    if faults:
        raise faults[0]


def _watch(stage: Stage, api: Api, national: Sent, advance: Advance) -> tuple[Report, int]:
    seen = inapp_done_ms = 0
    changed = time.monotonic()
    while True:
        stage.check()
        report = api.report(national.id)
        ended = sum(sum(counts["ends"].values()) for counts in report["channels"].values())
        if ended > seen:
            advance(ended - seen)
            seen, changed = ended, time.monotonic()
        inapp = report["channels"].get("inapp")
        if not inapp_done_ms and report["state"] != "admitted" and inapp and not inapp["live"]:
            inapp_done_ms = time.time_ns() // 1_000_000
        if has_ended(report):
            return report, inapp_done_ms
        if time.monotonic() - changed > UNCHANGED_SECONDS_MAX:
            raise StageFault(f"nothing has changed for {UNCHANGED_SECONDS_MAX:.0f} s and deliveries still wait")
        time.sleep(POLL_SECONDS)


def has_ended(report: Report) -> bool:
    """Say whether an event is planned and nothing of it lives."""
    return report["state"] != "admitted" and not any(counts["live"] for counts in report["channels"].values())
