"""Reads request header blocks (HPACK, RFC 7541), most of them by a pattern instead of field by field.

A sender that makes a million similar requests writes blocks that differ only in a token, an id and a length. After
one such block was read in full, its *layout* is kept as a regular expression over the raw bytes: what must be equal,
and where the varying values stand. One `fullmatch` in C then replaces a decoder that costs 20-60 us a block.

It is exact: a layout holds only for blocks that leave the dynamic table alone, and every change of the table drops
all layouts. Whatever a layout does not match goes to `hpack`'s decoder, which owns the table.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import NamedTuple

from hpack import Decoder
from hpack.exceptions import HPACKError

from channels.simulator import huffman
from channels.simulator.frames import COMPRESSION_ERROR, ENHANCE_YOUR_CALM, Http2Fault

Field = tuple[bytes, bytes]
Names = Sequence[bytes]

_FIELDS_MAX = 200
_LAYOUTS_MAX = 256
_SIBLINGS_MAX = 8
"""Layouts of the same block length that are kept; more means that something else varies."""
_LEARN_FREE = 32
"""So many layouts are learned at once; after that one per hundred blocks, since compiling one costs about 0.5 ms."""


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
        match = _fullmatch(self, len(value))(value)
        return match[1] if match else None


@lru_cache(1024)
def _fullmatch(shape: Shape, length: int) -> Callable[[bytes], re.Match[bytes] | None]:
    pattern = shape.pattern(length)
    return re.compile(rb"(?!)" if pattern is None else pattern, re.DOTALL).fullmatch


class _Part(NamedTuple):
    """One field of a walked block and where its value stands; `start` == `end` for an indexed field."""

    name: bytes
    value: bytes
    start: int
    end: int
    is_huffman: bool


class _Slot(NamedTuple):
    """Where one wanted value of a layout comes from: a constant, or a group of the match that may be coded."""

    is_constant: bool
    constant: bytes | None  # None: it stands there, but does not fit its shape
    shape: Shape
    is_huffman: bool


class Layout:
    """A learned block: `fullmatch(buffer, start, end)` finds the varying values, `values` reads the wanted ones.

    `voucher` is whatever the service thinks of requests of this kind; None sends them the slow way.
    """

    __slots__ = ("_coded", "_order", "_parts", "_slots", "_varying", "fullmatch", "voucher")

    def __init__(
        self,
        pattern: bytes,
        parts: Sequence[_Part],
        varying: Sequence[int],
        shapes: Mapping[bytes, Shape],
        wanted: Names,
    ) -> None:
        compiled = re.compile(pattern, re.DOTALL)
        self.fullmatch = compiled.fullmatch
        self._parts = parts
        self._varying = varying  # places among the parts, in the order of the groups
        self.voucher: object | None = None
        groups = {parts[place].name: number for number, place in enumerate(varying, 1)}
        order, slots = [], []
        for name in wanted:
            of_name = [part for part in parts if part.name == name]
            # a value that the block lacks is the empty last group
            order.append(groups.get(name, compiled.groups))
            is_constant = bool(of_name) and name not in groups
            constant = shapes[name].varying(of_name[0].value) if is_constant else None
            is_huffman = name in groups and of_name[0].is_huffman
            slots.append(_Slot(is_constant, constant, shapes[name], is_huffman))
        # the empty last group once more: `group` of a single number would give no tuple
        self._order = (*order, compiled.groups)
        self._slots = slots
        self._coded = any(slot.is_huffman or slot.is_constant for slot in slots)

    def values(self, match: re.Match[bytes]) -> tuple[bytes, ...] | None:
        """The wanted values without their leads, and one more; None when one does not fit its shape after all."""
        found = match.group(*self._order)
        if not self._coded:
            return found
        values: list[bytes] = []
        for slot, raw in zip(self._slots, found, strict=False):
            value: bytes | None = raw
            if slot.is_constant:
                value = slot.constant
            elif slot.is_huffman:
                value = slot.shape.varying(huffman.decode(raw) or b"")
            if value is None:
                return None
            values.append(value)
        return (*values, b"")

    def fields(self, match: re.Match[bytes]) -> list[Field]:
        """Put the whole header list together again from the constants and one block's varying values."""
        fields = [(part.name, part.value) for part in self._parts]
        for number, place in enumerate(self._varying, 1):
            part = self._parts[place]
            raw = match.string[match.end(number) - (part.end - part.start) : match.end(number)]
            fields[place] = (part.name, (huffman.decode(raw) or b"") if part.is_huffman else raw)
        return fields


class Blocks:
    """The decoding side of one connection.

    Args:
        shapes: which headers vary, and how, in requests that are surely right.
        wanted: names from `shapes`, in the order in which `Layout.values` gives them.
    """

    def __init__(self, shapes: Mapping[bytes, Shape], wanted: Sequence[bytes]) -> None:
        self.shapes = shapes
        self.layouts: dict[int, list[Layout]] = {}
        """By block length, the last one used first. The hot path looks in here by itself."""
        self._wanted = wanted
        self._decoder = Decoder(max_header_list_size=65_536)
        self._learned = 0
        self._read = 0

    def read(self, block: bytes) -> tuple[list[Field], Layout | None]:
        """Decode a block in full; learn its layout where it has one.

        Raises:
            Http2Fault: not HPACK; the connection cannot go on (RFC 9113 section 4.3).
        """
        self._read += 1
        try:
            parts = self._walk(block)
            if parts is None:
                self.layouts.clear()
                return [(bytes(n), bytes(v)) for n, v in self._decoder.decode(block, raw=True)], None
        except (HPACKError, IndexError) as error:
            raise Http2Fault(COMPRESSION_ERROR, "a header block cannot be decoded") from error
        return [(part.name, part.value) for part in parts], self._learn(block, parts)

    def find(self, buffer: bytes, start: int, end: int) -> tuple[Layout, re.Match[bytes]] | None:
        """Try the other layouts of this length; one that matches moves to the front."""
        siblings = self.layouts.get(end - start, [])
        for place, layout in enumerate(siblings):
            match = layout.fullmatch(buffer, start, end)
            if match is not None:
                siblings.insert(0, siblings.pop(place))
                return layout, match
        return None

    def _walk(self, block: bytes) -> list[_Part] | None:
        """Read a block that leaves the table alone; None when it does not."""
        table = self._decoder.header_table
        parts: list[_Part] = []
        at, end = 0, len(block)
        while at < end:
            if len(parts) > _FIELDS_MAX:
                raise Http2Fault(ENHANCE_YOUR_CALM, "a header block has too many fields")
            byte = block[at]
            if byte & 0x80:
                index, at = _integer(block, at, 0x7F)
                parts.append(_Part(*table.get_by_index(index), at, at, False))
                continue
            if byte & 0x60:
                return None
            index, at = _integer(block, at, 0x0F)
            if index:
                name = table.get_by_index(index)[0]
            else:
                name, _, at, _ = _string(block, at)
            value, start, at, is_huffman = _string(block, at)
            parts.append(_Part(name, value, start, at, is_huffman))
        return parts

    def _learn(self, block: bytes, parts: list[_Part]) -> Layout | None:
        if self._learned > _LEARN_FREE + self._read // 100:
            return None
        pattern: list[bytes] = []
        varying: list[int] = []
        at = 0
        for place, part in enumerate(parts):
            shape = self.shapes.get(part.name)
            if shape is None or part.start == part.end:
                continue
            group = b"(.{%d})" % (part.end - part.start) if part.is_huffman else shape.pattern(part.end - part.start)
            if group is None or any(parts[other].name == part.name for other in varying):
                return None  # a value that needs a closer look, or a header that stands twice
            pattern += [re.escape(block[at : part.start]), group]
            varying.append(place)
            at = part.end
        pattern += [re.escape(block[at:]), b"()"]
        layout = Layout(b"".join(pattern), parts, varying, self.shapes, self._wanted)
        match = layout.fullmatch(block)
        if match is None or layout.values(match) is None:
            return None  # its values are odd: such requests stay on the slow way
        self._keep(len(block), layout)
        return layout

    def _keep(self, length: int, layout: Layout) -> None:
        self._learned += 1
        if len(self.layouts) >= _LAYOUTS_MAX:
            self.layouts.clear()
        siblings = self.layouts.setdefault(length, [])
        siblings.insert(0, layout)
        del siblings[_SIBLINGS_MAX:]


def _integer(block: bytes, at: int, mask: int) -> tuple[int, int]:
    """An HPACK integer (RFC 7541 section 5.1) and where it ends."""
    value = block[at] & mask
    at += 1
    if value < mask:
        return value, at
    shift = 0
    while True:
        byte = block[at]
        at += 1
        value += (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
        shift += 7
        if shift > 28:
            raise IndexError("an HPACK integer is too long")


def _string(block: bytes, at: int) -> tuple[bytes, int, int, bool]:
    """An HPACK string: decoded, where its raw bytes start and end, whether they are Huffman-coded."""
    is_huffman = block[at] >= 0x80
    length, start = _integer(block, at, 0x7F)
    end = start + length
    if end > len(block):
        raise IndexError("an HPACK string is longer than its block")
    raw = block[start:end]
    if not is_huffman:
        return raw, start, end, False
    decoded = huffman.decode(raw)
    if decoded is None:
        raise IndexError("an HPACK string is not Huffman code")
    return decoded, start, end, True
