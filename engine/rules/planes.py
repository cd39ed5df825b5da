"""The names of planes, spelled in one place for every rule; `engine.ports.Directory` says what they hold."""

from __future__ import annotations

from typing import NamedTuple

from engine.records.words import Category, Channel, Role, channel_of

ENGLISH = "en"
BAD_EMAIL = "bad.email"


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
    return f"ep.{route.lane}.{route.slot}"


def quiet_plane(half_hour: int) -> str:
    """Who is quiet in this half-hour of the local week."""
    return f"quiet.{half_hour}"
