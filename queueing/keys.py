"""Names of the keys that work and lanes use. No other file spells one.

Work shard 3 has the hash tag `{w3}`, so that a script's keys live on one node of a cluster. `<e>` is an event number
in 16 hexadecimal digits, `<q>` a queue: `<lane>|<urgency 0..3>`; the planning queue's lane is `+`.

    {w3}:key:<digest>          string  idempotency record: event number and fingerprint (expires)
    {w3}:entity:<digest>       hash    versions of an entity: event number -> sequence (expires)
    {w3}:body:<e>              string  the event, once on each of its shards
    {w3}:frozen:<e>            string  the whole audience while parts are planned (home shard only)
    {w3}:part:<e>              hash    small facts and counters of one part: see work/counters.py
    {w3}:audience:<e>          string  the part's roster and suppressions
    {w3}:slices:<e>            hash    live slices: `<id>` slice, `<id>e` epoch, `<id>w` worker, `<id>m` marks
    {w3}:history:<e>           hash    append-only: `<id>@<epoch>` settlement, `<id>!<epoch>` marks found at a reclaim
    {w3}:ready                 hash    `s|<q>` slices and `p|<q>` people that wait
    {w3}:ring:<q>              list    tenants whose turn comes, in order
    {w3}:credit:<q>            hash    tenant -> people it may still send in this turn
    {w3}:queue:<q>|<tenant>    zset    references by waiting since (ms)
    {w3}:delayed               zset    references by due time (ms)
    {w3}:leases                zset    references in hand by deadline (ms)
    {w3}:planning              zset    events in the hand of fan-out by deadline (ms)
    {w3}:expiry                zset    events by the time to look at them again (ms; home shard only)
    {w3}:stopped               set     stopped events that still have something to sweep

    {lanes}:lane:<lane>        hash    tokens, as of when; slow until, why; pace, since when, used
    {lanes}:parked             hash    lane -> why
"""

from __future__ import annotations

import hashlib

from engine.records.event import SHARD_COUNT

BELL = "klokke:bell"
"""The channel on which the store rings when something was admitted, planned or became due."""

PARKED_LANES = "{lanes}:parked"

_TAGS = tuple(f"{{w{shard}}}:" for shard in range(SHARD_COUNT))


def _of_every_shard(name: str) -> tuple[str, ...]:
    return tuple(tag + name for tag in _TAGS)


READY = _of_every_shard("ready")
DELAYED = _of_every_shard("delayed")
LEASES = _of_every_shard("leases")
PLANNING = _of_every_shard("planning")
EXPIRY = _of_every_shard("expiry")
STOPPED = _of_every_shard("stopped")

# prefixes; a script adds what it finds in a reference
BODY = _of_every_shard("body:")
IDEMPOTENCY = _of_every_shard("key:")
PART = _of_every_shard("part:")
SLICES = _of_every_shard("slices:")

QUEUES = tuple((READY[shard], tag + "ring:", tag + "credit:", tag + "queue:") for shard, tag in enumerate(_TAGS))
"""The first four keys of every script that moves references in or out of the queues of a shard."""


def event_hex(event: int) -> str:
    return f"{event:016x}"


def body(shard: int, event: int) -> str:
    return f"{BODY[shard]}{event:016x}"


def part(shard: int, event: int) -> str:
    return f"{PART[shard]}{event:016x}"


def slices(shard: int, event: int) -> str:
    return f"{SLICES[shard]}{event:016x}"


def frozen(shard: int, event: int) -> str:
    return f"{_TAGS[shard]}frozen:{event:016x}"


def audience(shard: int, event: int) -> str:
    return f"{_TAGS[shard]}audience:{event:016x}"


def history(shard: int, event: int) -> str:
    return f"{_TAGS[shard]}history:{event:016x}"


def idempotency(shard: int, tenant: str, source: str, id: str) -> str:
    return IDEMPOTENCY[shard] + idempotency_digest(tenant, source, id)


def idempotency_digest(tenant: str, source: str, id: str) -> str:
    """What stands for an idempotency key behind its prefix."""
    return _digest(tenant, source, id)


def entity(name: str) -> str:
    """The shard follows from the entity's name, since its events have different homes."""
    digest = _digest(name)
    return f"{_TAGS[int(digest[:4], 16) % SHARD_COUNT]}entity:{digest}"


def lane(name: str) -> str:
    return f"{{lanes}}:lane:{name}"


def _digest(*words: str) -> str:
    return hashlib.blake2b("\0".join(words).encode(), digest_size=16).hexdigest()
