"""What a benchmark reads off the machine: CPU time and peak memory of processes, cores, medians. Linux only.

CPU microseconds per item are the figure to trust: on a shared or virtual machine absolute rates move by a factor of
two between runs, CPU time by a tenth.
"""

from __future__ import annotations

import math
import os
import platform
import resource
import statistics
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

_TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")


class Usage(NamedTuple):
    """What a process has used since it started: CPU seconds (user and system, all threads) and its peak memory."""

    cpu_seconds: float
    peak_rss_mb: float


def usage(pid: int) -> Usage:
    """Read what a process has used. Raises ProcessLookupError when it is gone."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        status = Path(f"/proc/{pid}/status").read_text()
    except FileNotFoundError:
        raise ProcessLookupError(pid) from None
    ticked = (int(fields[11]) + int(fields[12])) / _TICKS_PER_SECOND
    peak_kb = next((int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM:")), 0)
    return Usage(max(ticked, _scheduled_seconds(pid)), peak_kb / 1024)


def _scheduled_seconds(pid: int) -> float:
    """To the nanosecond, where the kernel tells: the time of the threads that live. Ticks have 10 ms."""
    nanoseconds = 0
    for thread in Path(f"/proc/{pid}/task").glob("*/schedstat"):
        try:
            nanoseconds += int(thread.read_text().split()[0])
        except (OSError, ValueError, IndexError):
            continue  # it ended while we looked, or the kernel keeps no such figures
    return nanoseconds / 1e9


def own_cpu_seconds() -> float:
    """What this process has used, user and system."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def descendants(pid: int) -> list[int]:
    """The processes that a process started, and those that they started."""
    children: dict[int, list[int]] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            children.setdefault(int(stat.read_text().rpartition(")")[2].split()[1]), []).append(int(stat.parent.name))
        except (FileNotFoundError, ProcessLookupError):
            continue  # it ended while we looked
    found, unseen = [], [pid]
    while unseen:
        below = children.get(unseen.pop(), [])
        found += below
        unseen += below
    return found


def cores() -> list[int]:
    """The cores that this process may use."""
    return sorted(os.sched_getaffinity(0))


def machine() -> dict[str, str | int]:
    """Describe the machine, for the head of a report."""
    info = Path("/proc/cpuinfo").read_text() if Path("/proc/cpuinfo").exists() else ""
    model = next((line.partition(":")[2].strip() for line in info.splitlines() if line.startswith("model name")), "?")
    return {"cpu": model, "cores": len(cores()), "python": platform.python_version(), "system": platform.release()}


def percentile(values: Sequence[float], share: float) -> float:
    """The smallest value that at least this share of the values does not exceed; NaN for no values."""
    if not values:
        return float("nan")
    ordered = sorted(values)
    return ordered[max(0, math.ceil(len(ordered) * share) - 1)]


def median(values: Sequence[float]) -> float:
    return statistics.median(values) if values else float("nan")
