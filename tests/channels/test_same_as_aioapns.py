"""Our APNs request against the one that aioapns sends for the same notification, both seen by the same server.

Wanted differences, each checked below:
- `:authority` instead of `host`: RFC 9113 section 8.3.1 asks clients for it; aioapns sends the HTTP/1 header.
- `authorization`: another signature over the same claims (ECDSA signs differently each time, `iat` moves on).
- `apns-expiration`: aioapns is told a time to live and adds its clock; ours is the event's expiry.
- The body's bytes: aioapns escapes what is not ASCII (`\\u00e6`, six bytes a Danish letter), we send UTF-8 (two).
  Decoded they are the same.
"""

from __future__ import annotations

import asyncio
import json
import ssl
from collections.abc import Mapping
from typing import Any, NamedTuple

import aioapns.connection
import jwt
import msgspec
import trio
from aioapns import APNs, NotificationRequest, PushType
from hypothesis import given, settings
from hypothesis import strategies as st

from channels.apns import payload
from channels.apns.client import ApnsSender
from channels.notification import NEUTRAL, collapse_key
from engine.outcomes import ACCEPTED
from engine.records.event import Event, Text
from engine.records.placeholder import filled
from engine.records.words import Language, Urgency
from engine.records.work import Personal
from tests.channels.events import EVENT, batch_of, changed
from tests.channels.peer import Line, Peer, Request, certificates
from tests.channels.test_push_clients import apns_settings, ec_key, pem

TOKEN = b"%064x" % 0xA1B2


class ToPeer(aioapns.connection.APNsTLSClientProtocol):
    APNS_SERVER = "localhost"


def send_with_aioapns(port: int, fields: Mapping[str, Any]) -> bool:
    """What a program on aioapns does, with the server's name and port bent to ours."""

    async def send() -> bool:
        client = APNs(
            key=pem(ec_key()).decode(), key_id="KEY4567890", team_id="TEAM567890", topic="dk.klokke.parent",
            ssl_context=ssl.create_default_context(cafile=certificates()[1]),
        )  # fmt: skip
        ToPeer.APNS_PORT = port
        client.pool.protocol_class = ToPeer
        result = await client.send_notification(NotificationRequest(**fields))
        client.pool.close()
        return bool(result.is_successful)

    return asyncio.run(send())


def echo_id(line: Line, request: Request) -> None:
    line.answer(request, apns_id=request.headers["apns-id"])  # aioapns matches answers by it


class Case(NamedTuple):
    event: Event
    language: Language = Language.DA
    personal: Personal | None = None


NAMED = changed(content_texts={one: Text("{children} har fri", 'Hent "{children}" 🎒') for one in Language})
CASES = [
    *(Case(changed(urgency=urgency), language) for urgency in Urgency for language in Language),
    *(Case(changed(sensitive=True, entity="0751/calendar/abc/"), language) for language in Language),
    Case(EVENT, personal=Personal(0, "")),
    Case(EVENT, Language.EN, Personal(12, "")),
    Case(NAMED, personal=Personal(None, "Åse og Bo")),
    Case(NAMED, Language.EN, Personal(3, "your child")),
    Case(changed(content_thread=None, content_link=None, urgency=Urgency.BULK), personal=Personal(1, "")),
]
LEVELS = {
    Urgency.EMERGENCY: ("time-sensitive", 1.0),
    Urgency.URGENT: ("active", 0.75),
    Urgency.NORMAL: ("active", 0.5),
    Urgency.BULK: ("passive", 0.25),
}


def message_of(case: Case) -> dict[str, Any]:
    """The payload as a program on aioapns would write it down, from Apple's page."""
    event, (level, relevance) = case.event, LEVELS[case.event.urgency]
    text = NEUTRAL[case.language] if event.sensitive else event.text(case.language)
    children = case.personal.children if case.personal else ""
    alert = {"title": filled(text.title, children), "body": filled(text.body, children)}
    aps: dict[str, Any] = {
        "alert": {name: value for name, value in alert.items() if value},
        "interruption-level": level,
        "relevance-score": relevance,
    }
    if case.personal and case.personal.badge is not None:
        aps["badge"] = case.personal.badge
    if event.urgency is not Urgency.BULK:
        aps["sound"] = "default"
    klokke = {"event": event.public_id}
    if event.content.thread and not event.sensitive:
        aps["thread-id"] = event.content.thread
    if event.content.link and not event.sensitive:
        klokke["link"] = event.content.link
    return {"aps": aps, "klokke": klokke}


async def both(sender: ApnsSender, peer: Peer, case: Case) -> tuple[Request, Request]:
    """The same notification from us and from aioapns, as the server saw them."""
    peer.requests.clear()
    batch = batch_of([TOKEN], case.event)
    own = None if case.personal is None else [case.personal]
    assert await sender.send(msgspec.structs.replace(batch, language=case.language, personal=own)) == [ACCEPTED]
    (ours,) = peer.requests
    fields = {
        "device_token": TOKEN.decode(),
        "message": message_of(case),
        "notification_id": ours.headers["apns-id"],
        "priority": 10 if case.event.urgency is not Urgency.BULK else 5,
        "collapse_key": collapse_key(case.event),
        "push_type": PushType.ALERT,
        "time_to_live": case.event.expires_ms // 1000,
    }
    assert await trio.to_thread.run_sync(send_with_aioapns, peer.port, fields)
    return ours, peer.requests[1]


def same(case: Case, ours: Request, theirs: Request) -> None:
    mine, other = dict(ours.headers), dict(theirs.headers)
    assert mine.pop(":authority").startswith("localhost:")
    assert other.pop("host") == "localhost"
    claims = [
        jwt.decode(headers.pop("authorization").removeprefix("bearer "), ec_key().public_key(), ["ES256"])
        for headers in (mine, other)
    ]
    assert claims[0].keys() == claims[1].keys() == {"iss", "iat"}
    assert claims[0]["iss"] == claims[1]["iss"] == "TEAM567890"
    assert mine.pop("apns-expiration") == str(case.event.expires_ms // 1000)
    assert int(other.pop("apns-expiration")) > case.event.expires_ms // 1000
    assert mine == other
    assert json.loads(ours.body) == json.loads(theirs.body)


async def test_our_request_is_the_one_that_aioapns_sends() -> None:
    peer = Peer(echo_id)
    async with trio.open_nursery() as nursery:
        await nursery.start(peer.run)
        sender = ApnsSender(apns_settings(peer.port))
        await nursery.start(sender.run)
        for number, given_case in enumerate(CASES, EVENT.number):  # a sender builds once an event, by its number
            case = given_case._replace(event=changed(given_case.event, number=number))
            same(case, *await both(sender, peer, case))
        nursery.cancel_scope.cancel()


WORDS = st.lists(st.text(st.characters(codec="utf-8"), max_size=30) | st.just("{children}"), max_size=4).map("".join)


@settings(max_examples=150, deadline=None)
@given(
    text=st.builds(Text, title=WORDS, body=WORDS),
    urgency=st.sampled_from(list(Urgency)),
    language=st.sampled_from(list(Language)),
    sensitive=st.booleans(),
    thread=st.none() | WORDS,
    badge=st.none() | st.integers(0, 999),
)
def test_the_body_of_any_event_is_the_message_that_aioapns_would_be_given(
    text: Text, urgency: Urgency, language: Language, sensitive: bool, thread: str | None, badge: int | None
) -> None:
    """`NotificationRequest` keeps the message as it is given and writes it as JSON: the reference is what goes in."""
    event = changed(content_texts={Language.DA: text}, content_thread=thread, urgency=urgency, sensitive=sensitive)
    case = Case(event, language, Personal(badge, "Åse og Bo"))
    message = message_of(case)
    message["aps"]["alert"].setdefault("body", "")
    request = NotificationRequest(device_token=TOKEN.decode(), message=message)
    assert case.personal is not None
    (ours,) = payload.build(event, language).bodies([case.personal])
    assert json.loads(ours) == json.loads(json.dumps(request.message))
