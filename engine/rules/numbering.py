"""Event numbers: 63 bits that are unique, roughly time-ordered and name the home shard.

    bit 62..21   milliseconds since 1970 (42 bits, until the year 2109)
    bit 20..4    the draw: a counter of the intake process that starts at a random value
    bit  3..0    the home shard, from a hash of the idempotency key (tenant, source, id)

The intake proposes a number; the ledger keeps the first one of an idempotency key and says which that is.
"""

from __future__ import annotations

import hashlib

from engine.records.event import SHARD_COUNT

DRAW_BITS = 17
"""A counter below 131,072 never repeats within a millisecond; two processes may meet, the ledger then moves on."""

_SHARD_BITS = (SHARD_COUNT - 1).bit_length()
_MS_BITS = 63 - DRAW_BITS - _SHARD_BITS


def home_shard(tenant: str, source: str, id: str) -> int:
    """The shard where an event of this idempotency key lives; the same for every repetition."""
    digest = hashlib.blake2b("\0".join((tenant, source, id)).encode(), digest_size=2).digest()
    return int.from_bytes(digest, "little") % SHARD_COUNT


def propose_number(tenant: str, source: str, id: str, now_ms: int, draw: int) -> int:
    """Propose the number of a new event; `draw` is a counter, of which the low 17 bits are used."""
    if not 0 <= now_ms < 1 << _MS_BITS:
        raise ValueError(f"now_ms must be between 0 and {(1 << _MS_BITS) - 1}")
    low = (draw & (1 << DRAW_BITS) - 1) << _SHARD_BITS | home_shard(tenant, source, id)
    return now_ms << DRAW_BITS + _SHARD_BITS | low
