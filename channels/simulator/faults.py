"""Draws what befalls each request under a script: the present step, a seed, one draw a request."""

from __future__ import annotations

from random import Random

from channels.simulator.script import Script, Step
from channels.simulator.service import Fate


class Faults:
    """The script as it stands now. The shell moves it along with `move_to`; connections ask `draw`."""

    def __init__(self, script: Script, seed: int) -> None:
        self.script = script
        self.step: Step | None = None
        self._random = Random(seed)

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
                return Fate(scripted.status, scripted.reason, str(scripted.retry_after))
        left -= float(step.silent)
        if left < 0 and step.silent:
            return SILENT
        left -= float(step.reset)
        if left < 0 and step.reset:
            return Fate(0, f"Reset.{step.reset_code}")
        return None

    def latency_seconds(self) -> float:
        step = self.step
        if step is None:
            return 0.0
        jitter = self._random.random() * step.jitter_ms if step.jitter_ms else 0.0
        return (step.latency_ms + jitter) / 1000


SILENT = Fate(0, "Silent")


def is_reset(fate: Fate) -> bool:
    return fate.status == 0 and fate.reason.startswith("Reset.")
