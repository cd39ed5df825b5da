"""The send phase, measured from inside the sending process: CPU, memory, the servers' CPU, how the rate went."""

from __future__ import annotations

import os
import resource
import time
from collections import Counter
from pathlib import Path

from loadtests.bench.measuring import median, own_cpu_seconds, usage
from loadtests.bench.push.task import Sample, Task

_WINDOW_SECONDS = 0.1
_FULL = 0.9


def pin(core: int | None) -> None:
    """Keep this process on one core."""
    if core is not None:
        os.sched_setaffinity(0, {core})


class Meter:
    """Made when the send phase begins; `count` as answers come; `finish` when the last is in."""

    def __init__(self, task: Task) -> None:
        self._task = task
        self._outcomes: Counter[str] = Counter()
        self._accepted = 0
        self._tenth_rss = 0.0
        self._course: list[tuple[float, int]] = []
        self._start_rss = rss_mb()
        self._servers = self._server_cpu()
        self._cpu = own_cpu_seconds()
        self._start = time.perf_counter()

    def count(self, accepted: int, others: dict[str, int] | None = None) -> None:
        """So many more answers."""
        self._accepted += accepted
        total = accepted
        if others:
            self._outcomes.update(others)
            total += sum(others.values())
        self._course.append((time.perf_counter() - self._start, total))
        if not self._tenth_rss and self.done >= self._task.pushes / 10:
            self._tenth_rss = rss_mb()

    @property
    def done(self) -> int:
        return self._accepted + self._outcomes.total()

    def finish(self, connections: int = 0) -> Sample:
        seconds = time.perf_counter() - self._start
        cpu = own_cpu_seconds() - self._cpu
        full_after = full_rate_after(self._course)
        return Sample(
            pushes=self.done,
            accepted=self._accepted,
            outcomes=dict(self._outcomes),
            seconds=seconds,
            cpu_seconds=cpu,
            server_cpu_seconds=self._server_cpu() - self._servers,
            peak_rss_mb=usage(os.getpid()).peak_rss_mb,
            rss_mb=(self._start_rss, self._tenth_rss, rss_mb()),
            connections=connections,
            full_rate_after_seconds=full_after,
            full_rate=sum(count for at, count in self._course if at >= full_after) / (seconds - full_after),
        )

    def _server_cpu(self) -> float:
        return sum(usage(pid).cpu_seconds for pid in self._task.server_pids)


def rss_mb() -> float:
    """Resident memory now, of this process."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize() / 1_048_576


def full_rate_after(course: list[tuple[float, int]]) -> float:
    """Seconds until the rate had nine tenths of its median over tenths of a second; 0 for a run shorter than one.

    `course` holds (seconds since the start, answers that came then), ascending.
    """
    if not course:
        return 0.0
    windows = [0] * (int(course[-1][0] / _WINDOW_SECONDS) + 1)
    for at, count in course:
        windows[int(at / _WINDOW_SECONDS)] += count
    whole = windows[:-1]  # the last one is cut short
    wanted = _FULL * median(whole)
    return next((place * _WINDOW_SECONDS for place, count in enumerate(whole) if count >= wanted), 0.0)
