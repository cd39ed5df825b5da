"""Live slices as the store holds them: in hand or not, marked or not."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import msgspec

from engine.records.roster import Roster
from engine.records.work import Slice
from queueing.work.codec import unpack_marks, unpack_slice


class LiveSlice(msgspec.Struct, frozen=True):
    """A slice that is not settled. Its epoch is odd while it is in hand; (epoch + 1) // 2 claims were made."""

    piece: Slice
    reference: str
    epoch: int
    marked: Roster
    marked_ms: int

    @property
    def is_in_hand(self) -> bool:
        return self.epoch % 2 == 1


def live_slices(shard: int, stored: Mapping[bytes, bytes]) -> Iterator[LiveSlice]:
    """Read the hash of an event's live slices: `<id>` the slice; `<id>e` its epoch, `<id>m` its marks."""
    for field, packed in stored.items():
        if field[-1:].isdigit():
            piece, reference = unpack_slice(packed, shard)
            marked_ms, marked = unpack_marks(stored.get(field + b"m", b""))
            yield LiveSlice(piece, reference, int(stored.get(field + b"e", 0)), marked, marked_ms)


def pairs(flat: list[bytes]) -> dict[bytes, bytes]:
    """What HGETALL replies, as a dict."""
    return dict(zip(flat[::2], flat[1::2], strict=True))
