"""A person as the store keeps it: one compact record that holds all that its own planes and rosters follow from.

What a guardian's rosters follow from (where its children are pupils) stands on the guardian's own card, so that no
other block is needed to derive them. A child's change reaches its guardians' cards by letters (`family.py`).
Addresses are not on the card but in the block's endpoint hashes; the card has their digests.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import msgspec

from engine.records.words import Category, Channel, Language, Role
from engine.rules.membership import Place, Post, pupil_places, rosters_of
from engine.rules.person_planes import planes_of

VACANT = b""
NO_NAMES = frozenset[str]()

Quiet = tuple[tuple[tuple[int, ...], str, str], ...]
"""Weekly quiet hours: days, from, until."""


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


class Card(msgspec.Struct, frozen=True, array_like=True, gc=False):
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
    quiet: Quiet = ()
    name: str = ""  # the given name; cards from before it was kept have none

    @property
    def gone(self) -> bool:
        return not self.tenant

    def follows_child(self, number: int) -> bool:
        return any(follow.child == number and follow.places is not None for follow in self.follows)


encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Card).decode


def decode(packed: bytes | None) -> Card | None:
    return None if packed is None else _decode(packed)


def taken_slots(card: Card) -> list[tuple[str, int, Slot]]:
    """The slots of a card that hold an address."""
    return [
        (lane, number, slot) for lane, slots in card.lanes.items() for number, slot in enumerate(slots) if slot.digest
    ]


def planes_of_card(card: Card, taken: Sequence[tuple[str, int, Slot]]) -> frozenset[str]:
    """Name the planes of a card that holds these slots. People are of few kinds: mostly found, not made."""
    if card.gone:
        return NO_NAMES
    roles = [post.role for post in card.posts]
    for follow in card.follows:
        if follow.places:
            roles.append(Role.GUARDIAN)
            break
    return _planes(
        card.language,
        tuple(roles),
        tuple(card.off.items()) if card.off else (),
        tuple([(lane, number) for lane, number, _ in taken]),
        card.bad_email,
    )


@lru_cache(maxsize=1 << 14)
def _planes(
    language: Language,
    roles: tuple[Role, ...],
    off: tuple[tuple[Channel, tuple[Category, ...]], ...],
    endpoints: tuple[tuple[str, int], ...],
    bad_email: bool,
) -> frozenset[str]:
    return frozenset(planes_of(language=language, roles=roles, off=dict(off), endpoints=endpoints, bad_email=bad_email))


def rosters_of_card(card: Card) -> frozenset[str]:
    """Name the rosters of a card. A class comes in a row: mostly found, not made."""
    if card.gone or not (card.posts or card.follows):
        return NO_NAMES
    return _rosters(card.posts, tuple([follow.places for follow in card.follows if follow.places]))


@lru_cache(maxsize=1 << 14)
def _rosters(posts: tuple[Post, ...], children: tuple[tuple[Place, ...], ...]) -> frozenset[str]:
    return frozenset(rosters_of(posts, children))


def pupil_places_of(card: Card | None) -> tuple[Place, ...]:
    return () if card is None else pupil_places(card.posts)
