"""What APNs is sent: the JSON body and the headers of one event in one language, built once for all its recipients.

Pure. Source: Apple, "Generating a remote notification" and "Sending notification requests to APNs".
"""

from __future__ import annotations

from typing import NamedTuple

import msgspec

from channels.http2.headers import Template
from channels.notification import LOUD, PAYLOAD_BYTES_MAX, collapse_key, shown_texts
from engine.records.event import Event, Text
from engine.records.words import Language, Urgency

ID_BYTES = 36  # a UUID in text

_INTERRUPTION = {
    # `critical` needs Apple's permission for the app; time-sensitive breaks through Focus without it.
    Urgency.EMERGENCY: "time-sensitive",
    Urgency.URGENT: "time-sensitive",
    Urgency.NORMAL: "active",
    Urgency.BULK: "passive",
}


class ApnsPayload(NamedTuple):
    """A body that fits, and the short one for the case that APNs calls it too large all the same."""

    body: bytes
    short: bytes


def build(event: Event, language: Language) -> ApnsPayload:
    """Encode the best text that fits into 4,096 bytes of UTF-8 (Danish letters take two, not six)."""
    candidates = [_encode(event, text, with_extras=True) for text in shown_texts(event, language)]
    *_, neutral = shown_texts(event, language)
    short = _encode(event, neutral, with_extras=False)
    body = next((one for one in candidates if len(one) <= PAYLOAD_BYTES_MAX), short)
    return ApnsPayload(body, short)


def _encode(event: Event, text: Text, *, with_extras: bool) -> bytes:
    alert = {"title": text.title, "body": text.body} if text.title else {"body": text.body}
    aps: dict[str, object] = {"alert": alert, "interruption-level": _INTERRUPTION[event.urgency]}
    klokke = {"event": event.public_id}
    if event.urgency in LOUD:
        aps["sound"] = "default"
    if with_extras and not event.sensitive:  # a thread's or link's name may give the subject away
        if event.content.thread:
            aps["thread-id"] = event.content.thread
        if event.content.link:
            klokke["link"] = event.content.link
    return msgspec.json.encode({"aps": aps, "klokke": klokke})


def template(event: Event, topic: str, authorization: bytes) -> Template:
    """The request headers that all recipients share; each adds its token to the path and its own `apns-id`.

    Which of them enter the header table follows Apple's page: never `authorization`, the event's own ones only once.
    """
    return Template(
        path=b"/3/device/",
        indexed=(
            (b"apns-topic", topic.encode()),
            (b"apns-push-type", b"alert"),
            (b"apns-priority", b"10" if event.urgency in LOUD else b"5"),
        ),
        literal=(
            (b"authorization", authorization),
            (b"apns-expiration", b"%d" % (event.expires_ms // 1000)),
            (b"apns-collapse-id", collapse_key(event).encode()),
        ),
        value_name=b"apns-id",
        value_bytes=ID_BYTES,
    )
