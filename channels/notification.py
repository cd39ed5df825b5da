"""What a phone shows of an event, alike on every push provider: the text, what it replaces, how loud it is. Pure."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from itertools import compress
from struct import Struct

import msgspec

from engine.records.event import Event, Text
from engine.records.placeholder import CHILDREN
from engine.records.words import Language, Urgency
from engine.records.work import Batch

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

    A sensitive event has only the neutral one. `{children}` stands in them as it was written: `splice.py` cuts there.
    """
    if not event.sensitive:
        text = event.text(language)
        yield text
        yield Text(_cut(text.title, _SHORT_TITLE_LETTERS), _cut(text.body, _SHORT_BODY_LETTERS))
    yield NEUTRAL[language]


def _cut(text: str, letters: int) -> str:
    if len(text) <= letters:
        return text
    end = letters - 1
    placeholder = text.rfind(CHILDREN, 0, end + len(CHILDREN) - 1)
    if 0 <= placeholder < end < placeholder + len(CHILDREN):
        end = placeholder  # never through the middle of it
    return text[:end].rstrip() + "…"


def collapse_key(event: Event) -> str:
    """Name what a notification replaces on the phone: an older one about the same entity, or its own repeat.

    At most 32 ASCII letters (APNs allows 64 bytes). An entity is hashed: it may hold a calendar UID of any length.
    """
    if event.entity is None:
        return event.public_id
    return hashlib.blake2b(event.entity.encode(), digest_size=16).hexdigest()


def batch_of_some(batch: Batch, chosen: Sequence[bool]) -> Batch:
    """The batch of those endpoints that are chosen, with what is personal to them."""
    endpoints = list(compress(batch.endpoints, chosen))
    personal = None if batch.personal is None else list(compress(batch.personal, chosen))
    return msgspec.structs.replace(batch, endpoints=endpoints, personal=personal)


def uuid_forms(digests: Sequence[bytes]) -> list[bytes]:
    """Spell 16 bytes each as UUIDs in lower case, as `apns-id` wants them.

    Hot path of every push lane: all at once costs a third of one by one.
    """
    return list(map(b"-".join, _UUID_PARTS.iter_unpack(b"".join(digests).hex().encode())))
