"""Our FCM body against the one that pyfcm builds for the same notification.

Wanted difference: pyfcm always adds `validate_only: false`, the API's default; we leave it out to save bytes.
(pyfcm sorts its keys; JSON objects have no order, so they are compared decoded.)
"""

from __future__ import annotations

import json
from functools import cache
from typing import Any

import pytest
from google.oauth2.credentials import Credentials
from hypothesis import given, settings
from hypothesis import strategies as st
from pyfcm import FCMNotification

from channels.fcm import payload
from channels.notification import NEUTRAL, collapse_key
from engine.records.event import Event, Text
from engine.records.placeholder import filled
from engine.records.words import Language, Urgency
from engine.records.work import Personal
from tests.channels.events import EVENT, changed

DELIVERY = "01234567-89ab-cdef-0123-456789abcdef"
TOKEN = "dQw4:APA91b"
PRIORITIES = {
    Urgency.EMERGENCY: "PRIORITY_MAX",
    Urgency.URGENT: "PRIORITY_HIGH",
    Urgency.NORMAL: "PRIORITY_DEFAULT",
    Urgency.BULK: "PRIORITY_LOW",
}
WORDS = st.text(st.characters(codec="utf-8"), max_size=40)
TEXTS = st.builds(
    Text,
    title=st.lists(WORDS | st.just("{children}"), max_size=3).map("".join),
    body=st.lists(WORDS | st.just("{children}"), max_size=4).map("".join),
)
EVENTS = st.builds(
    lambda danish, english, link, urgency, sensitive, entity: changed(
        content_texts={Language.DA: danish} | ({Language.EN: english} if english else {}),
        content_link=link,
        urgency=urgency,
        sensitive=sensitive,
        entity=entity,
    ),
    TEXTS,
    st.none() | TEXTS,
    st.none() | st.just("https://example.dk/{children}/æ"),
    st.sampled_from(list(Urgency)),
    st.booleans(),
    st.none() | WORDS.map("0751/calendar/{}/".format),
)
PEOPLE = st.builds(Personal, badge=st.none() | st.integers(0, 999), children=st.sampled_from(["Åse og Bo", "dit barn"]))


@cache
def client() -> FCMNotification:
    return FCMNotification(credentials=Credentials("not-used"), project_id="klokke-test")  # type: ignore[no-untyped-call]


def theirs(event: Event, language: Language, personal: Personal | None) -> Any:
    """What a program on pyfcm sends that means the same."""
    text = NEUTRAL[language] if event.sensitive else event.text(language)
    children = personal.children if personal else ""
    shown: dict[str, Any] = {
        "tag": collapse_key(event),
        "channel_id": event.urgency.value,
        "notification_priority": PRIORITIES[event.urgency],
    }
    if personal and personal.badge is not None:
        shown["notification_count"] = personal.badge
    data = {"event": event.public_id, "delivery": DELIVERY}
    if event.content.link and not event.sensitive:
        data["link"] = event.content.link
    return json.loads(
        client().parse_payload(
            fcm_token=TOKEN,
            notification_title=filled(text.title, children) or None,
            notification_body=filled(text.body, children),
            data_payload=data,
            android_config={
                "priority": "normal" if event.urgency is Urgency.BULK else "high",
                "ttl": "900s",
                "notification": shown,
            },
        )
    )


def ours(event: Event, language: Language, personal: Personal | None) -> Any:
    own = None if personal is None else [personal]
    return json.loads(payload.build(event, language).bodies([TOKEN.encode()], [DELIVERY.encode()], 900, own)[0])


def same(event: Event, language: Language, personal: Personal | None) -> None:
    expected = theirs(event, language, personal)
    assert expected.pop("validate_only") is False
    found = ours(event, language, personal)
    # pyfcm leaves out what is empty; to FCM that is the same
    expected["message"].setdefault("notification", {}).setdefault("body", "")
    assert found == expected


@pytest.mark.parametrize("urgency", list(Urgency))
@pytest.mark.parametrize("language", list(Language))
@pytest.mark.parametrize("sensitive", [False, True])
@pytest.mark.parametrize("badge", [None, 0, 7])
def test_our_body_is_the_one_that_pyfcm_builds(
    urgency: Urgency, language: Language, sensitive: bool, badge: int | None
) -> None:
    event = changed(EVENT, urgency=urgency, sensitive=sensitive, entity="0751/calendar/a/")
    same(event, language, None if badge is None else Personal(badge, "dit barn"))


@settings(max_examples=150, deadline=None)
@given(EVENTS, st.sampled_from(list(Language)), PEOPLE)
def test_any_event_named_and_badged_is_what_pyfcm_would_send(
    event: Event, language: Language, personal: Personal
) -> None:
    same(event, language, personal)
