"""What the varying headers of surely right requests look like. Pure; each service says its own."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import lru_cache
from typing import NamedTuple


class Shape(NamedTuple):
    """What the varying value of one header looks like when nothing about it needs a closer look.

    `lead` is constant, then every byte matches the class `each`, between `least` and `most` of them. `exact` instead
    of `each` gives the whole pattern of a value of length `most`. A value that does not fit is read the slow way.
    """

    lead: bytes = b""
    each: bytes = b""
    least: int = 0
    most: int = 4096
    exact: bytes = b""
    never: bytes = b""  # a look-ahead that must fail after `lead`

    def pattern(self, length: int) -> bytes | None:
        """The pattern of a value with `length` bytes, its varying part in a group; None when that cannot fit."""
        varying = length - len(self.lead)
        if not self.least <= varying <= self.most:
            return None
        core = self.exact or b"%b{%d}" % (self.each, varying)
        return re.escape(self.lead) + self.never + b"(" + core + b")"

    def varying(self, value: bytes) -> bytes | None:
        """The part of a decoded value after `lead`; None when the value does not fit."""
        match = matching(self)(value)
        return match[1] if match else None


@lru_cache(256)
def matching(shape: Shape) -> Callable[[bytes], re.Match[bytes] | None]:
    """`fullmatch` of the values of any length that fit; the varying part is its first group."""
    core = shape.exact or b"%b{%d,%d}" % (shape.each, shape.least, shape.most)
    return re.compile(re.escape(shape.lead) + shape.never + b"(" + core + b")", re.DOTALL).fullmatch
