"""The script of a simulator: a small TOML file that says when the provider behaves how. Pure.

    [[step]]
    at_seconds = 10          # after the simulator's start; steps stand in order and must not overlap
    for_seconds = 5          # left out: until the next step, or for ever
    latency_ms = 60          # every answer is held back this long
    jitter_ms = 20           # and up to this much longer, drawn anew for each
    answers = [{ share = 0.3, status = 503, reason = "ServiceUnavailable", retry_after = 2 }]
    silent = 0.1             # this share is never answered (true: all)
    reset = 0.05             # this share ends with RST_STREAM (SMTP: the connection is cut)
    reset_code = "REFUSED_STREAM"    # or CANCEL, INTERNAL_ERROR (default), ENHANCE_YOUR_CALM
    cut = 0.01               # this share ends with the connection, in the middle of the answer
    garbage = 0.1            # this share gets a 500 whose body is no JSON (SMTP: a line that is no reply)
    goaway = true            # HTTP/2: connections that exist when the step begins are told to go away
    goaway_after = 100       # HTTP/2: every connection is told so after this many requests of the step
    max_streams = 1          # HTTP/2: the stream limit while the step lasts
    window_bytes = 0         # HTTP/2: SETTINGS_INITIAL_WINDOW_SIZE while the step lasts; 0 lets no body through
    stall = true             # nothing is read while the step lasts, so the client's windows and buffers fill
    down = true              # connections are cut, and new ones closed at once

`retry_after` is seconds, or any text that is sent as it stands; "date+120" is sent as the HTTP date 120 s from then.
Between steps the provider behaves as its mode says. Shares are drawn from `--seed`, so a run can be repeated.
"""

from __future__ import annotations

import re
import tomllib
from itertools import pairwise
from pathlib import Path
from typing import Annotated

import msgspec
from msgspec import Meta

from channels.simulator.frames import CODES, WINDOW_BYTES

Share = Annotated[float, Meta(gt=0, le=1)]
Positive = Annotated[int, Meta(ge=1)]
NotNegative = Annotated[float, Meta(ge=0)]


DATE_FROM_NOW = "date+"


def is_from_now(retry_after: str) -> bool:
    """Whether a Retry-After is to be the HTTP date so many seconds from now: `date+120`."""
    seconds = retry_after.removeprefix(DATE_FROM_NOW)
    return seconds != retry_after and seconds.isascii() and seconds.isdigit() and len(seconds) <= 9


class Scripted(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An answer given to a share of the requests, whatever they ask."""

    share: Share
    status: Annotated[int, Meta(ge=200, le=599)]
    reason: Annotated[str, Meta(max_length=200, pattern="^[ -~]*$")] = ""
    retry_after: int | Annotated[str, Meta(max_length=100, pattern="^[ -~]*$")] = ""


class Step(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One behaviour and its time."""

    at_seconds: NotNegative
    for_seconds: Annotated[float, Meta(gt=0)] | None = None
    latency_ms: NotNegative = 0
    jitter_ms: NotNegative = 0
    answers: tuple[Scripted, ...] = ()
    silent: bool | Share = False
    reset: bool | Share = False
    reset_code: str = "INTERNAL_ERROR"
    cut: bool | Share = False
    garbage: bool | Share = False
    goaway: bool = False
    goaway_after: Positive | None = None
    max_streams: Positive | None = None
    window_bytes: Annotated[int, Meta(ge=0, le=WINDOW_BYTES)] | None = None
    stall: bool = False
    down: bool = False

    @property
    def has_fates(self) -> bool:
        """Whether single requests fare differently, so that each must be drawn for."""
        return bool(self.answers or self.goaway_after or any(self.shares.values()))

    @property
    def shares(self) -> dict[str, float]:
        """The shares of requests that get no proper answer, in the order in which they are drawn."""
        return {name: float(getattr(self, name)) for name in ("silent", "reset", "cut", "garbage")}


class Script(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    step: tuple[Step, ...] = ()

    def at(self, seconds: float) -> Step | None:
        """The step that holds `seconds` after the start."""
        newest = None
        for step in self.step:
            if step.at_seconds <= seconds:
                newest = step
        if newest is None or (newest.for_seconds is not None and seconds >= newest.at_seconds + newest.for_seconds):
            return None
        return newest

    def changes(self) -> list[float]:
        """The moments when behaviour may change, ascending."""
        moments = {step.at_seconds for step in self.step}
        moments |= {step.at_seconds + step.for_seconds for step in self.step if step.for_seconds is not None}
        return sorted(moments)


class ScriptFault(Exception):
    """The script cannot be used; the text names the step, the field and the remedy."""


def read(path: Path) -> Script:
    """Read and check a script.

    Raises:
        ScriptFault: no such file, not TOML, a field that is unknown, of the wrong kind or out of bounds.
    """
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ScriptFault(f"{path}: cannot be read: {error.strerror}") from None
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ScriptFault(f"{path}: not TOML: {error}") from None
    return check(table)


def check(table: object) -> Script:
    """Check a parsed table; see `read`."""
    try:
        script = msgspec.convert(table, Script)
    except msgspec.ValidationError as error:
        raise ScriptFault(_explained(str(error))) from None
    for number, step in enumerate(script.step, 1):
        _check_step(number, step)
    for number, (first, second) in enumerate(pairwise(script.step), 2):
        if second.at_seconds <= first.at_seconds:
            raise ScriptFault(f"step {number}: at_seconds must be above {first.at_seconds}, the step before")
        if first.for_seconds is not None and first.at_seconds + first.for_seconds > second.at_seconds:
            raise ScriptFault(f"step {number - 1}: it overlaps the next; for_seconds must end by {second.at_seconds}")
    return script


def _explained(fault: str) -> str:
    """Say of msgspec's words which step and field they are about, and which fields there are."""
    what, _, where = fault.partition(" - at `$")
    found = re.fullmatch(r"\.step\[([0-9]+)\]\.?(.*)`", where)
    place = (
        f"step {int(found[1]) + 1}" + (f", {found[2]}" if found[2] else "")
        if found
        else f"script {where.strip('.`')}".strip()
    )
    remedy = ""
    if "unknown field" in what:
        known = Scripted if "answers" in where else Step if found else Script
        remedy = f"; known are {', '.join(known.__struct_fields__)}"
    return f"{place}: {what}{remedy}"


def _check_step(number: int, step: Step) -> None:
    if step.reset_code not in CODES:
        raise ScriptFault(f"step {number}: reset_code {step.reset_code!r} is unknown; use one of {', '.join(CODES)}")
    share = sum(answer.share for answer in step.answers) + sum(step.shares.values())
    if share > 1.000001:
        raise ScriptFault(
            f"step {number}: the shares of answers, silent, reset, cut and garbage add up to {share:g}, above 1:"
            " lower one of them"
        )
    for answer in step.answers:
        if str(answer.retry_after).startswith(DATE_FROM_NOW) and not is_from_now(str(answer.retry_after)):
            raise ScriptFault(f"step {number}: retry_after {answer.retry_after!r}: write whole seconds, as in date+120")
