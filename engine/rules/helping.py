"""When a dispatcher for everything takes urgent work from the dispatcher that is kept free for it.

Where a process has the role `urgent`, the others leave emergencies and urgent messages to it, since they may be busy
for hundreds of milliseconds. A national emergency is too much for one process, and that process may have died: then
everybody helps.
"""

from __future__ import annotations

HELP_SLICES_MIN = 8
"""On one lane: more than the urgent messages of a moment, less than a hundredth of a national emergency."""

HELP_AFTER_SECONDS = 1.0
"""A process that died is started again after 0.2 s and serves again after a second: soon enough for what waits."""


def is_help_needed(slices: int, waited_seconds: float) -> bool:
    """Say whether urgent slices of a lane, which have been seen waiting for so long, are to be taken by anybody."""
    return slices >= HELP_SLICES_MIN or (slices > 0 and waited_seconds >= HELP_AFTER_SECONDS)
