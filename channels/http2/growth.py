"""When more connections to an origin are worth opening. Pure: what the connections show, and the time, are arguments.

The arithmetic is Little's law: pushes a second = streams held / seconds that each is held. A connection of 1,000
streams (Apple) with 60 ms to the provider and back carries 16,667 a second, so 100,000 a second take six, and some more
while one waits for its turn; one of 100 streams (Google) carries 1,667.

- Up to `FREELY` connections are opened as soon as all are full and work waits.
- Beyond, only while distance is the limit: while a stream is held about as long as the first, unloaded answer took.
  When it is held much longer, the provider or our own core is busy, and more connections would only queue there.
- Never more than what waits could fill, nor more than the maximum. A silent provider gets no new ones.

Connections are kept once open: providers want them to live long, and one costs a socket and about 1 MB while busy.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

FREELY = 4
FACTOR = 4  # of growth beyond: sixteen connections stand after two steps
LOOK_SECONDS_MIN = 0.1
BUSY_FACTOR = 2.5  # held so many times as long as unloaded: the limit is elsewhere


class Look(NamedTuple):
    """One connection at one moment."""

    is_warm: bool  # may use all its streams
    is_full: bool  # had work left over for want of a stream or window
    in_flight: int
    answered: int  # since it was opened
    round_trip_seconds: float | None  # of its first answer


class Growth:
    """Remembers when all connections became full, to know the rate since."""

    def __init__(self, connections_max: int) -> None:
        self._connections_max = connections_max
        self._since: tuple[int, float, int] | None = None  # connections, time, answers by then

    def wanted(self, looks: Sequence[Look], waiting: int, now: float) -> int:
        """How many connections to open now, given those that may be used and how many requests wait."""
        count = len(looks)
        if count >= self._connections_max or not all(one.is_warm and one.is_full for one in looks):
            self._since = None
            return 0
        held = sum(one.in_flight for one in looks)
        useful = -(-waiting * count // max(1, held))  # so many more, holding as much as these do, take all that waits
        if count < FREELY:
            return max(0, min(FREELY - count, useful, self._connections_max - count))
        if not self._is_distance_the_limit(looks, held, now):
            return 0
        return max(0, min((FACTOR - 1) * count, useful, self._connections_max - count))

    def _is_distance_the_limit(self, looks: Sequence[Look], held: int, now: float) -> bool:
        answered = sum(one.answered for one in looks)
        trips = [one.round_trip_seconds for one in looks if one.round_trip_seconds is not None]
        if self._since is None or self._since[0] != len(looks) or not trips:
            self._since = len(looks), now, answered
            return False
        _, began, answered_before = self._since
        seconds, unloaded = now - began, min(trips)
        if seconds < max(LOOK_SECONDS_MIN, 2 * unloaded):
            return False
        self._since = len(looks), now, answered
        # held / rate <= BUSY_FACTOR * unloaded, without a division by nothing
        return held * seconds <= BUSY_FACTOR * unloaded * (answered - answered_before)
