"""Settling claims: ends, counters and children in one script, once per (slice, epoch)."""

from __future__ import annotations

from collections.abc import Sequence

from engine.records.roster import headcount
from engine.records.work import Settlement, Slice
from queueing import keys
from queueing.link import Argument, Command, Link
from queueing.work import counters, scripts
from queueing.work.codec import covers, pack_settlement, pack_slice
from queueing.work.references import slice_reference


class Settling:
    def __init__(self, link: Link) -> None:
        self._link = link

    async def settle(self, settlements: Sequence[Settlement]) -> list[bool]:
        """Write settlements, one pipeline for all. True also for one that was written before by the same claim.

        Raises:
            ValueError: ends and children are not exactly the people of the slice; nothing was written.
        """
        commands = [_settle(settlement) for settlement in settlements]
        if any(_is_ready(child, one.at_ms) for one in settlements for child in one.children):
            commands.append(("PUBLISH", keys.BELL, "settled"))
        replies = await self._link.run(commands)
        return [bool(reply) for reply in replies[: len(settlements)]]


def settle_command(
    piece: Slice, reference: str, epoch: int, record: bytes, at_ms: int, counted: counters.Counters
) -> tuple[list[str], list[Argument]]:
    """Keys and leading arguments of the script; the sweep settles with them too."""
    shard, event = piece.shard, piece.event
    names = [
        *keys.QUEUES[shard],
        keys.LEASES[shard],
        keys.slices(shard, event),
        keys.history(shard, event),
        keys.part(shard, event),
        keys.DELAYED[shard],
    ]
    return names, [reference, piece.id, epoch, record, at_ms, *counters.flat(counted)]


def _settle(settlement: Settlement) -> Command:
    piece, at_ms = settlement.claim.slice, settlement.at_ms
    rosters = [group.people for group in settlement.ends] + [child.people for child in settlement.children]
    if not covers(piece.people, rosters):
        raise ValueError(f"slice {piece.id}: ends and children must be exactly its people, each once")
    names, arguments = settle_command(
        piece,
        slice_reference(piece),
        settlement.claim.epoch,
        pack_settlement(settlement),
        at_ms,
        counters.of_settlement(settlement),
    )
    for child in settlement.children:
        people = headcount(child.people)
        if people:
            due_ms = 0 if _is_ready(child, at_ms) else child.due_ms
            reference = slice_reference(child, people)
            arguments += (reference, child.id, pack_slice(child, reference), due_ms)
    return scripts.SETTLE.call(names, arguments)


def _is_ready(child: Slice, at_ms: int) -> bool:
    return child.due_ms <= at_ms
