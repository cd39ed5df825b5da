"""Draws what befalls each request under a script: the present step, a seed, one draw a request."""

from __future__ import annotations

import time
from collections.abc import Callable
from email.utils import formatdate
from random import Random

from channels.simulator.script import DATE_FROM_NOW, Script, Step, is_from_now
from channels.simulator.service import Fate


class Faults:
    """The script as it stands now. The shell moves it along with `move_to`; connections ask `draw`.

    `unix_seconds` is asked only for a Retry-After that is a date.
    """

    def __init__(self, script: Script, seed: int, unix_seconds: Callable[[], float] = time.time) -> None:
        self.script = script
        self.step: Step | None = None
        self._random = Random(seed)
        self._unix_seconds = unix_seconds

    def move_to(self, seconds: float) -> bool:
        """Follow the script to `seconds` after its start; says whether the step changed."""
        before, self.step = self.step, self.script.at(seconds)
        return self.step is not before

    def draw(self) -> Fate | None:
        """Decide about one request; None: it gets its true answer."""
        step = self.step
        if step is None or not step.has_fates:
            return None
        left = self._random.random()
        for scripted in step.answers:
            left -= scripted.share
            if left < 0:
                return Fate(scripted.status, scripted.reason, self._retry_after(str(scripted.retry_after)))
        for name, share in step.shares.items():
            left -= share
            if left < 0 < share:
                return Fate(0, f"Reset.{step.reset_code}") if name == "reset" else _FATES[name]
        return None

    def _retry_after(self, text: str) -> str:
        if not is_from_now(text):
            return text
        return formatdate(self._unix_seconds() + int(text.removeprefix(DATE_FROM_NOW)), usegmt=True)

    def latency_seconds(self) -> float:
        step = self.step
        if step is None:
            return 0.0
        jitter = self._random.random() * step.jitter_ms if step.jitter_ms else 0.0
        return (step.latency_ms + jitter) / 1000


SILENT, CUT, GARBLED = Fate(0, "Silent"), Fate(0, "Cut"), Fate(500, "Garbage")
_FATES = {"silent": SILENT, "cut": CUT, "garbage": GARBLED}

GARBAGE_FIELDS = ((b"content-type", b"text/html; charset=utf-8"),)
GARBAGE = b'<html>{"reason": \xff'
"""What no decoder takes: neither JSON nor UTF-8."""


def is_reset(fate: Fate) -> bool:
    return fate.status == 0 and fate.reason.startswith("Reset.")
