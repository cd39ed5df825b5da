"""What one process knows of the directory's changes: for each block and roster, the stamp of its last change.

A slice carries the stamp from which it was planned. It is *touched* when one of its blocks, or one of the rosters in
its event's audience, changed after that stamp; then policy is asked again before it is sent. Where the journal does
not reach back to a slice's stamp, the slice counts as touched: not knowing is no permission.
"""

from __future__ import annotations

from collections.abc import Iterable

Stamp = tuple[int, int]


def stamp_of(text: str) -> Stamp:
    """Read a journal id `<ms>-<sequence>`; compared as text, 9-1 would come after 10-1 and 5-10 before 5-9."""
    milliseconds, _, sequence = text.partition("-")
    return int(milliseconds), int(sequence or 0)


class Journal:
    """The changes between `oldest` and `newest`, as far as this process has read them.

    It begins at a stamp about which nothing after it is known yet: read on from there at once.
    """

    def __init__(self, start: str) -> None:
        self._blocks: dict[int, Stamp] = {}
        self._rosters: dict[str, Stamp] = {}
        self._begin(start)

    def _begin(self, start: str) -> None:
        self.newest = start
        self._oldest = stamp_of(start)
        self._unreadable: Stamp | None = None  # the journal was asked from there and no longer reaches back

    def reach_back_to(self, stamps: Iterable[str]) -> str | None:
        """The oldest of these stamps that should be read from; None when all are covered or known to be lost."""
        older = [
            stamp
            for stamp in stamps
            if stamp_of(stamp) < self._oldest and (self._unreadable is None or stamp_of(stamp) > self._unreadable)
        ]
        return min(older, key=stamp_of, default=None)

    def learn(self, since: str, newest: str, blocks: Iterable[int], rosters: Iterable[str]) -> None:
        """Take in what changed in (since, newest]; reading further back marks those changes as recent, to be safe."""
        stamp = stamp_of(newest)
        for block in blocks:
            self._blocks[block] = max(stamp, self._blocks.get(block, stamp))
        for name in rosters:
            self._rosters[name] = max(stamp, self._rosters.get(name, stamp))
        start = stamp_of(since)
        if start <= stamp_of(self.newest) <= stamp:
            self.newest = newest
        self._oldest = min(self._oldest, start)

    def lost(self, since: str, now: str) -> None:
        """The journal no longer reaches back to `since`; where that is our own newest, begin anew at `now`."""
        if stamp_of(since) < self._oldest:
            self._unreadable = stamp_of(since)
            return
        self._blocks.clear()
        self._rosters.clear()
        self._begin(now)

    def is_touched(self, stamp: str, blocks: Iterable[int], rosters: Iterable[str]) -> bool:
        """Say whether anything that a slice was planned from may have changed since."""
        planned = stamp_of(stamp)
        if planned < self._oldest:
            return True
        changed, moved = self._blocks, self._rosters
        return any(block in changed and changed[block] > planned for block in blocks) or any(
            name in moved and moved[name] > planned for name in rosters
        )
