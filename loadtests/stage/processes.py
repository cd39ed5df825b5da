"""One started program: where it logs, whether it still runs, and how it is stopped."""

from __future__ import annotations

import ctypes
import json
import os
import selectors
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType
from typing import Any

ROOT = Path(__file__).parents[2]
_PR_SET_PDEATHSIG = 1
_PROGRAM = [sys.executable, "-m"]


class StageFault(Exception):
    """Something on the stage does not work; the text is a plain sentence and names the log to look into."""


class Program:
    """A module of ours that runs as a process of its own, with its own log file."""

    def __init__(self, name: str, arguments: list[str], log: Path, *, announces: bool = False) -> None:
        """Start `python -m <arguments>`; `announces`: its first line of standard output is JSON about itself.

        Start it under `undisturbed`, and keep it where it will be stopped before that ends.
        """
        self.name, self.log = name, log
        environment = dict(os.environ, PYTHONPATH=str(ROOT), PYTHONUNBUFFERED="1")
        with log.open("ab") as file:
            self._process = subprocess.Popen(
                [*_PROGRAM, *arguments],
                stdin=subprocess.PIPE,  # never written to; its end tells a process of the engine that we are gone
                stdout=subprocess.PIPE if announces else file,
                stderr=file,
                cwd=ROOT,
                env=environment,
                start_new_session=True,  # Ctrl-C reaches us only; we stop it in order
                preexec_fn=_in_the_child,
            )

    def announcement(self, seconds_max: float) -> dict[str, Any]:
        """Read the JSON line with which the program says that it is ready.

        Raises:
            StageFault: it ended, or said nothing in time.
        """
        assert self._process.stdout is not None, "started with announces=True"
        with selectors.DefaultSelector() as selector:
            selector.register(self._process.stdout, selectors.EVENT_READ)
            line = self._process.stdout.readline() if selector.select(seconds_max) else b""
        try:
            return dict(json.loads(line))
        except ValueError:
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(2.0)
            self.check()
            raise StageFault(
                f"{self.name} did not say within {seconds_max:.0f} s where it listens; its log: {self.log}"
            ) from None

    def check(self) -> None:
        """Raise StageFault when the program has ended."""
        code = self._process.poll()
        if code is not None:
            how = f"was killed by {signal.Signals(-code).name}" if code < 0 else f"ended with status {code}"
            raise StageFault(f"{self.name} {how}; its log: {self.log}")

    def terminate(self) -> None:
        """Ask it to end; see `wait`."""
        self._process.terminate()

    def wait(self, seconds_max: float) -> None:
        """Wait for the end that `terminate` asked for; kill it, and what it started, when it takes too long."""
        deadline = time.monotonic() + seconds_max
        try:
            self._process.wait(max(0.1, deadline - time.monotonic()))
        except (subprocess.TimeoutExpired, KeyboardInterrupt):
            with suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                pipe.close()

    @property
    def pid(self) -> int:
        return self._process.pid


_ENDING = (signal.SIGINT, signal.SIGTERM)


@contextmanager
def undisturbed() -> Iterator[None]:
    """Let Ctrl-C wait while a program is started and noted down.

    Without this, an interrupt between the start and the note leaves a process behind, and one that falls into
    Python's own callbacks around fork is printed and forgotten.
    """
    before = signal.pthread_sigmask(signal.SIG_BLOCK, _ENDING)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _in_the_child() -> None:
    """Before the program runs: let signals through again; ask for SIGTERM when our parent dies (Linux only)."""
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _ENDING)
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


@contextmanager
def signals_as_ctrl_c() -> Iterator[None]:
    """Let SIGTERM and a closed terminal end the run as Ctrl-C does; SIGINT too where a shell had it ignored (`&`)."""

    def interrupt(number: int, frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    before = {number: signal.signal(number, interrupt) for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
