"""Who is whose child, as far as a text needs it: given names, and where the children are pupils."""

from __future__ import annotations

from typing import NamedTuple


class Pupil(NamedTuple):
    """A person as the child that an event may be about. `rosters` are its own, as in `group/3b/pupil`.

    `name` is the given name, empty where the directory has none (or is not to tell it).
    """

    id: str
    name: str
    rosters: frozenset[str]


class Family(NamedTuple):
    """A person and the children whose guardian they are now, by the cards of both."""

    own: Pupil
    children: tuple[Pupil, ...]
