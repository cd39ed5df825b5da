"""Reads a stage's processes: which is which, their CPU time and memory, the store's own figures. Linux only."""

from __future__ import annotations

import socket
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from loadtests.bench.measuring import descendants, usage
from loadtests.stage.building import Stage
from loadtests.stage.processes import StageFault

STORE = "store"
REWRITE_SECONDS_MAX = 120.0
_SETTLE_SECONDS = 0.2
_RESET_PEAK = "5"  # proc(5), clear_refs: the peak of memory starts again from now
_STORE_BINARIES = ("valkey-server", "redis-server")


class Spent(NamedTuple):
    """What one process used during a measurement."""

    name: str
    cpu_seconds: float
    peak_rss_mb: float


class Gauges:
    """Measures all programs of a stage from `start` to `stop`."""

    def __init__(self, stage: Stage, layout: Sequence[str]) -> None:
        self._pids = _pids(stage, layout)
        self._before: dict[str, float] = {}
        self._store_socket = stage.store_folder / "store.sock"

    def start(self) -> None:
        """Wait until the store has finished what it does by itself, then begin."""
        self._wait_until_the_store_rests()
        for pid in self._pids.values():
            # Where the kernel does not offer this, the peak counts from the start of the process.
            with suppress(PermissionError, FileNotFoundError):
                Path(f"/proc/{pid}/clear_refs").write_text(_RESET_PEAK)
        self._before = {name: self._usage(name).cpu_seconds for name in self._pids}

    def stop(self) -> list[Spent]:
        """Say what each process has used since `start`."""
        used = {name: self._usage(name) for name in self._pids}
        return [Spent(name, one.cpu_seconds - self._before[name], one.peak_rss_mb) for name, one in used.items()]

    def _usage(self, name: str) -> Spent:
        try:
            return Spent(name, *usage(self._pids[name]))
        except ProcessLookupError:
            raise StageFault(f"the process {name} ended during the measurement; see engine.log") from None

    def store_info(self) -> Mapping[str, str]:
        """What INFO says."""
        return info(self._store_socket)

    def _wait_until_the_store_rests(self) -> None:
        """An import may have started a rewrite of the append-only file, a process of its own that takes a core."""
        deadline = time.monotonic() + REWRITE_SECONDS_MAX
        while time.monotonic() < deadline:
            found = self.store_info()
            if found["aof_rewrite_in_progress"] == found["aof_rewrite_scheduled"] == "0":
                return
            time.sleep(_SETTLE_SECONDS)
        raise StageFault(f"the store still rewrites its file after {REWRITE_SECONDS_MAX:.0f} s")


def info(path: Path) -> dict[str, str]:
    """Ask a store for INFO over its unix socket; raises OSError."""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(30.0)
        connection.connect(str(path))
        connection.sendall(b"INFO\r\n")
        with connection.makefile("rb") as answer:
            size = int(answer.readline()[1:])
            text = answer.read(size).decode("utf-8", "replace")
    rows = (line.partition(":") for line in text.splitlines())
    return {key: value for key, colon, value in rows if colon}


def _pids(stage: Stage, layout: Sequence[str]) -> dict[str, int]:
    """Name -> process id: the simulators, the store, and the engine's processes by their roles."""
    names = numbered(layout)
    *simulators, engine = stage.programs
    found = {program.name.removeprefix("the "): program.pid for program in simulators}
    found["supervisor"] = engine.pid
    for pid in descendants(engine.pid):
        command = Path(f"/proc/{pid}/cmdline").read_bytes().decode().split("\0")
        if Path(f"/proc/{pid}/exe").readlink().name in _STORE_BINARIES:  # its command line is a title of its own
            found[STORE] = pid
        elif "--place" in command:
            found[names[int(command[command.index("--place") + 1])]] = pid
    if missing := {STORE, *names} - found.keys():
        raise StageFault(f"these processes do not run: {', '.join(sorted(missing))}")
    return found


def numbered(layout: Sequence[str]) -> list[str]:
    """Give roles that occur several times a number: dispatch 1, dispatch 2."""
    total, seen = Counter(layout), Counter[str]()
    names = []
    for roles in layout:
        seen[roles] += 1
        names.append(f"{roles} {seen[roles]}" if total[roles] > 1 else roles)
    return names
