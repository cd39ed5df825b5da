"""An auditor that reads the store as it is and checks what the scripts promise to keep together."""

from __future__ import annotations

from collections import Counter
from typing import Any

from engine.records.event import SHARD_COUNT
from engine.records.roster import headcount, numbers_of
from engine.records.words import channel_of
from queueing import keys
from queueing.link import Link
from queueing.work.codec import unpack_audience, unpack_ledger_entry
from queueing.work.counters import Part, channel_counts
from queueing.work.live import live_slices
from queueing.work.references import read_reference
from tests.queueing.work_examples import contents

Store = dict[str, Any]


def audit(link: Link) -> None:
    """Raise AssertionError where queues, slices, history and counters do not agree."""
    store = {name.decode(): value for name, value in contents(link).items()}
    for shard in range(SHARD_COUNT):
        queued = _audit_queues(store, shard)
        for name in [name for name in store if name.startswith(keys.PART[shard])]:
            event = int(name.removeprefix(keys.PART[shard]), 16)
            _audit_places(store, shard, event, queued)
            _audit_ledger(store, shard, event)


def _audit_queues(store: Store, shard: int) -> set[str]:
    """Counters of what waits are exact, and a tenant stands in the ring exactly while it has something waiting."""
    _, ring_prefix, credit_prefix, queue_prefix = keys.QUEUES[shard]
    queued = [one for name in store if name.startswith(queue_prefix) for one in _members(store, name)]
    waits: Counter[str] = Counter()
    tenants: dict[str, set[str]] = {}
    for reference in queued:
        lane, rank, tenant, cost, *_ = reference.split("|")
        waits[f"s|{lane}|{rank}"] += 1
        waits[f"p|{lane}|{rank}"] += int(cost)
        tenants.setdefault(f"{lane}|{rank}", set()).add(tenant)
    ready = {name.decode(): int(value) for name, value in store.get(keys.READY[shard], {}).items()}
    assert ready == dict(waits)
    rings = {name.removeprefix(ring_prefix): store[name] for name in store if name.startswith(ring_prefix)}
    assert {name: sorted(one.decode() for one in ring) for name, ring in rings.items()} == {
        name: sorted(waiting) for name, waiting in tenants.items()
    }
    for name in [name for name in store if name.startswith(credit_prefix)]:
        with_credit = {tenant.decode() for tenant in store[name]}
        assert with_credit <= tenants.get(name.removeprefix(credit_prefix), set()), "credit without a turn"
    assert len(set(queued)) == len(queued)
    return set(queued)


def _audit_places(store: Store, shard: int, event: int, all_queued: set[str]) -> None:
    """A live slice is in exactly one place: queue, delayed set, lease, or none when the sweep will come."""
    part = Part(store[keys.part(shard, event)])
    live = {one.reference: one for one in live_slices(shard, store.get(keys.slices(shard, event), {}))}
    queued, delayed, leased = (
        {one for one in found if not one.startswith("+") and read_reference(one).event == event}
        for found in (all_queued, _members(store, keys.DELAYED[shard]), _members(store, keys.LEASES[shard]))
    )
    assert leased == {reference for reference, one in live.items() if one.is_in_hand}
    assert queued | delayed <= live.keys() - leased
    assert not queued & delayed
    if part.stop is None:
        assert queued | delayed | leased == live.keys(), "a slice is in no place"
    else:
        to_sweep = keys.event_hex(event).encode() in store.get(keys.STOPPED[shard], set())
        assert to_sweep or not live, "nobody will sweep what is left"


def _audit_ledger(store: Store, shard: int, event: int) -> None:
    """Ends are disjoint and with what lives add up to what was planned; counters say the same."""
    part = Part(store[keys.part(shard, event)])
    entries = [unpack_ledger_entry(packed) for packed in store.get(keys.history(shard, event), {}).values()]
    seen: Counter[tuple[str, int, int]] = Counter()
    ends: Counter[str] = Counter()
    for entry in entries:
        for end, _, roster in entry.ends:
            ends[f"{channel_of(entry.lane)}|{end}"] += headcount(roster)
            seen.update((entry.lane, entry.slot, number) for number in numbers_of(roster))
    for one in live_slices(shard, store.get(keys.slices(shard, event), {})):
        seen.update((one.piece.lane, one.piece.slot, number) for number in numbers_of(one.piece.people))
    assert not [delivery for delivery, times in seen.items() if times > 1], "a delivery ended twice or lives on"
    planned = Counter(channel_of(lane).value for lane, _, _ in seen)
    counts = channel_counts([part])
    assert {str(channel): one.planned for channel, one in counts.items() if one.planned} == dict(planned)
    assert {f"{channel}|{end}": n for channel, one in counts.items() for end, n in one.ends.items()} == dict(ends)
    stored = store.get(keys.audience(shard, event))
    if stored is not None:
        assert part.audience == headcount(unpack_audience(stored).people)
        for one_channel in counts.values():
            assert one_channel.people + sum(one_channel.suppressed.values()) == part.audience


def _members(store: Store, name: str) -> list[str]:
    """The members of a sorted set, without their scores."""
    return [one.decode() for one in store.get(name, [])[::2]]
