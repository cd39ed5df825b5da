"""The events of the demo's school day, as the CloudEvents that a backend service posts."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

from loadtests.demo.cast import Cast
from loadtests.oracle.posted import Posted

INVITATION = Path(__file__).parent / "parents_evening.ics"
_AHEAD = timedelta(days=21)  # the evening is moved to three weeks from now: what is over would expire at once
_SOURCE = "/demo/school-day"


class Scene(NamedTuple):
    """One event: a word for the report, a line for the reader, and the body."""

    kind: str
    title: str
    body: dict[str, Any]


class Played(NamedTuple):
    """A scene with what came of posting it."""

    scene: Scene
    posted: Posted


def scenes(cast: Cast, run_id: str, today: date) -> list[Scene]:
    """All events in the order in which they are posted; `run_id` makes their ids unique."""
    return [
        Scene(kind, title, {"specversion": "1.0", "id": f"{run_id}-{at}", "source": _SOURCE, "tenant": tenant, **event})
        for at, (kind, title, tenant, event) in enumerate(_day(cast, run_id, today), 1)
    ]


def _day(cast: Cast, run_id: str, today: date) -> Iterator[tuple[str, str, str, dict[str, Any]]]:
    school_guardians = [{"institution": cast.school, "role": "guardian"}]
    evening = today + _AHEAD
    yield (
        "class_message",
        f"message to the guardians of {cast.class_name}",
        cast.tenant,
        _message(
            [{"group": cast.class_id, "role": "guardian"}],
            ("Husk varmt tøj til {children}", "{children} er på tur i skoven i morgen. Husk madpakke og drikkedunk."),
            (
                "Warm clothes for {children}",
                "Tomorrow {children} will be in the forest. Remember packed lunch and water.",
            ),
            urgency="urgent",
            sender="Klasselæreren",
            thread=f"thread-{run_id}",
        ),
    )
    for sequence, word, da, en in (
        (0, "invited", "Invitation til forældremøde", "Invitation to parents' evening"),
        (1, "changed", "Forældremødet er flyttet en time", "The parents' evening moves by an hour"),
        (2, "cancelled", "Forældremødet er aflyst", "The parents' evening is cancelled"),
    ):
        yield (
            f"calendar_{word}",
            f"parents' evening, {word}",
            cast.tenant,
            _calendar(
                word,
                invitation(INVITATION.read_text("utf-8"), run_id, evening, sequence, is_cancelled=word == "cancelled"),
                school_guardians,
                (da, f"{cast.school_name}, {evening:%d.%m.%Y}"),
                (en, f"{cast.school_name}, {evening:%d/%m/%Y}"),
            ),
        )
    yield (
        "municipality",
        f"announcement to all of {cast.municipality}",
        cast.tenant,
        _message(
            [{"municipality": cast.tenant}],
            ("Nye åbningstider i ferien", "Se hvornår institutioner og SFO holder åbent i vinterferien."),
            ("Opening hours in the holidays", "See when institutions and clubs are open in the winter holidays."),
            category="announcement",
            urgency="bulk",
        ),
    )
    if cast.quiet_school is not None and cast.quiet_tenant is not None:
        yield (
            "post",
            "post where the municipality keeps posts in the inbox",
            cast.quiet_tenant,
            _message(
                [{"institution": cast.quiet_school}],
                ("Billeder fra ugen", "Der er nye billeder fra skolens motionsdag."),
                ("Pictures of the week", "There are new pictures of the school's sports day."),
                category="post",
            ),
        )
    yield (
        "sensitive",
        "sensitive message to the guardians of a class",
        cast.tenant,
        _message(
            [{"group": cast.other_class_id, "role": "guardian"}],
            ("Hændelse i klassen", "Et barn er kommet alvorligt til skade. Vi holder møde i aften."),
            ("Incident in the class", "A child was badly hurt. There is a meeting tonight."),
            sensitive=True,
        ),
    )
    yield (
        "national",
        "national emergency to everyone",
        "dk",
        _message(
            [{"everyone": True}],
            (
                "Alle skoler holder lukket i morgen",
                "Myndighederne lukker alle skoler og dagtilbud på grund af stormen.",
            ),
            ("All schools are closed tomorrow", "The authorities close all schools and day-care because of the storm."),
            category="announcement",
            urgency="emergency",
        ),
    )


def _message(include: list[dict[str, Any]], da: tuple[str, str], en: tuple[str, str], **more: Any) -> dict[str, Any]:
    return {"type": "dk.klokke.message.v1", "data": {"audience": {"include": include}, "texts": _texts(da, en), **more}}


def _calendar(
    word: str, icalendar: str, include: list[dict[str, Any]], da: tuple[str, str], en: tuple[str, str]
) -> dict[str, Any]:
    return {
        "type": f"dk.klokke.calendar.{word}.v1",
        "data": {"audience": {"include": include}, "icalendar": icalendar, "texts": _texts(da, en)},
    }


def _texts(da: tuple[str, str], en: tuple[str, str]) -> dict[str, dict[str, str]]:
    return {"da": {"title": da[0], "body": da[1]}, "en": {"title": en[0], "body": en[1]}}


def invitation(text: str, run_id: str, evening: date, sequence: int, *, is_cancelled: bool) -> str:
    """Make one version of the invitation: its own UID, the evening's date, an hour later once it has changed."""
    later = 1 if sequence else 0
    text = re.sub(r"(?m)^UID:", f"UID:{run_id}-", text)
    text = re.sub(r"(?m)^SEQUENCE:.*$", f"SEQUENCE:{sequence}", text)
    text = re.sub(r"(?m)^DTSTAMP:.*$", f"DTSTAMP:{datetime.now(UTC):%Y%m%dT%H%M%SZ}", text)
    for name, hour in (("DTSTART", 17), ("DTEND", 19)):
        stamp = f"{evening:%Y%m%d}T{hour + later:02d}0000"
        text = re.sub(rf"(?m)^({name};TZID=[^:]+):.*$", rf"\g<1>:{stamp}", text)
    if is_cancelled:
        text = text.replace("METHOD:REQUEST", "METHOD:CANCEL").replace("SUMMARY:", "STATUS:CANCELLED\nSUMMARY:")
    return text.replace("\r\n", "\n").replace("\n", "\r\n")
