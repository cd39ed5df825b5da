"""What the simulated providers' ledgers say about each event: how many deliveries, how many twice, when the last."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from pathlib import Path

from loadtests.oracle.ledger import Received, received


class Arrived:
    """What arrived of one event at all push providers."""

    def __init__(self) -> None:
        self.last_ms = 0
        self.refused = 0
        self.repeated = 0
        self._deliveries: set[bytes] = set()

    @property
    def count(self) -> int:
        """Different deliveries that were accepted."""
        return len(self._deliveries)

    def add(self, line: Received) -> None:
        if not line.is_accepted:
            self.refused += 1
            return
        if line.delivery in self._deliveries:
            self.repeated += 1
        self._deliveries.add(line.delivery)
        self.last_ms = max(self.last_ms, line.unix_ms)


def arrived(lines: Iterable[Received], events: Collection[str]) -> dict[str, Arrived]:
    """Read lines, event by event; every asked event has an entry. Lines of other events are left alone."""
    found = {event: Arrived() for event in events}
    for line in lines:
        one = found.get(line.event)
        if one is not None:
            one.add(line)
    return found


def read(paths: Iterable[Path]) -> Iterable[Received]:
    """The lines of several ledgers. Raises LedgerUnreadable."""
    for path in paths:
        yield from received(path)
