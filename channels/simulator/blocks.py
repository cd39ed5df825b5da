"""Reads request header blocks (HPACK, RFC 7541) and knows those again that differ only in what varies.

Three ways, each exact, from the quickest to the plainest:

- a *layout* (`layouts.Layout`) matches the raw bytes; only for blocks that leave the header table alone, and every
  change of the table drops all layouts;
- a *kind* (`Kind`) is known by the decoded headers that do not vary; for encoders that put each token into the table;
- else the fields as they are, for the service to judge.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from channels.simulator.frames import COMPRESSION_ERROR, Http2Fault
from channels.simulator.header_table import Field, HeaderTable, NotHpack
from channels.simulator.layouts import Layout, learn, walk
from channels.simulator.shapes import Shape, matching

_LAYOUTS_MAX = 256
_KINDS_MAX = 256
_SIBLINGS_MAX = 8
"""Layouts of the same block length that are kept; more means that something else varies."""
_LEARN_FREE = 64
_LEARN_PER = 1000
"""So many layouts are learned at once; after that one per thousand blocks, since compiling one costs about 0.5 ms."""

Vouch = Callable[[Sequence[Field]], object | None]


class Read(NamedTuple):
    """A decoded block that a kind knows."""

    values: Sequence[bytes]
    fields: list[Field]


class Kind:
    """Requests that are equal but for what varies; used like a `Layout`."""

    __slots__ = ("voucher",)

    def __init__(self, voucher: object | None) -> None:
        self.voucher = voucher

    def values(self, read: Read) -> Sequence[bytes]:
        return read.values

    def fields(self, read: Read) -> list[Field]:
        return read.fields


Known = tuple[Layout | Kind, Any]
"""What a block was recognised by, and what that found in it: `known[0].values(known[1])` are its varying values."""


class Blocks:
    """The decoding side of one connection.

    Args:
        shapes: which headers vary, and how, in requests that are surely right.
        wanted: names from `shapes`, in the order in which `values` gives them.
        vouch: judges the constants of a kind of requests by one sample; None is no.
    """

    def __init__(self, shapes: Mapping[bytes, Shape], wanted: Sequence[bytes], vouch: Vouch) -> None:
        self.shapes = shapes
        self.layouts: dict[int, list[Layout]] = {}
        """By block length, the last one used first. The hot path looks in here by itself."""
        self._wanted = wanted
        self._vouch = vouch
        self._matching: dict[bytes, Any] = {name: matching(shape) for name, shape in shapes.items()}
        self._kinds: dict[tuple[object, ...], Kind] = {}
        self._table = HeaderTable()
        self._learned = 0
        self._read = 0

    def read(self, block: bytes) -> tuple[list[Field], Known | None]:
        """Decode a block in full; say what it is known by, and learn it where that pays.

        Raises:
            Http2Fault: not HPACK; the connection cannot go on (RFC 9113 section 4.3).
        """
        self._read += 1
        before = self._table.changes
        try:
            fields = self._table.decode(block)
        except NotHpack as error:
            raise Http2Fault(COMPRESSION_ERROR, "a header block cannot be decoded") from error
        known = self._known(fields)
        if self._table.changes != before:
            self.layouts.clear()
        elif self._learned <= _LEARN_FREE + self._read // _LEARN_PER:
            self._learn(block, known)
        return fields, known

    def find(self, buffer: bytes, start: int, end: int) -> tuple[Layout, re.Match[bytes]] | None:
        """Try the other layouts of this length; one that matches moves to the front."""
        siblings = self.layouts.get(end - start, [])
        for place, layout in enumerate(siblings):
            match = layout.fullmatch(buffer, start, end)
            if match is not None:
                siblings.insert(0, siblings.pop(place))
                return layout, match
        return None

    def _known(self, fields: list[Field]) -> tuple[Kind, Read] | None:
        """Find the kind of a decoded block; None where a varying value needs a closer look, or nobody vouches."""
        # hot: the key is what does not vary, with the places of what does
        key: list[object] = []
        found: dict[bytes, bytes] = {}
        matchers = self._matching
        for field in fields:
            name, value = field
            if name not in matchers:
                key.append(field)
                continue
            match = matchers[name](value)
            if match is None or name in found:
                return None
            found[name] = match[1]
            key.append(name)
        constants = tuple(key)
        kind = self._kinds.get(constants)
        if kind is None:
            if len(self._kinds) >= _KINDS_MAX:
                self._kinds.clear()
            kind = self._kinds[constants] = Kind(self._vouch(fields))
        if kind.voucher is None:
            return None
        values = [found.get(name, b"") for name in self._wanted]
        values.append(b"")
        return kind, Read(values, fields)

    def _learn(self, block: bytes, known: tuple[Kind, Read] | None) -> None:
        parts = walk(block, self._table) if known is not None else None
        layout = learn(block, parts, self.shapes, self._wanted) if parts is not None else None
        if layout is None or known is None:
            return
        layout.voucher = known[0].voucher
        self._learned += 1
        if len(self.layouts) >= _LAYOUTS_MAX:
            self.layouts.clear()
        siblings = self.layouts.setdefault(len(block), [])
        siblings.insert(0, layout)
        del siblings[_SIBLINGS_MAX:]
