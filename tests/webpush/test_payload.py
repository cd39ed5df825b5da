"""What a service worker is told: neutral where it must be, small enough always, and the same tag on a repeat."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from channels.notification import NEUTRAL
from channels.webpush import payload
from channels.webpush.encryption import PLAIN_BYTES_MAX
from engine.records.event import Text
from engine.records.words import Language, Urgency
from engine.records.work import Personal
from tests.channels.events import EVENT, EXPIRES_MS, changed

DELIVERY = b"01234567-89ab-cdef-0123-456789abcdef"


def told(rest: bytes) -> dict[str, Any]:
    (message,) = payload.messages([rest], [DELIVERY])
    assert len(message) <= PLAIN_BYTES_MAX
    found = json.loads(message)
    assert isinstance(found, dict)
    return found


def test_the_worker_is_told_what_it_shows_and_where_it_leads() -> None:
    assert told(payload.build(EVENT, Language.DA).rest) == {
        "delivery": DELIVERY.decode(),
        "event": EVENT.public_id,
        "title": "Klasse 3B",
        "body": "Husk regntøj og madpakke på tur i morgen.",
        "tag": EVENT.public_id,
        "urgency": "normal",
        "link": "https://example.dk/beskeder/17",
    }


@pytest.mark.parametrize("language", Language)
def test_a_sensitive_event_tells_only_that_there_is_something(language: Language) -> None:
    made = payload.build(changed(EVENT, sensitive=True), language)
    for rest in made:
        shown = told(rest)
        assert shown["body"] == NEUTRAL[language].body
        assert not shown.keys() & {"title", "link"}
        assert b"Klasse" not in rest


letters = st.text(st.sampled_from('aæøå\U0001f600\n"\\'), max_size=4000)


@given(letters, letters, st.booleans(), st.integers(0, 1900))
def test_whatever_is_said_it_fits_one_record(title: str, body: str, sensitive: bool, link: int) -> None:
    texts = {Language.DA: Text(title, body)}
    made = payload.build(changed(EVENT, content_texts=texts, content_link="/" * link, sensitive=sensitive), Language.DA)
    assert told(made.rest).keys() >= {"body", "tag", "event", "delivery"}
    assert len(made.short) < 400


def test_names_and_number_are_each_readers_own() -> None:
    texts = {Language.DA: Text("{children}", "Besked om {children}.")}
    event = changed(EVENT, content_texts=texts)
    shown = told(payload.build_personal(event, Language.DA, Personal(3, 'Asta og "Bo"')).rest)
    assert (shown["title"], shown["body"], shown["badge"]) == ('Asta og "Bo"', 'Besked om Asta og "Bo".', 3)
    assert "badge" not in told(payload.build_personal(event, Language.DA, Personal(None, "Asta")).rest)
    hidden = payload.build_personal(changed(event, sensitive=True), Language.DA, Personal(1, "Asta"))
    assert b"Asta" not in hidden.rest + hidden.short


@pytest.mark.parametrize(
    ("urgency", "header"),
    [(Urgency.EMERGENCY, b"high"), (Urgency.URGENT, b"high"), (Urgency.NORMAL, b"normal"), (Urgency.BULK, b"low")],
)
def test_urgency_is_said_in_the_words_of_the_rfc(urgency: Urgency, header: bytes) -> None:
    template = payload.template(changed(EVENT, urgency=urgency), 60, b"vapid")
    assert dict(template.indexed)[b"urgency"] == header


@given(st.one_of(st.none(), st.text(max_size=300)))
def test_the_topic_is_one_that_push_services_take(entity: str | None) -> None:
    headers = dict(payload.template(changed(EVENT, entity=entity), 60, b"vapid").literal)
    assert re.fullmatch(rb"[A-Za-z0-9_-]{1,32}", headers[b"topic"])


@pytest.mark.parametrize(("now_ms", "seconds"), [(EXPIRES_MS - 90_500, 90), (EXPIRES_MS + 1, 0), (0, 2_419_200)])
def test_the_push_service_keeps_it_as_long_as_it_matters(now_ms: int, seconds: int) -> None:
    assert payload.ttl_seconds(EVENT, now_ms) == seconds
