"""What FCM is sent: the JSON body of one event in one language, built once; token, delivery id and ttl are spliced in.

Pure. Source: FCM HTTP v1, `projects.messages` and `AndroidConfig`. The body's own keys come in a fixed order, with the
parts that differ between recipients first, so that splicing is joining.
"""

from __future__ import annotations

from typing import NamedTuple

import msgspec

from channels.notification import LOUD, PAYLOAD_BYTES_MAX, collapse_key, shown_texts
from engine.records.event import Event, Text
from engine.records.words import Language

TTL_SECONDS_MAX = 2_419_200  # 28 days, FCM's limit
ID_BYTES = 36
_TOKEN_BYTES = 256  # room kept for the token; real ones have about 160 bytes

_BEFORE_TOKEN = b'{"message":{"token":"'
_BEFORE_DELIVERY = b'","data":{"delivery":"'


class FcmPayload(NamedTuple):
    """The constant pieces of a body, before and behind the ttl."""

    before_ttl: bytes
    after_ttl: bytes

    def bodies(self, tokens: list[bytes], deliveries: list[bytes], ttl_seconds: int) -> list[bytes]:
        """Splice one body per recipient. Tokens must need no JSON escapes (`is_plain_token`)."""
        tail = self.before_ttl + b"%d" % ttl_seconds + self.after_ttl
        return [
            b"".join((_BEFORE_TOKEN, token, _BEFORE_DELIVERY, delivery, tail))
            for token, delivery in zip(tokens, deliveries, strict=True)
        ]


def ttl_seconds(event: Event, now_ms: int) -> int:
    """How long FCM may keep the message: until the event expires, 28 days at most."""
    return min(max(0, (event.expires_ms - now_ms) // 1000), TTL_SECONDS_MAX)


def build(event: Event, language: Language) -> FcmPayload:
    """Encode the best text that fits into 4,096 bytes, the whole body counted."""
    texts = list(shown_texts(event, language))
    candidates = [_encode(event, text, with_link=True) for text in texts]
    candidates.append(_encode(event, texts[-1], with_link=False))
    return next((one for one in candidates if _bytes_at_most(one) <= PAYLOAD_BYTES_MAX), candidates[-1])


def _bytes_at_most(pieces: FcmPayload) -> int:
    ttl_digits = len(str(TTL_SECONDS_MAX))
    return sum(map(len, (_BEFORE_TOKEN, _BEFORE_DELIVERY, *pieces))) + _TOKEN_BYTES + ID_BYTES + ttl_digits


def _encode(event: Event, text: Text, *, with_link: bool) -> FcmPayload:
    data = {"event": event.public_id}
    if with_link and event.content.link and not event.sensitive:  # a link may give the subject away
        data["link"] = event.content.link
    shown = {"title": text.title, "body": text.body} if text.title else {"body": text.body}
    rest = {
        "notification": shown,
        "android": {
            "priority": "high" if event.urgency in LOUD else "normal",
            "notification": {"tag": collapse_key(event)},
        },
    }
    encoded = msgspec.json.encode(rest)
    before_ttl = b'","' + msgspec.json.encode(data)[2:] + b"," + encoded[1:-2] + b',"ttl":"'
    return FcmPayload(before_ttl, b's"}}}')
