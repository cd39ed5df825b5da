"""How often one person may ask: a token bucket each, for the people who asked lately."""

from __future__ import annotations

from collections import OrderedDict

_PEOPLE_MAX = 50_000  # a forgotten bucket is a full one


class Turnstile:
    def __init__(self, per_second: float, burst: int) -> None:
        self._per_second = per_second
        self._burst = burst
        self._buckets: OrderedDict[int, tuple[float, float]] = OrderedDict()  # number -> (tokens, as of)

    def wait_seconds(self, number: int, now: float) -> float:
        """Take a token; 0 when there was one, else how long until the next."""
        tokens, then = self._buckets.pop(number, (float(self._burst), now))
        tokens = min(self._burst, tokens + (now - then) * self._per_second)
        passes = tokens >= 1
        self._buckets[number] = (tokens - 1 if passes else tokens, now)
        if len(self._buckets) > _PEOPLE_MAX:
            self._buckets.popitem(last=False)
        return 0.0 if passes else (1 - tokens) / self._per_second
