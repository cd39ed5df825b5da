"""Letters from a child's card to its guardians' cards: where the child is a pupil now, or that it is theirs no more.

A letter is written with the child's block and struck out when the guardian's card has heard it, so that a crash in
between loses nothing. Its revision (the version of the child's block) makes repeated and late letters harmless.
"""

from __future__ import annotations

from collections.abc import Iterator
from struct import Struct
from typing import NamedTuple

import msgspec

from queueing.directory.card import Card, Follow, pupil_places_of

_FIELD = Struct(">II")
_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Follow).decode


class Letter(NamedTuple):
    guardian: int
    follow: Follow

    @property
    def field(self) -> bytes:
        return _FIELD.pack(self.guardian, self.follow.child)

    @property
    def value(self) -> bytes:
        return _encode(self.follow)


def read_letter(field: bytes, value: bytes) -> Letter:
    return Letter(_FIELD.unpack(field)[0], _decode(value))


def letters(child: int, old: Card | None, new: Card, revision: int, *, remind: bool) -> Iterator[Letter]:
    """What the guardians must hear after the child's card changed; with `remind` even when nothing did."""
    before = () if old is None else old.guardians
    if not before and not new.guardians:
        return
    places = pupil_places_of(new)
    moved = remind or places != pupil_places_of(old)
    for guardian in new.guardians:
        if moved or guardian not in before:
            yield Letter(guardian, Follow(child, revision, places))
    for guardian in before:
        if guardian not in new.guardians:
            yield Letter(guardian, Follow(child, revision, None))


def hear(card: Card, heard: Follow) -> Card:
    """A guardian's card after a letter; the same card when the letter is older than what it knows."""
    for known in card.follows:
        if known.child == heard.child:
            if known.revision >= heard.revision:
                return card
            rest = tuple(follow for follow in card.follows if follow.child != heard.child)
            return msgspec.structs.replace(card, follows=(*rest, heard))
    return msgspec.structs.replace(card, follows=(*card.follows, heard))
