"""Policy, version 1: who may be reached on which channel, and why not, 256 people at a time.

Asked in this order; the first rule that says no gives the reason:

    role                the event names roles and the person holds none of them
    strategy            the municipality does not use the channel for the category
    opted_out           the person switched the category off on the channel (emergencies pass)
    no_endpoint         no device on any lane, no e-mail address (everyone has an inbox)
    suppressed_address  the e-mail address bounced

`not_in_audience` comes before them all, at send time only (`rules/recheck.py`). Quiet hours suppress nobody: they set
a due time (`rules/quiet.py`).
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from functools import lru_cache
from typing import TypeVar

import msgspec

from engine.records.event import Event
from engine.records.person import SLOT_MAX
from engine.records.roster import Roster
from engine.records.words import CHANNELS, Channel, Reason, Urgency, channel_of
from engine.rules import roster as rosters
from engine.rules.planes import BAD_EMAIL, Route, endpoint_plane, off_plane, role_plane

ALL_CHANNELS = frozenset(CHANNELS)

_Key = TypeVar("_Key")


class Verdict(msgspec.Struct):
    """What policy says about an audience.

    Per channel, `people` and the rosters of `suppressed` are disjoint and add up to the audience; `deliveries`
    says on which routes those people are reached, a person with two devices on two of them.
    """

    suppressed: dict[tuple[Channel, Reason], Roster] = msgspec.field(default_factory=dict)
    people: dict[Channel, Roster] = msgspec.field(default_factory=dict)
    deliveries: dict[Route, Roster] = msgspec.field(default_factory=dict)

    def add(self, other: Verdict) -> None:
        """Take in what was said about other blocks."""
        _merge(self.suppressed, other.suppressed)
        _merge(self.people, other.people)
        _merge(self.deliveries, other.deliveries)


def routes_of(lanes: Iterable[str]) -> tuple[Route, ...]:
    """Every route of these lanes: a push lane has eight slots, e-mail and in-app one."""
    return tuple(
        Route(lane, slot)
        for lane in sorted(lanes)
        for slot in range(SLOT_MAX if channel_of(lane) is Channel.PUSH else 1)
    )


def planes_needed(event: Event, routes: Sequence[Route], allowed: Collection[Channel] = ALL_CHANNELS) -> set[str]:
    """Which planes `judge` asks for; channels that the strategy forbids need none."""
    names = {role_plane(role) for role in event.roles}
    for channel, own in _by_channel(tuple(routes)).items():
        if channel not in allowed:
            continue
        if event.urgency is not Urgency.EMERGENCY:
            names.add(off_plane(channel, event.category))
        if channel is not Channel.INAPP:
            names.update(map(endpoint_plane, own))
        if channel is Channel.EMAIL:
            names.add(BAD_EMAIL)
    return names


def judge(
    event: Event,
    audience: Roster,
    routes: Sequence[Route],
    planes: Mapping[str, Roster],
    allowed: Collection[Channel] = ALL_CHANNELS,
) -> Verdict:
    """Apply the rules to an audience on every channel that the routes belong to.

    Args:
        audience: may be any part of the event's audience; planes must cover its blocks.
        routes: the ways to ask about; at send time only the slice's own, so that a device that is gone there
            is `no_endpoint` even where the person has another.
        allowed: the channels that the tenant's strategy allows for the event's category.
    """
    verdict = Verdict()
    entitled = audience
    outside_roles: Roster = {}
    if event.roles:
        holders = rosters.union(*(planes.get(role_plane(role), {}) for role in event.roles))
        entitled = rosters.intersect(audience, holders)
        outside_roles = rosters.minus(audience, holders)
    for channel, own in _by_channel(tuple(routes)).items():
        _suppress(verdict, channel, Reason.ROLE, outside_roles)
        _judge_channel(verdict, event, channel, entitled, own, planes, channel in allowed)
    return verdict


@lru_cache(maxsize=256)  # a class message has a handful of blocks: sorting twenty routes would cost as much as judging
def _by_channel(routes: tuple[Route, ...]) -> dict[Channel, list[Route]]:
    found: dict[Channel, list[Route]] = {}
    for channel in CHANNELS:
        if own := [route for route in routes if route.channel is channel]:
            found[channel] = own
    return found


def _judge_channel(
    verdict: Verdict,
    event: Event,
    channel: Channel,
    entitled: Roster,
    routes: Sequence[Route],
    planes: Mapping[str, Roster],
    is_allowed: bool,
) -> None:
    if not is_allowed:
        _suppress(verdict, channel, Reason.STRATEGY, entitled)
        return
    left = entitled
    if event.urgency is not Urgency.EMERGENCY:
        off = planes.get(off_plane(channel, event.category), {})
        _suppress(verdict, channel, Reason.OPTED_OUT, rosters.intersect(left, off))
        left = rosters.minus(left, off)
    if channel is not Channel.INAPP:
        reachable = rosters.union(*(planes.get(endpoint_plane(route), {}) for route in routes))
        _suppress(verdict, channel, Reason.NO_ENDPOINT, rosters.minus(left, reachable))
        left = rosters.intersect(left, reachable)
    if channel is Channel.EMAIL:
        bad = planes.get(BAD_EMAIL, {})
        _suppress(verdict, channel, Reason.SUPPRESSED_ADDRESS, rosters.intersect(left, bad))
        left = rosters.minus(left, bad)
    if left:
        verdict.people[channel] = dict(left)
    for route in routes:
        there = left if channel is Channel.INAPP else rosters.intersect(left, planes.get(endpoint_plane(route), {}))
        if there:
            verdict.deliveries[route] = dict(there)


def _suppress(verdict: Verdict, channel: Channel, reason: Reason, people: Roster) -> None:
    if people:
        verdict.suppressed[channel, reason] = dict(people)  # a copy: `add` writes into what is ours


def _merge(together: dict[_Key, Roster], more: dict[_Key, Roster]) -> None:
    for key, people in more.items():
        rosters.merge_into(together.setdefault(key, {}), people)
