"""Payloads: they fit, they are JSON, a phone gets what it needs, and a sensitive event says nothing."""

from __future__ import annotations

import json
import uuid
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from channels.apns import payload as apns
from channels.fcm import payload as fcm
from channels.notification import NEUTRAL, PAYLOAD_BYTES_MAX, collapse_key, uuid_forms
from engine.records.event import Content, Event, Text
from engine.records.words import Language, Urgency
from engine.records.work import delivery_id, delivery_ids
from tests.channels.events import EVENT, EXPIRES_MS, batch_of, changed

CANARY = "kanariefugl"


def apns_body(event: Event, language: Language = Language.DA) -> Any:
    return json.loads(apns.build(event, language).body)


def fcm_body(event: Event, language: Language = Language.DA, ttl: int = 60, token: bytes = b"tok:A_-") -> Any:
    return json.loads(fcm.build(event, language).bodies([token], [b"d" * 36], ttl)[0])


TEXTS = st.text(max_size=6000)


@given(
    title=TEXTS, body=TEXTS, thread=st.none() | TEXTS, link=st.none() | TEXTS, urgency=st.sampled_from(list(Urgency)),
    sensitive=st.booleans(),
)  # fmt: skip
def test_any_text_becomes_valid_json_of_at_most_4096_bytes(
    title: str, body: str, thread: str | None, link: str | None, urgency: Urgency, sensitive: bool
) -> None:
    content = Content(texts={Language.DA: Text(title, body)}, thread=thread, link=link)
    event = changed(content_texts=content.texts, content_thread=thread, content_link=link, urgency=urgency)
    event = changed(event, sensitive=sensitive)
    built = apns.build(event, Language.DA)
    bodies = fcm.build(event, Language.DA).bodies([b"t" * 250], [b"d" * 36], fcm.TTL_SECONDS_MAX)
    for encoded in (built.body, built.short, bodies[0]):
        assert len(encoded) <= PAYLOAD_BYTES_MAX
        assert isinstance(json.loads(encoded), dict)
    whole = json.dumps({"t": title, "b": body, "th": thread, "l": link}, ensure_ascii=False).encode()
    if len(whole) < 2_500 and not sensitive:  # what fits is shown whole
        assert json.loads(built.body)["aps"]["alert"].get("title", "") == title
        assert json.loads(bodies[0])["message"]["notification"]["body"] == body


def test_danish_letters_take_two_bytes_not_six() -> None:
    assert "regntøj".encode() in apns.build(EVENT, Language.DA).body
    assert "regntøj".encode() in fcm.build(EVENT, Language.DA).middle


def test_who_reads_english_gets_english_and_danish_where_it_is_missing() -> None:
    assert apns_body(EVENT, Language.EN)["aps"]["alert"]["title"] == "Class 3B"
    danish_only = changed(content_texts={Language.DA: Text("A", "B")})
    assert fcm_body(danish_only, Language.EN)["message"]["notification"] == {"title": "A", "body": "B"}


@pytest.mark.parametrize("language", list(Language))
def test_a_sensitive_event_says_nothing_outside_the_inbox(language: Language) -> None:
    event = changed(
        sensitive=True,
        entity=f"0751/{CANARY}",
        content_texts={one: Text(CANARY, CANARY) for one in Language},
        content_sender=CANARY,
        content_thread=CANARY,
        content_link=f"https://example.dk/{CANARY}",
    )
    built = apns.build(event, language)
    headers = apns.template(event, "dk.klokke", b"bearer x")
    bodies = fcm.build(event, language).bodies([b"t"], [b"d"], 1)
    for sent in (built.body, built.short, repr(headers).encode(), bodies[0]):
        assert CANARY.encode() not in sent
    assert json.loads(built.body)["aps"]["alert"] == {"body": NEUTRAL[language].body}
    assert json.loads(bodies[0])["message"]["notification"] == {"body": NEUTRAL[language].body}


def test_a_long_text_is_cut_short_before_it_is_given_up() -> None:
    event = changed(content_texts={Language.DA: Text("Tur", "æ" * 3000)})
    shown = apns_body(event)["aps"]["alert"]
    assert shown["title"] == "Tur"
    assert shown["body"] == "æ" * 239 + "…"
    endless = changed(event, content_link="https://example.dk/" + "x" * 4000)
    assert apns_body(endless)["aps"]["alert"] == {"body": NEUTRAL[Language.DA].body}
    assert "link" not in apns_body(endless)["klokke"]


@given(st.text(min_size=1, max_size=500))
def test_a_collapse_key_fits_apns_and_is_the_same_for_the_same_entity_only(entity: str) -> None:
    one, other = changed(entity=entity, number=1), changed(entity=entity, number=2)
    assert collapse_key(one) == collapse_key(other) != collapse_key(changed(entity=entity + "x"))
    assert len(collapse_key(one).encode()) <= 64


def test_without_an_entity_only_a_repeat_of_the_event_replaces_it() -> None:
    assert collapse_key(EVENT) == EVENT.public_id != collapse_key(changed(number=5))


@pytest.mark.parametrize(
    ("now_ms", "seconds"),
    [(EXPIRES_MS - 90_500, 90), (EXPIRES_MS + 1, 0), (EXPIRES_MS - 10**12, fcm.TTL_SECONDS_MAX)],
)
def test_fcm_keeps_a_message_until_the_event_expires_28_days_at_most(now_ms: int, seconds: int) -> None:
    assert fcm.ttl_seconds(EVENT, now_ms) == seconds


def test_ids_of_a_batch_are_those_of_its_deliveries_and_spell_a_uuid() -> None:
    batch = batch_of([b"aa", b"bb"])
    derived = [delivery_id(EVENT.number, one.number, "apns.parent", 0, one.generation) for one in batch.endpoints]
    assert delivery_ids(batch) == derived
    assert uuid_forms(derived) == [str(uuid.UUID(bytes=one)).encode() for one in derived]
