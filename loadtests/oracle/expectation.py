"""One person and one event: on each channel reached at which addresses, or suppressed for which reason.

The rules are those of docs/decisions/0001, in the order in which they are asked: role, strategy, opted_out,
no_endpoint. Emergencies pass opt-outs and quiet hours; quiet hours never hold the inbox.
"""

from __future__ import annotations

from enum import IntEnum
from typing import Any, NamedTuple

from loadtests.oracle.people import EVERYONE, Someone
from loadtests.oracle.posted import Posted, replaced_ms
from loadtests.oracle.quiet import Quiet, quiet_between

CHANNELS = ("push", "email", "inapp")
DEAD_PREFIX = "dead"
ROLES = ("pupil", "guardian", "staff")


class Need(IntEnum):
    """Whether a delivery must have been accepted by now."""

    MUST = 0
    MAY = 1  # replaced by a newer event, or quiet hours began or ended meanwhile: both outcomes are right
    HELD = 2  # quiet hours: not yet
    REFUSED = 3  # the address is dead: it may be tried until the engine retires it, and is never accepted


class Expected(NamedTuple):
    """What one channel must do for one person: a reason for nothing, or addresses with their need."""

    channel: str
    reason: str  # empty when the person is reached
    addresses: tuple[str, ...] = ()  # none for the inbox
    need: Need = Need.MUST


class Rules:
    """Judges people for one event, as seen when the ledgers were read (`seen_ms`)."""

    def __init__(
        self, event: Posted, events: list[Posted], strategies: dict[tuple[str, str], frozenset[str]], seen_ms: int
    ) -> None:
        self.event = event
        data = event.data
        self._include: list[dict[str, Any]] = data["audience"]["include"]
        self._exclude: list[dict[str, Any]] = data["audience"].get("exclude", [])
        self._roles = set(data.get("roles", ()))
        self._allowed = strategies.get((event.tenant, event.category), frozenset(CHANNELS))
        self._ended_ms = replaced_ms(event, events)
        self._seen_ms = seen_ms
        self._category, self._is_emergency = event.category, event.is_emergency

    def expect(self, someone: Someone) -> list[Expected] | None:
        """Say what must happen on every channel; None when the person is not meant."""
        if not any(_means(term, someone) for term in self._include):
            return None
        if any(_means(term, someone) for term in self._exclude):
            return None
        return [self._on(channel, someone) for channel in CHANNELS]

    def _on(self, channel: str, someone: Someone) -> Expected:
        if self._roles and not any((EVERYONE, role) in someone.belongs for role in self._roles):
            return Expected(channel, "role")
        if channel not in self._allowed:
            return Expected(channel, "strategy")
        if not self._is_emergency and self._category in someone.off.get(channel, ()):
            return Expected(channel, "opted_out")
        if channel == "inapp":
            return Expected(channel, "", need=Need.MUST if self._ended_ms is None else Need.MAY)
        addresses = someone.devices if channel == "push" else (someone.email,) if someone.email else ()
        if not addresses:
            return Expected(channel, "no_endpoint")
        return Expected(channel, "", tuple(addresses), self._need(someone))

    def _need(self, someone: Someone) -> Need:
        hours = Quiet.NEVER if self._is_emergency else quiet_between(someone.quiet, self.event.posted_ms, self._seen_ms)
        if hours is Quiet.ALWAYS:
            return Need.HELD
        return Need.MAY if hours is Quiet.PARTLY or self._ended_ms is not None else Need.MUST


def _means(term: dict[str, Any], someone: Someone) -> bool:
    if "people" in term:
        return someone.id in term["people"]
    if "guardians_of" in term:
        return any(child.id in term["guardians_of"] for child in someone.children)
    scope = EVERYONE
    for kind in ("group", "institution", "municipality"):
        if kind in term:
            scope = f"{kind}/{term[kind]}"
    roles = (term["role"],) if term.get("role") else ROLES
    return any((scope, role) in someone.belongs for role in roles)
