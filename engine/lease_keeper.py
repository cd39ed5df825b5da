"""Keeps the leases of what this process has in hand, by heartbeat.

A lease is about whether the worker lives, never about how long its work takes. Where a lease is lost all the same
(the machine slept, the store was away for long), another has the slice: what we still get as answers is dropped.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import trio

from engine.ports import Observer, Work
from engine.records.errors import StoreUnavailable
from engine.records.work import Claim

BEATS_A_LEASE = 3  # two may fail before the lease ends

_Key = tuple[int, int, str, int]


class LeaseKeeper:
    """The claims in hand and those that were lost."""

    def __init__(self, work: Work, observer: Observer, now_ms: Callable[[], int], lease_seconds: float) -> None:
        self._work = work
        self._observer = observer
        self._now_ms = now_ms
        self._lease_seconds = lease_seconds
        self._held: dict[_Key, Claim] = {}

    @contextmanager
    def holding(self, claim: Claim) -> Iterator[None]:
        """Keep a claim's lease for the length of a `with` block."""
        key = _key(claim)
        self._held[key] = claim
        try:
            yield
        finally:
            self._held.pop(key, None)

    def is_lost(self, claim: Claim) -> bool:
        """Say whether the lease of a claim in hand is gone, so that nothing may be done in its name."""
        return _key(claim) not in self._held

    def lose(self, claim: Claim) -> None:
        """Note that the store fenced a claim off; counted once."""
        if self._held.pop(_key(claim), None) is not None:
            self._observer.fenced()

    @property
    def count(self) -> int:
        """How many claims are in hand."""
        return len(self._held)

    async def run(self) -> None:
        """Beat until cancelled."""
        while True:
            await trio.sleep(self._lease_seconds / BEATS_A_LEASE)
            await self.beat()

    async def beat(self) -> None:
        """Extend all leases once; a store that is away is asked again with the next beat."""
        claims = list(self._held.values())
        if not claims:
            return
        try:
            kept = await self._work.extend(claims, self._now_ms(), round(1000 * self._lease_seconds))
        except StoreUnavailable:
            return
        for claim, is_kept in zip(claims, kept, strict=True):
            if not is_kept:
                self.lose(claim)


def _key(claim: Claim) -> _Key:
    return claim.slice.event, claim.slice.shard, claim.slice.id, claim.epoch
