"""Pacing: held people are not all released in the same second.

At 07:00 a night's messages become due for a million people. Each released slice gets its own share of a spread,
derived from its id, so that planning twice gives the same times.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from types import MappingProxyType

from engine.records.words import Urgency

SPREAD_MINUTES: Mapping[Urgency, int] = MappingProxyType({Urgency.NORMAL: 10, Urgency.BULK: 10})
"""Ten minutes turn a million releases into 1,700 a second; less than a half-hour, so never into the next quiet one."""

_LAST_MINUTE_MS = 60_000  # a release is never spread into the last minute before expiry


def paced_ms(
    release_ms: int,
    *,
    urgency: Urgency,
    expires_ms: int,
    seed: str,
    spread_minutes: Mapping[Urgency, int] = SPREAD_MINUTES,
) -> int:
    """When a slice that may go at `release_ms` is due: up to the urgency's spread later, the same for the same seed."""
    span = min(spread_minutes.get(urgency, 0) * 60_000, expires_ms - release_ms - _LAST_MINUTE_MS)
    if span <= 0:
        return release_ms
    digest = hashlib.blake2b(seed.encode(), digest_size=8).digest()
    return release_ms + int.from_bytes(digest, "big") % (span + 1)
