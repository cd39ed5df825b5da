"""A learned header block as a regular expression over its raw bytes: what must be equal, where varying values stand.

A sender that makes a million similar requests writes blocks that differ only in a token, an id and a length. One
`fullmatch` in C then replaces a decoder. Layouts hold only for blocks that leave the header table alone, and as long
as nothing else changes it; `blocks.Blocks` sees to that.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from channels.simulator import huffman
from channels.simulator.header_table import Field, HeaderTable, integer, string
from channels.simulator.shapes import Shape, matching


class Part(NamedTuple):
    """One field of a walked block and where its value stands; `start` == `end` for an indexed field."""

    name: bytes
    value: bytes
    start: int
    end: int
    is_huffman: bool


class Layout:
    """A learned block: `fullmatch(buffer, start, end)` finds the varying values, `values` reads the wanted ones.

    `voucher` is whatever the service thinks of requests of this kind; None sends them the slow way.
    """

    __slots__ = ("_coded", "_constant", "_is_plain", "_length", "_order", "_parts", "_varying", "fullmatch", "voucher")

    def __init__(
        self,
        pattern: bytes,
        parts: Sequence[Part],
        varying: Sequence[int],
        shapes: Mapping[bytes, Shape],
        wanted: Sequence[bytes],
    ) -> None:
        compiled = re.compile(pattern, re.DOTALL)
        self.fullmatch = compiled.fullmatch
        self._parts = parts
        self._varying = varying  # places among the parts, in the order of the groups
        self.voucher: object | None = None
        groups = {parts[place].name: number for number, place in enumerate(varying, 1)}
        empty = compiled.groups  # the last group: where the block lacks a value, and once more for good measure
        self._length = len(wanted) + 1
        coded = [parts[place].name for place in varying if parts[place].is_huffman]
        others = [name for name in coded if name not in wanted]  # not asked for, but they must fit as well
        self._order = (*(groups.get(name, empty) for name in wanted), empty, *(groups[name] for name in others))
        names = [*wanted, b"", *others]
        self._coded = [(names.index(name), matching(shapes[name])) for name in coded]
        constants = {part.name: part.value for part in parts if part.name in wanted and part.name not in groups}
        self._constant = [(names.index(name), shapes[name].varying(value) or b"") for name, value in constants.items()]
        self._is_plain = not (self._coded or self._constant)

    def values(self, match: re.Match[bytes]) -> Sequence[bytes] | None:
        """The wanted values without their leads, and one more; None when one does not fit its shape after all."""
        found = match.group(*self._order)
        if self._is_plain:
            return found
        values: list[bytes] = list(found)
        for place, fits in self._coded:
            fitting = fits(huffman.decode(values[place]) or b"")
            if fitting is None:
                return None
            values[place] = fitting[1]
        for place, constant in self._constant:
            values[place] = constant
        del values[self._length :]
        return values

    def fields(self, match: re.Match[bytes]) -> list[Field]:
        """Put the whole header list together again from the constants and one block's varying values."""
        fields = [(part.name, part.value) for part in self._parts]
        for number, place in enumerate(self._varying, 1):
            part = self._parts[place]
            raw = match.string[match.end(number) - (part.end - part.start) : match.end(number)]
            fields[place] = (part.name, (huffman.decode(raw) or b"") if part.is_huffman else raw)
        return fields


def walk(block: bytes, table: HeaderTable) -> list[Part] | None:
    """Find where the values of a block stand that was decoded before; None for one that changes the table."""
    parts: list[Part] = []
    at, end = 0, len(block)
    while at < end:
        byte = block[at]
        if byte & 0x80:
            index, at = integer(block, at, 0x7F)
            parts.append(Part(*table.field(index), at, at, False))
            continue
        if byte & 0x60:
            return None
        index, at = integer(block, at, 0x0F)
        if index:
            name = table.field(index)[0]
        else:
            name, _, at, _ = string(block, at)
        value, start, at, is_huffman = string(block, at)
        parts.append(Part(name, value, start, at, is_huffman))
    return parts


def learn(block: bytes, parts: Sequence[Part], shapes: Mapping[bytes, Shape], wanted: Sequence[bytes]) -> Layout | None:
    """Make the layout of a block whose values fit their shapes, each standing there once; None where it has none."""
    pattern: list[bytes] = []
    varying: list[int] = []
    at = 0
    for place, part in enumerate(parts):
        shape = shapes.get(part.name)
        if shape is None or part.start == part.end:
            continue
        group = b"(.{%d})" % (part.end - part.start) if part.is_huffman else shape.pattern(part.end - part.start)
        if group is None:
            return None
        pattern += [re.escape(block[at : part.start]), group]
        varying.append(place)
        at = part.end
    pattern += [re.escape(block[at:]), b"()"]
    layout = Layout(b"".join(pattern), parts, varying, shapes, wanted)
    match = layout.fullmatch(block)
    return None if match is None or layout.values(match) is None else layout
