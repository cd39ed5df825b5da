"""What a browser's service worker is told: the JSON of one event in one language, built once, and the request headers.

Pure. The members are listed in docs/webpush.md. The delivery id comes first, so that splicing is joining.
Sources: RFC 8030 (TTL, Urgency, Topic); the Notifications and Badging APIs of browsers for what a worker can show.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import msgspec

from channels.http2.headers import Template
from channels.notification import collapse_key, shown_texts
from channels.webpush.encryption import PLAIN_BYTES_MAX
from engine.records.event import Event, Text
from engine.records.placeholder import filled
from engine.records.words import Language, Urgency
from engine.records.work import Personal

TTL_SECONDS_MAX = 2_419_200  # 28 days: what all push services keep; some take more
ID_BYTES = 36

_BEFORE_DELIVERY = b'{"delivery":"'
_URGENCY = {
    Urgency.EMERGENCY: b"high",  # delivered on a low battery too
    Urgency.URGENT: b"high",
    Urgency.NORMAL: b"normal",
    Urgency.BULK: b"low",
}


class WebPayload(NamedTuple):
    """Everything behind the delivery id: the best text that fits, and the short one for a service that takes less."""

    rest: bytes
    short: bytes


def build(event: Event, language: Language) -> WebPayload:
    """Encode what everybody is told alike."""
    return _fitting(event, list(shown_texts(event, language)), None)


def build_personal(event: Event, language: Language, personal: Personal) -> WebPayload:
    """Encode what one reader is told: the children's names in the text, the number on the app's icon."""
    texts = [
        Text(filled(text.title, personal.children), filled(text.body, personal.children))
        for text in shown_texts(event, language)
    ]
    return _fitting(event, texts, personal.badge)


def messages(rests: Sequence[bytes], deliveries: Sequence[bytes]) -> list[bytes]:
    """Join what is told with the delivery ids."""
    return [b"".join((_BEFORE_DELIVERY, delivery, rest)) for delivery, rest in zip(deliveries, rests, strict=True)]


def _fitting(event: Event, texts: list[Text], badge: int | None) -> WebPayload:
    short = _encode(event, texts[-1], badge, with_extras=False)
    candidates = (_encode(event, text, badge, with_extras=True) for text in texts)
    room = PLAIN_BYTES_MAX - len(_BEFORE_DELIVERY) - ID_BYTES
    return WebPayload(next((one for one in candidates if len(one) <= room), short), short)


def _encode(event: Event, text: Text, badge: int | None, *, with_extras: bool) -> bytes:
    told: dict[str, object] = {"event": event.public_id}
    if text.title:
        told["title"] = text.title
    told |= {"body": text.body, "tag": collapse_key(event), "urgency": event.urgency}
    if badge is not None:
        told["badge"] = badge
    if with_extras and event.content.link and not event.sensitive:  # a link may give the subject away
        told["link"] = event.content.link
    return b'",' + msgspec.json.encode(told)[1:]


def ttl_seconds(event: Event, now_ms: int) -> int:
    """How long the push service may keep the message: until the event expires, 28 days at most."""
    return min(max(0, (event.expires_ms - now_ms) // 1000), TTL_SECONDS_MAX)


def template(event: Event, ttl: int, authorization: bytes) -> Template:
    """The request headers of a batch; each request adds its path.

    The token is the same for hours and enters the header table: then it costs one byte a request. The collapse key
    has at most 32 letters that are base64url, which is just what Topic takes (RFC 8030 section 5.4).
    """
    return Template(
        path=b"",
        indexed=(
            (b"content-encoding", b"aes128gcm"),
            (b"content-type", b"application/octet-stream"),
            (b"urgency", _URGENCY[event.urgency]),
            (b"authorization", authorization),
        ),
        literal=((b"ttl", b"%d" % ttl), (b"topic", collapse_key(event).encode())),
    )
