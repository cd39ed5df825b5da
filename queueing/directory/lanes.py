"""Which address stands in which slot of a lane: slots are never compacted, a new address raises the generation."""

from __future__ import annotations

from collections.abc import Sequence

from engine.records.person import SLOT_MAX
from queueing.directory.card import VACANT, Slot

_GENERATIONS = 0xFFFF


def settle_lane(
    slots: tuple[Slot, ...], wanted: Sequence[tuple[bytes, int]], now_ms: int, limit: int = SLOT_MAX
) -> tuple[Slot, ...]:
    """Bring one lane to the wanted (digest, place in line); the last `limit` in line stay.

    An address that was there keeps slot, generation and registration time. A new one takes the lowest free slot.
    """
    wanted = wanted[-limit:]
    if not slots:
        return tuple([Slot(1, now_ms, place, digest) for digest, place in wanted])
    places = dict(wanted)
    kept = {slot.digest for slot in slots if slot.digest in places}
    settled = [_keep(slot, places) for slot in slots]
    for digest, place in wanted:
        if digest not in kept:
            _enter(settled, digest, place, now_ms)
    return tuple(settled)


def vacate(slot: Slot) -> Slot:
    """Free a slot; only its generation is remembered."""
    return Slot(slot.generation, 0, 0, VACANT)


def _keep(slot: Slot, places: dict[bytes, int]) -> Slot:
    place = places.get(slot.digest)
    if place is None:
        return vacate(slot)
    return slot if place == slot.place_in_line else Slot(slot.generation, slot.registered_ms, place, slot.digest)


def _enter(settled: list[Slot], digest: bytes, place: int, now_ms: int) -> None:
    for number, slot in enumerate(settled):
        if not slot.digest:
            settled[number] = Slot(slot.generation % _GENERATIONS + 1, now_ms, place, digest)
            return
    settled.append(Slot(1, now_ms, place, digest))
