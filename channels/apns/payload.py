"""What APNs is sent: the JSON body and the headers of one event in one language, built once for all its recipients,
and spliced where a reader has a badge or reads their children's names.

Pure. Source: Apple, "Generating a remote notification" and "Sending notification requests to APNs".
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import msgspec

from channels.http2.headers import Template
from channels.notification import LOUD, PAYLOAD_BYTES_MAX, collapse_key, shown_texts
from channels.splice import BADGE, NOTHING_PERSONAL, Bodies, Spliced, cut_alert, spliced
from engine.records.event import Event, Text
from engine.records.words import Language, Urgency
from engine.records.work import Personal

ID_BYTES = 36  # a UUID in text
_BADGE_FIELD = b',"badge":'

_INTERRUPTION = {
    # `time-sensitive` breaks through Focus and the scheduled summary. People may switch it off for an app that overuses
    # it, so only what cannot wait has it; urgent class messages come by the dozen each morning and stay `active`.
    # `critical` also breaks through the mute switch, and needs an entitlement from Apple.
    Urgency.EMERGENCY: "time-sensitive",
    Urgency.URGENT: "active",
    Urgency.NORMAL: "active",
    Urgency.BULK: "passive",
}

_RELEVANCE = {Urgency.EMERGENCY: 1.0, Urgency.URGENT: 0.75, Urgency.NORMAL: 0.5, Urgency.BULK: 0.25}
"""Where iOS puts it in the scheduled summary: what is urgent first."""


class ApnsPayload(NamedTuple):
    """Bodies of one event in one language, best first; the last is the short one that fits whoever reads it.

    `body` and `short` are what everybody gets where nothing is personal; `short` is for the case that APNs calls the
    body too large all the same.
    """

    body: bytes
    short: bytes
    candidates: tuple[Spliced, ...]

    def bodies(self, personal: Sequence[Personal]) -> list[bytes]:
        """One body a reader, in their order."""
        return list(map(Bodies(self.candidates, _BADGE_FIELD).of, personal))

    def short_bodies(self, personal: Sequence[Personal]) -> list[bytes]:
        return list(map(Bodies(self.candidates[-1:], _BADGE_FIELD).of, personal))


def build(event: Event, language: Language) -> ApnsPayload:
    """Encode the texts that may be shown, in UTF-8 (Danish letters take two bytes, not six); 4,096 bytes fit."""
    texts = list(shown_texts(event, language))
    candidates = [_cut(event, text, with_extras=True) for text in texts]
    candidates.append(_cut(event, texts[-1], with_extras=False))
    bodies = [candidate.body(NOTHING_PERSONAL) for candidate in candidates]
    body = next((one for one in bodies if len(one) <= PAYLOAD_BYTES_MAX), bodies[-1])
    return ApnsPayload(body, bodies[-1], tuple(candidates))


def _cut(event: Event, text: Text, *, with_extras: bool) -> Spliced:
    aps: dict[str, object] = {
        "interruption-level": _INTERRUPTION[event.urgency],
        "relevance-score": _RELEVANCE[event.urgency],
    }
    klokke = {"event": event.public_id}
    if event.urgency in LOUD:
        aps["sound"] = "default"
    if with_extras and not event.sensitive:  # a thread's or link's name may give the subject away
        if event.content.thread:
            aps["thread-id"] = event.content.thread
        if event.content.link:
            klokke["link"] = event.content.link
    rest = msgspec.json.encode({"aps": aps, "klokke": klokke})
    return spliced((b'{"aps":{"alert":{', *cut_alert(text), b"}", BADGE, b",", rest[len(b'{"aps":{') :]))


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
