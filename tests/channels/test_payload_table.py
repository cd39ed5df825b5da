"""Every kind x urgency x sensitive x language: exactly what APNs and FCM are sent. The table to read and to change.

Kind decides nothing but the text, which the event brings; so the table has one text a kind, and each row is spelled out
from it. The last but one test spells out bytes, with what is personal in them.
"""

from __future__ import annotations

import itertools
import json
from typing import Any, NamedTuple

import pytest

from channels.apns import payload as apns
from channels.fcm import payload as fcm
from channels.notification import collapse_key
from engine.records.event import Event, Text
from engine.records.words import Kind, Language, Urgency
from engine.records.work import Personal
from tests.channels.events import EVENT, changed

DA, EN = Language.DA, Language.EN
ID = EVENT.public_id

TEXTS = {
    Kind.MESSAGE: {DA: Text("Klasse 3B", "Husk regntøj."), EN: Text("Class 3B", "Bring raincoats.")},
    Kind.CALENDAR_INVITED: {DA: Text("Invitation: Møde", "Fredag kl. 8"), EN: Text("Invitation: Meeting", "Friday, 8")},
    Kind.CALENDAR_CHANGED: {DA: Text("Ændret: Møde", "Fredag kl. 9"), EN: Text("Changed: Meeting", "Friday, 9")},
    Kind.CALENDAR_CANCELLED: {DA: Text("Aflyst: Møde", "Fredag kl. 9"), EN: Text("Cancelled: Meeting", "Friday, 9")},
}
SENSITIVE = {
    DA: {"body": "Du har en ny besked. Log ind for at læse den."},
    EN: {"body": "You have a new message. Log in to read it."},
}
ENTITY = "0751/calendar/møde@skole/"
TAGS = {True: "a7a17486c85f380f5e2c55063a1a58ed", False: ID}  # of an entity its hash, else the event itself


class Row(NamedTuple):
    """What an urgency means on a phone."""

    level: str
    relevance: float
    sound: str | None
    apns_priority: bytes
    fcm_priority: str
    notification_priority: str


ROWS = {
    Urgency.EMERGENCY: Row("time-sensitive", 1.0, "default", b"10", "high", "PRIORITY_MAX"),
    Urgency.URGENT: Row("active", 0.75, "default", b"10", "high", "PRIORITY_HIGH"),
    Urgency.NORMAL: Row("active", 0.5, "default", b"10", "high", "PRIORITY_DEFAULT"),
    Urgency.BULK: Row("passive", 0.25, None, b"5", "normal", "PRIORITY_LOW"),
}

CASES = list(itertools.product(Kind, Urgency, (False, True), Language))


def event_of(kind: Kind, urgency: Urgency, sensitive: bool) -> Event:
    entity = None if kind is Kind.MESSAGE else ENTITY
    return changed(kind=kind, urgency=urgency, sensitive=sensitive, entity=entity, content_texts=TEXTS[kind])


def alert_of(kind: Kind, sensitive: bool, language: Language) -> dict[str, str]:
    text = TEXTS[kind][language]
    return SENSITIVE[language] if sensitive else {"title": text.title, "body": text.body}


@pytest.mark.parametrize(("kind", "urgency", "sensitive", "language"), CASES)
def test_what_apns_is_sent(kind: Kind, urgency: Urgency, sensitive: bool, language: Language) -> None:
    row, event = ROWS[urgency], event_of(kind, urgency, sensitive)
    aps: dict[str, Any] = {
        "alert": alert_of(kind, sensitive, language),
        "interruption-level": row.level,
        "relevance-score": row.relevance,
    }
    klokke = {"event": ID}
    if row.sound:
        aps["sound"] = row.sound
    if not sensitive:
        aps["thread-id"] = "thread-17"
        klokke["link"] = "https://example.dk/beskeder/17"
    built = apns.build(event, language)
    assert json.loads(built.body) == {"aps": aps, "klokke": klokke}
    assert next(iter(json.loads(built.body)["aps"])) == "alert"
    template = apns.template(event, "dk.klokke.parent", b"bearer x")
    assert template.path == b"/3/device/"
    assert dict(template.indexed) == {
        b"apns-topic": b"dk.klokke.parent",
        b"apns-push-type": b"alert",
        b"apns-priority": row.apns_priority,
    }
    assert dict(template.literal) == {
        b"authorization": b"bearer x",
        b"apns-expiration": b"1900000000",
        b"apns-collapse-id": TAGS[kind is not Kind.MESSAGE].encode(),
    }


@pytest.mark.parametrize(("kind", "urgency", "sensitive", "language"), CASES)
def test_what_fcm_is_sent(kind: Kind, urgency: Urgency, sensitive: bool, language: Language) -> None:
    row, event = ROWS[urgency], event_of(kind, urgency, sensitive)
    data = {"delivery": "d-e-l", "event": ID} | ({} if sensitive else {"link": "https://example.dk/beskeder/17"})
    (body,) = fcm.build(event, language).bodies([b"a:token"], [b"d-e-l"], 3600)
    assert json.loads(body) == {
        "message": {
            "token": "a:token",
            "data": data,
            "notification": alert_of(kind, sensitive, language),
            "android": {
                "priority": row.fcm_priority,
                "notification": {
                    "tag": TAGS[kind is not Kind.MESSAGE],
                    "channel_id": urgency.value,
                    "notification_priority": row.notification_priority,
                },
                "ttl": "3600s",
            },
        }
    }


def test_the_same_bytes_spelled_out() -> None:
    """One row of each as the phone's provider reads it off the wire."""
    event = changed(content_texts={DA: Text("{children} har fri", "Hent {children} kl. 12")})
    personal = [Personal(3, "Åse og Bo"), Personal(None, "dit barn")]
    badged, named = apns.build(event, DA).bodies(personal)
    assert badged.decode() == (
        '{"aps":{"alert":{"title":"Åse og Bo har fri","body":"Hent Åse og Bo kl. 12"},"badge":3,'
        '"interruption-level":"active","relevance-score":0.5,"sound":"default","thread-id":"thread-17"},'
        f'"klokke":{{"event":"{ID}","link":"https://example.dk/beskeder/17"}}}}'
    )
    assert named.decode() == (
        '{"aps":{"alert":{"title":"Dit barn har fri","body":"Hent dit barn kl. 12"},'
        '"interruption-level":"active","relevance-score":0.5,"sound":"default","thread-id":"thread-17"},'
        f'"klokke":{{"event":"{ID}","link":"https://example.dk/beskeder/17"}}}}'
    )
    badged, named = fcm.build(event, DA).bodies([b"tok1", b"tok2"], [b"d1", b"d2"], 60, personal)
    assert badged.decode() == (
        f'{{"message":{{"token":"tok1","data":{{"delivery":"d1","event":"{ID}",'
        '"link":"https://example.dk/beskeder/17"},'
        '"notification":{"title":"Åse og Bo har fri","body":"Hent Åse og Bo kl. 12"},'
        f'"android":{{"priority":"high","notification":{{"tag":"{ID}","channel_id":"normal",'
        '"notification_priority":"PRIORITY_DEFAULT","notification_count":3},"ttl":"60s"}}}'
    )
    assert named.decode() == (
        f'{{"message":{{"token":"tok2","data":{{"delivery":"d2","event":"{ID}",'
        '"link":"https://example.dk/beskeder/17"},'
        '"notification":{"title":"Dit barn har fri","body":"Hent dit barn kl. 12"},'
        f'"android":{{"priority":"high","notification":{{"tag":"{ID}","channel_id":"normal",'
        '"notification_priority":"PRIORITY_DEFAULT"},"ttl":"60s"}}}'
    )


def test_a_repeat_and_a_newer_version_replace_the_first_and_another_entity_does_not() -> None:
    first, newer = changed(entity=ENTITY, sequence=1), changed(entity=ENTITY, sequence=2, number=99)
    assert collapse_key(first) == collapse_key(first) == collapse_key(newer)
    assert collapse_key(changed(entity=ENTITY + "x")) != collapse_key(first)
    assert collapse_key(EVENT) == ID != collapse_key(changed(number=99))
    assert len(collapse_key(changed(entity="æ" * 500)).encode()) <= 32
