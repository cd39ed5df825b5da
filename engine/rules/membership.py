"""Which rosters a person belongs to: by what it is itself, and by what its children are.

A person's posts give `group/<id>/<role>`, `institution/<id>/<role>`, `municipality/<code>/<role>` and
`everyone/<role>`. A guardian holds no post: the places of its children as pupils give the same scopes with the role
guardian. A person whose children are pupils nowhere is no guardian either, until one starts again.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import lru_cache

import msgspec

from engine.records.words import Role


class Place(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """One institution, its municipality, and the person's groups there."""

    institution: str
    tenant: str
    groups: tuple[str, ...]


class Post(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """What a person is somewhere."""

    role: Role
    place: Place


def rosters_of(posts: Iterable[Post], children: Iterable[Sequence[Place]]) -> set[str]:
    """Name the rosters of a person with these posts, whose children are pupils at these places."""
    names: set[str] = set()
    for post in posts:
        names.update(roster_names(post.place, post.role))
    for places in children:
        for place in places:
            names.update(roster_names(place, Role.GUARDIAN))
    return names


def pupil_places(posts: Iterable[Post]) -> tuple[Place, ...]:
    """The places that a person's guardians follow it to."""
    return tuple(post.place for post in posts if post.role is Role.PUPIL)


@lru_cache(maxsize=1 << 14)  # an import brings a class in a row: 22 pupils, one place
def roster_names(place: Place, role: Role) -> tuple[str, ...]:
    """Name the rosters of one role at one place."""
    scopes = [f"group/{group}" for group in place.groups]
    scopes += [f"institution/{place.institution}", f"municipality/{place.tenant}", "everyone"]
    return tuple(f"{scope}/{role}" for scope in scopes)
