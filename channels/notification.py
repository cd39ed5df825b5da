"""What a phone shows of an event, alike on every push provider: the text, what it replaces, how loud it is. Pure."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from struct import Struct

from engine.records.event import Event, Text
from engine.records.words import Language, Urgency

PAYLOAD_BYTES_MAX = 4096  # APNs and FCM alike, of the encoded body

NEUTRAL = {
    Language.DA: Text("", "Du har en ny besked. Log ind for at læse den."),
    Language.EN: Text("", "You have a new message. Log in to read it."),
}
"""Shown instead of a sensitive event's content: no title, sender, child or subject."""

LOUD = frozenset({Urgency.EMERGENCY, Urgency.URGENT, Urgency.NORMAL})
"""Delivered at once and with a sound; bulk may wait for the phone to wake up by itself."""

_UUID_PARTS = Struct("8s4s4s4s12s")
_SHORT_TITLE_LETTERS = 80
_SHORT_BODY_LETTERS = 240


def shown_texts(event: Event, language: Language) -> Iterator[Text]:
    """Yield the texts that may be shown, best first: whole, cut short, neutral. The first that fits is sent.

    A sensitive event has only the neutral one.
    """
    if not event.sensitive:
        text = event.text(language)
        yield text
        yield Text(_cut(text.title, _SHORT_TITLE_LETTERS), _cut(text.body, _SHORT_BODY_LETTERS))
    yield NEUTRAL[language]


def _cut(text: str, letters: int) -> str:
    return text if len(text) <= letters else text[: letters - 1].rstrip() + "…"


def collapse_key(event: Event) -> str:
    """Name what a notification replaces on the phone: an older one about the same entity, or its own repeat.

    At most 32 ASCII letters (APNs allows 64 bytes). An entity is hashed: it may hold a calendar UID of any length.
    """
    if event.entity is None:
        return event.public_id
    return hashlib.blake2b(event.entity.encode(), digest_size=16).hexdigest()


def uuid_forms(digests: Sequence[bytes]) -> list[bytes]:
    """Spell 16 bytes each as UUIDs in lower case, as `apns-id` wants them.

    Hot path of every push lane: all at once costs a third of one by one.
    """
    return list(map(b"-".join, _UUID_PARTS.iter_unpack(b"".join(digests).hex().encode())))
