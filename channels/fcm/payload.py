"""What FCM is sent: the JSON body of one event in one language, built once; token, delivery id, ttl, and where readers
differ badge and children's names are spliced in.

Pure. Source: FCM HTTP v1, `projects.messages`, `AndroidConfig` and `AndroidNotification`. The body's own keys come in a
fixed order, with the parts that differ between recipients first, so that splicing is joining.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import msgspec

from channels.notification import LOUD, PAYLOAD_BYTES_MAX, collapse_key, shown_texts
from channels.splice import BADGE, NOTHING_PERSONAL, Bodies, Spliced, cut_alert, spliced
from engine.records.event import Event, Text
from engine.records.words import Language, Urgency
from engine.records.work import Personal

TTL_SECONDS_MAX = 2_419_200  # 28 days, FCM's limit
ID_BYTES = 36
_TOKEN_BYTES = 256  # room kept for the token; real ones have about 160 bytes

_PRIORITIES = {
    # How phones before Android 8 sort and sound; newer ones go by the channel, which the app makes (docs/operations.md)
    Urgency.EMERGENCY: "PRIORITY_MAX",
    Urgency.URGENT: "PRIORITY_HIGH",
    Urgency.NORMAL: "PRIORITY_DEFAULT",
    Urgency.BULK: "PRIORITY_LOW",
}

_BEFORE_TOKEN = b'{"message":{"token":"'
_BEFORE_DELIVERY = b'","data":{"delivery":"'
_BADGE_FIELD = b',"notification_count":'
_AFTER_TTL = b's"}}}'
_RESERVE_BYTES = (
    sum(map(len, (_BEFORE_TOKEN, _BEFORE_DELIVERY, _AFTER_TTL))) + _TOKEN_BYTES + ID_BYTES + len(str(TTL_SECONDS_MAX))
)
"""What each body has beside its middle piece, at most."""


class FcmPayload(NamedTuple):
    """What stands between the delivery id and the ttl, best first; the last one fits whoever reads it.

    `middle` is what everybody gets where nothing is personal.
    """

    middle: bytes
    candidates: tuple[Spliced, ...]

    def bodies(
        self,
        tokens: list[bytes],
        deliveries: list[bytes],
        ttl_seconds: int,
        personal: Sequence[Personal] | None = None,
    ) -> list[bytes]:
        """Splice one body per recipient. Tokens must need no JSON escapes."""
        after = b"%d" % ttl_seconds + _AFTER_TTL
        if personal is None:
            tail = self.middle + after
            return [
                b"".join((_BEFORE_TOKEN, token, _BEFORE_DELIVERY, delivery, tail))
                for token, delivery in zip(tokens, deliveries, strict=True)
            ]
        middle_of = Bodies(self.candidates, _BADGE_FIELD, _RESERVE_BYTES).of
        return [
            b"".join((_BEFORE_TOKEN, token, _BEFORE_DELIVERY, delivery, middle_of(own), after))
            for token, delivery, own in zip(tokens, deliveries, personal, strict=True)
        ]


def ttl_seconds(event: Event, now_ms: int) -> int:
    """How long FCM may keep the message: until the event expires, 28 days at most."""
    return min(max(0, (event.expires_ms - now_ms) // 1000), TTL_SECONDS_MAX)


def build(event: Event, language: Language) -> FcmPayload:
    """Encode the texts that may be shown; 4,096 bytes fit, the whole body counted."""
    texts = list(shown_texts(event, language))
    candidates = [_cut(event, text, with_link=True) for text in texts]
    candidates.append(_cut(event, texts[-1], with_link=False))
    middles = [candidate.body(NOTHING_PERSONAL) for candidate in candidates]
    fitting = (one for one in middles if len(one) + _RESERVE_BYTES <= PAYLOAD_BYTES_MAX)
    return FcmPayload(next(fitting, middles[-1]), tuple(candidates))


def _cut(event: Event, text: Text, *, with_link: bool) -> Spliced:
    data = {"event": event.public_id}
    if with_link and event.content.link and not event.sensitive:  # a link may give the subject away
        data["link"] = event.content.link
    shown = {
        "tag": collapse_key(event),
        "channel_id": event.urgency.value,
        "notification_priority": _PRIORITIES[event.urgency],
    }
    return spliced(
        (
            b'",' + msgspec.json.encode(data)[1:],
            b',"notification":{',
            *cut_alert(text),
            b'},"android":{"priority":"%b","notification":' % (b"high" if event.urgency in LOUD else b"normal"),
            msgspec.json.encode(shown)[:-1],
            BADGE,
            b'},"ttl":"',
        )
    )
