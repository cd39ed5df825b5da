"""A person as the store keeps it: one compact record that holds all that its own planes and rosters follow from.

What a guardian's rosters follow from (where its children are pupils) stands on the guardian's own card, so that no
other block is needed to derive them. A child's change reaches its guardians' cards by letters (`family.py`).
Addresses are not on the card but in the block's endpoint hashes; the card has their digests.
"""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from engine.records.words import EMAIL_LANE, Category, Channel, Language, Role
from engine.rules.membership import Place, Post, pupil_places, rosters_of
from engine.rules.person_planes import planes_of

VACANT = b""


class Slot(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """One endpoint slot of a lane. A vacant one keeps its generation, so that the next address gets a higher one."""

    generation: int  # 1..65535, then 1 again
    registered_ms: int
    place_in_line: int  # where it stands among the person's devices, oldest first
    digest: bytes  # of the address; empty: vacant


class Follow(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A child on its guardian's card. `places` None: it was a child once; the revision keeps late letters off."""

    child: int
    revision: int  # version of the child's block when it was so
    places: tuple[Place, ...] | None


class Card(msgspec.Struct, frozen=True, array_like=True):
    """A person. With an empty tenant the person is gone, and only generations and old revisions are kept."""

    id: str
    tenant: str
    language: Language = Language.DA
    posts: tuple[Post, ...] = ()
    guardians: tuple[int, ...] = ()
    follows: tuple[Follow, ...] = ()
    lanes: dict[str, tuple[Slot, ...]] = {}  # e-mail is lane `email`, slot 0
    bad_email: bool = False
    off: dict[Channel, tuple[Category, ...]] = {}
    quiet: tuple[tuple[tuple[int, ...], str, str], ...] = ()  # days, from, until

    @property
    def gone(self) -> bool:
        return not self.tenant

    def follows_child(self, number: int) -> bool:
        return any(follow.child == number and follow.places is not None for follow in self.follows)


encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Card).decode


def decode(packed: bytes | None) -> Card | None:
    return None if packed is None else _decode(packed)


def taken_slots(card: Card) -> Iterator[tuple[str, int, Slot]]:
    """The slots of a card that hold an address."""
    for lane, slots in card.lanes.items():
        for number, slot in enumerate(slots):
            if slot.digest:
                yield lane, number, slot


def tokens_of(card: Card | None) -> set[bytes]:
    """The digests of a card's device tokens."""
    if card is None or not card.lanes:
        return set()
    return {slot.digest for lane, _, slot in taken_slots(card) if lane != EMAIL_LANE}


def planes_of_card(card: Card | None) -> set[str]:
    if card is None or card.gone:
        return set()
    roles = {post.role for post in card.posts}
    if any(follow.places for follow in card.follows):
        roles.add(Role.GUARDIAN)
    return planes_of(
        language=card.language,
        roles=roles,
        off=card.off,
        endpoints=[(lane, number) for lane, number, _ in taken_slots(card)],
        bad_email=card.bad_email,
    )


def rosters_of_card(card: Card | None) -> set[str]:
    if card is None or card.gone:
        return set()
    return rosters_of(card.posts, [follow.places for follow in card.follows if follow.places])


def pupil_places_of(card: Card | None) -> tuple[Place, ...]:
    return () if card is None else pupil_places(card.posts)
