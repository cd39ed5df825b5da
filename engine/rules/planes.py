"""The names of planes as the rules ask for them; `rules/person_planes.py` spells those that people's cards give."""

from __future__ import annotations

from typing import NamedTuple

from engine.records.words import Category, Channel, Role, channel_of
from engine.rules import person_planes
from engine.rules.person_planes import BAD_EMAIL, quiet_plane

__all__ = ["BAD_EMAIL", "ENGLISH", "Route", "endpoint_plane", "off_plane", "quiet_plane", "role_plane"]

ENGLISH = "en"


class Route(NamedTuple):
    """One way to a person: a lane and the slot of the person's endpoint on it."""

    lane: str
    slot: int

    @property
    def channel(self) -> Channel:
        return channel_of(self.lane)


def role_plane(role: Role) -> str:
    return f"role.{role}"


def off_plane(channel: Channel, category: Category) -> str:
    """Who opted out of a category on a channel."""
    return f"off.{channel}.{category}"


def endpoint_plane(route: Route) -> str:
    """Who has a live endpoint there."""
    return person_planes.endpoint_plane(route.lane, route.slot)
