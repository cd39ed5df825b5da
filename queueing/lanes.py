"""The port `Lanes` on the store: one token bucket and one state per lane, shared by all dispatchers.

A bucket holds up to `burst` permits and fills at `rate_per_second`, so that in any T seconds at most
`rate_per_second * T + burst` are granted. A lane with a ramp fills slower while it was not busy
(`engine/rules/quota.py`). Lanes without a limit are never short, yet can be slowed and parked.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from engine.ports import Permits
from queueing import keys
from queueing.link import Command, Link, Script

PARKED_WAIT_MS = 5_000
"""How long a dispatcher may leave a parked lane alone: an operator who resumes it sees it move soon."""

CLOCK_SET_BACK_MS = 60_000
"""A bucket's time this far ahead comes from a clock that was wrong; without this rule it would stay empty till then."""

_TAKE, _GIVE_BACK, _SLOW = Script("lane_take"), Script("lane_give_back"), Script("lane_slow")


class LaneLimit(msgspec.Struct, frozen=True, kw_only=True):
    """A lane's limit in people (requests to the provider): steadily so many a second, at once up to `burst`.

    With `ramp_seconds` it takes so long from nothing to the full rate; 0 is at once.
    """

    rate_per_second: float
    burst: int
    ramp_seconds: float = 0.0

    def __post_init__(self) -> None:
        if not 0 < self.rate_per_second < float("inf"):
            raise ValueError("rate_per_second must be above 0; park a lane to stop it")
        if self.burst < 1:
            raise ValueError("burst must be at least 1")
        if not 0 <= self.ramp_seconds < float("inf"):
            raise ValueError("ramp_seconds must be 0 (no ramp) or more")


class StoreLanes:
    """Permits, slowing and parking of lanes.

    Args:
        limits: by lane name; a lane that is left out has no limit.
    """

    def __init__(self, link: Link, limits: Mapping[str, LaneLimit]) -> None:
        link.know((_TAKE, _GIVE_BACK, _SLOW))
        self._link = link
        self._limits = dict(limits)

    async def take(self, lane: str, want: int, now_ms: int) -> Permits:
        """Take up to `want` permits in one round trip; when fewer were granted, `wait_ms` says when to ask again."""
        granted, wait_ms, parked = await self._link.ask(*self._take(lane, want, now_ms))
        return Permits(granted, wait_ms, bool(parked))

    async def give_back(self, lane: str, count: int, now_ms: int) -> None:
        """Return permits that were not used."""
        limit = self._limits.get(lane)
        if limit is not None and count > 0:
            await self._link.ask(*_GIVE_BACK.call((keys.lane(lane),), (count, limit.burst)))

    async def slow(self, lane: str, until_ms: int, reason: str) -> None:
        """Take nothing from the lane until then (Retry-After); the latest time that anybody asked for holds."""
        await self._link.ask(*_SLOW.call((keys.lane(lane),), (until_ms, reason)))

    async def park(self, lane: str, reason: str, now_ms: int) -> None:
        """Stop the lane until an operator resumes it; the first reason is kept, it is the cause."""
        await self._link.ask("HSETNX", keys.PARKED_LANES, lane, reason)

    async def resume(self, lane: str) -> None:
        """Let a parked lane go on, and ring the bell for it; a Retry-After that still holds stays in force."""
        await self._link.run([("HDEL", keys.PARKED_LANES, lane), ("PUBLISH", keys.BELL, "resumed")])

    async def parked(self) -> dict[str, str]:
        """Parked lanes and why."""
        flat = await self._link.ask("HGETALL", keys.PARKED_LANES)
        return {lane.decode(): why.decode() for lane, why in zip(flat[::2], flat[1::2], strict=True)}

    def _take(self, lane: str, want: int, now_ms: int) -> Command:
        limit = self._limits.get(lane)
        rate, burst, ramp = (
            (repr(limit.rate_per_second), limit.burst, repr(limit.ramp_seconds)) if limit else ("", 0, 0)
        )
        return _TAKE.call(
            (keys.lane(lane), keys.PARKED_LANES),
            (lane, want, now_ms, rate, burst, PARKED_WAIT_MS, CLOCK_SET_BACK_MS, ramp),
        )
