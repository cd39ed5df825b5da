"""Spliced bodies against plainly encoded ones: the same bytes for any text, any names, any badge."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from channels.apns import payload as apns
from channels.fcm import payload as fcm
from channels.notification import NEUTRAL, PAYLOAD_BYTES_MAX
from channels.splice import Bodies, cut_text, filling_of, spliced
from engine.records.event import Event, Text
from engine.records.placeholder import CHILDREN, filled
from engine.records.words import Language, Urgency
from engine.records.work import Personal
from tests.channels.events import EVENT, changed

PIECES = st.sampled_from(['"', "\\", "\n", ". ", " ", "{", "}", "æøå", "🎒", "\x01", "\u2028", "Husk ", "/", "{chil"])
TEXTS = st.lists(PIECES | st.just(CHILDREN) | st.text(max_size=3), max_size=20).map("".join)
CHILDREN_OF = st.sampled_from(["Anna", "dit barn", "Åse og Bo", '"\\', "👧🏽", "x" * 900, "ßen"])
PERSONAL = st.builds(Personal, badge=st.none() | st.integers(0, 600), children=CHILDREN_OF)
TOKEN, DELIVERY = b"tok:A_-", b"d" * 36


def named(title: str, body: str, **more: Any) -> Event:
    return changed(content_texts={Language.DA: Text(title, body)}, **more)


def written_out(event: Event, children: str) -> Event:
    text = event.text(Language.DA)
    return named(filled(text.title, children), filled(text.body, children), urgency=event.urgency)


def fits_whole(event: Event, children: str) -> bool:
    """Far from the limit, where a placeholder would be left out whole, and names cut in the middle."""
    text = event.text(Language.DA)
    return len(json.dumps([filled(text.title, children), filled(text.body, children)])) < 3_000


@settings(max_examples=200)
@given(text=TEXTS, personal=PERSONAL)
def test_a_spliced_text_is_the_encoded_one(text: str, personal: Personal) -> None:
    whole = spliced((b"{", *cut_text("body", text), b"}"))
    assert whole.body(filling_of(personal, b"")) == msgspec.json.encode({"body": filled(text, personal.children)})


@settings(max_examples=200)
@given(title=TEXTS, body=TEXTS, personal=PERSONAL, urgency=st.sampled_from(list(Urgency)))
def test_a_readers_apns_body_is_the_one_built_for_them_alone(
    title: str, body: str, personal: Personal, urgency: Urgency
) -> None:
    event = named(title, body, urgency=urgency)
    (ours,) = apns.build(event, Language.DA).bodies([personal])
    alone = json.loads(apns.build(written_out(event, personal.children), Language.DA).body)
    if personal.badge is not None:
        alone["aps"]["badge"] = personal.badge
    if fits_whole(event, personal.children):
        assert json.loads(ours) == alone
    assert len(ours) <= PAYLOAD_BYTES_MAX


@settings(max_examples=200)
@given(title=TEXTS, body=TEXTS, personal=PERSONAL, urgency=st.sampled_from(list(Urgency)))
def test_a_readers_fcm_body_is_the_one_built_for_them_alone(
    title: str, body: str, personal: Personal, urgency: Urgency
) -> None:
    event = named(title, body, urgency=urgency)
    (ours,) = fcm.build(event, Language.DA).bodies([TOKEN], [DELIVERY], 60, [personal])
    (bytes_alone,) = fcm.build(written_out(event, personal.children), Language.DA).bodies([TOKEN], [DELIVERY], 60)
    alone = json.loads(bytes_alone)
    if personal.badge is not None:
        alone["message"]["android"]["notification"]["notification_count"] = personal.badge
    if fits_whole(event, personal.children):
        assert json.loads(ours) == alone
    assert len(ours) <= PAYLOAD_BYTES_MAX


@pytest.mark.parametrize("count", [1, 5, 100, 1000])
def test_whoever_does_not_fit_with_their_names_gets_the_short_form_and_the_others_the_whole_text(count: int) -> None:
    event = named("Tur", "{children} " * count + "æ" * 1000)
    few, many = Personal(3, "Bo"), Personal(4, ", ".join(["Christoffer-Emil"] * 15))
    built = apns.build(event, Language.DA)
    shown = [json.loads(body)["aps"] for body in built.bodies([few, many])]
    assert all(len(body) <= PAYLOAD_BYTES_MAX for body in built.bodies([few, many]))
    assert (shown[0]["badge"], shown[1]["badge"]) == (3, 4)
    if count <= 100:
        assert shown[0]["alert"]["body"] == "Bo " * count + "æ" * 1000
    if count >= 100:
        assert shown[1]["alert"]["body"] == NEUTRAL[Language.DA].body or len(shown[1]["alert"]["body"]) < 4096
        assert "æ" * 1000 not in shown[1]["alert"]["body"]
    bodies = fcm.build(event, Language.DA).bodies([b"t" * 250] * 2, [DELIVERY] * 2, fcm.TTL_SECONDS_MAX, [few, many])
    assert all(len(body) <= PAYLOAD_BYTES_MAX for body in bodies)


def test_a_text_is_never_cut_through_a_placeholder() -> None:
    for before in range(220, 260):
        event = named("Tur", "a" * before + "{children}" + "b" * 4000)
        body = json.loads(apns.build(event, Language.DA).bodies([Personal(None, "Anna")])[0])["aps"]["alert"]["body"]
        assert "{" not in body
        assert body.rstrip("…").replace("Anna", "") in {"a" * before, "a" * min(before, 239), "a" * before + "b" * (
            239 - before - len(CHILDREN))}  # fmt: skip


def test_a_thread_or_link_that_looks_like_a_placeholder_stays_as_it_is() -> None:
    event = changed(content_thread="{children}", content_link="https://example.dk/{children}")
    (body,) = apns.build(event, Language.DA).bodies([Personal(None, "Anna")])
    assert json.loads(body)["aps"]["thread-id"] == "{children}"
    assert json.loads(body)["klokke"]["link"] == "https://example.dk/{children}"
    assert b"Anna" not in body


def test_a_sensitive_event_names_nobody_whatever_it_is_handed() -> None:
    event = changed(named("{children}", "{children} er syg"), sensitive=True)
    (ours,) = apns.build(event, Language.DA).bodies([Personal(2, "Anna")])
    (theirs,) = fcm.build(event, Language.DA).bodies([TOKEN], [DELIVERY], 60, [Personal(2, "Anna")])
    for body in (ours, theirs):
        assert b"Anna" not in body
        assert b"{children}" not in body


def test_where_nothing_is_personal_the_body_is_one_object_for_all() -> None:
    built = apns.build(EVENT, Language.DA)
    assert built.bodies([Personal(None, "")]) == [built.body]
    one = Bodies(built.candidates, b"").of
    assert one(Personal(None, "x")) is one(Personal(None, "x"))
