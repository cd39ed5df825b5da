"""Which planes a person's bit is set in. Quiet planes are apart (`quiet_week`): there are 336 of them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache

from engine.records.words import Category, Channel, Language, Role

EVERYONE = "all"
BAD_EMAIL = "bad.email"
_ROLE_PLANES = {role: f"role.{role}" for role in Role}


def planes_of(
    *,
    language: Language,
    roles: Iterable[Role],
    off: Mapping[Channel, Sequence[Category]],
    endpoints: Iterable[tuple[str, int]],
    bad_email: bool,
) -> set[str]:
    """Name the planes of a living person; `endpoints` are the (lane, slot) that hold an address now."""
    names = {EVERYONE}
    if language is Language.EN:
        names.add("en")
    for role in roles:
        names.add(_ROLE_PLANES[role])
    for channel, categories in off.items():
        for category in categories:
            names.add(f"off.{channel}.{category}")  # rare
    for lane, slot in endpoints:
        names.add(endpoint_plane(lane, slot))
    if bad_email:
        names.add(BAD_EMAIL)
    return names


@lru_cache(maxsize=1024)  # lanes times slots
def endpoint_plane(lane: str, slot: int) -> str:
    return f"ep.{lane}.{slot}"


def quiet_plane(half_hour: int) -> str:
    return f"quiet.{half_hour}"
