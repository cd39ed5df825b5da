"""Programs that a benchmark starts: pinned to a core, logged, ended in any case, gone when we die."""

from __future__ import annotations

import ctypes
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
START_SECONDS_MAX = 20.0
STOP_SECONDS_MAX = 5.0
_PR_SET_PDEATHSIG = 1


class BenchFault(Exception):
    """A part of the benchmark does not work; the text is a plain sentence."""


def spawn(
    command: Sequence[str], core: int | None, log: Path, *, reads_output: bool = False
) -> subprocess.Popen[bytes]:
    """Start a program on a core. Its standard error goes to `log`, and its output too unless it is to be read."""
    parent = os.getpid()

    def in_the_child() -> None:
        if core is not None:
            os.sched_setaffinity(0, {core})
        if sys.platform == "linux":
            ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
            if os.getppid() != parent:  # we died before it asked
                os._exit(1)

    with log.open("ab") as file:
        return subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE if reads_output else file,
            stderr=file,
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            start_new_session=True,  # Ctrl-C reaches us only; we end it in order
            preexec_fn=in_the_child,
        )


def stop(process: subprocess.Popen[bytes]) -> None:
    """End a program that may have ended already."""
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(STOP_SECONDS_MAX)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
    if process.stdout is not None:
        process.stdout.close()


@contextmanager
def serving(command: Sequence[str], core: int, log: Path, port: int) -> Iterator[int]:
    """Run a server until the block ends; gives its process id once its port takes connections."""
    process = spawn(command, core, log)
    try:
        _wait_until_open(process, port, command[0], log)
        yield process.pid
    finally:
        stop(process)


def _wait_until_open(process: subprocess.Popen[bytes], port: int, name: str, log: Path) -> None:
    give_up_at = time.monotonic() + START_SECONDS_MAX
    while True:
        if process.poll() is not None:
            raise BenchFault(f"{Path(name).name} did not start: {log.read_text('utf-8', 'replace').strip()[-1000:]}")
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        if time.monotonic() > give_up_at:
            raise BenchFault(f"{Path(name).name} took no connection within {START_SECONDS_MAX:.0f} s")
        time.sleep(0.02)


def run(command: Sequence[str], core: int | None, log: Path, seconds_max: float) -> bytes:
    """Run a program to its end and give what it printed.

    Raises:
        BenchFault: it failed, or took longer than `seconds_max`.
    """
    process = spawn(command, core, log, reads_output=True)
    try:
        printed, _ = process.communicate(timeout=seconds_max)
    except subprocess.TimeoutExpired:
        raise BenchFault(f"{' '.join(command[:3])} did not end within {seconds_max:.0f} s") from None
    finally:
        stop(process)
    if process.returncode:
        said = log.read_text("utf-8", "replace").strip()[-1500:]
        raise BenchFault(f"{' '.join(command[:3])} ended with status {process.returncode}: {said}")
    return printed


def free_port() -> int:
    """A port that nobody has now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
