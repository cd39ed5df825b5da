"""The headers of an answer, decoded no further than somebody asks (RFC 7541). Pure.

Every refusal of APNs carries an `apns-id` of its own, so no two header blocks are alike; decoding one whole, Huffman
letters and all, costs 50 to 130 us in Python, ten times a push. With a header table of size 0 a block always means the
same: here it is cut into its pieces, which finds every broken length and index at once, and letters are decoded when a
caller wants that header. A string whose Huffman letters turn out wrong is then as good as absent.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from hpack import HPACKError
from hpack.huffman_table import decode_huffman
from hpack.table import HeaderTable

from channels.http2.frames import ErrorCode, ProtocolError

HEADER_LIST_BYTES_MAX = 65_536
Header = tuple[bytes, bytes]

_STATIC: tuple[Header, ...] = tuple((bytes(name), bytes(value)) for name, value in HeaderTable.STATIC_TABLE)
_ENTRY_BYTES = 32  # RFC 9113 section 6.5.2: what each header counts beside its letters
_INTEGER_BYTES_MAX = 5  # as the `hpack` library has it; any length or index of a block takes three
_LETTERS_KNOWN_MAX = 256
_letters_known: dict[bytes, bytes] = {}  # header names and statuses as they came; the same few for ever


class Text(NamedTuple):
    """A string as it came: letters, Huffman-coded or not."""

    raw: bytes
    is_huffman: bool

    def decode(self) -> bytes:
        """Raises HPACKError."""
        return bytes(decode_huffman(self.raw)) if self.is_huffman else self.raw


class Fields:
    """The headers of one answer, in order. `status` is read at once; None where there is none, or none that counts."""

    __slots__ = ("_decoded", "_pieces", "status")

    def __init__(self, pieces: list[tuple[int | Text, Text | None]], decoded: tuple[Header, ...] | None = None) -> None:
        self._pieces = pieces
        self._decoded = decoded
        self.status = _status(self._pieces) if decoded is None else status_of(decoded)

    @classmethod
    def of(cls, headers: tuple[Header, ...]) -> Fields:
        """Headers that are decoded already."""
        return cls([], headers)

    @classmethod
    def cut(cls, block: bytes) -> Fields:
        """Cut a block that was written without a table; raises ProtocolError for one that breaks the rules."""
        return cls(_cut(block))

    def get(self, name: bytes) -> bytes | None:
        """The value of the first header of that name (lower case)."""
        if self._decoded is not None:
            return next((value for key, value in self._decoded if key == name), None)
        for place, text in self._pieces:
            try:
                if _name(place) == name:
                    return _value(place, text)
            except HPACKError:
                continue
        return None

    def __iter__(self) -> Iterator[Header]:
        if self._decoded is None:
            self._decoded = tuple(self._readable())
        return iter(self._decoded)

    def _readable(self) -> Iterator[Header]:
        for place, text in self._pieces:
            try:
                yield _name(place), _value(place, text)
            except HPACKError:
                continue

    def __len__(self) -> int:
        """How many headers came, those that cannot be read included."""
        return len(self._pieces) if self._decoded is None else max(len(self._pieces), len(self._decoded))

    def __eq__(self, other: object) -> bool:
        return tuple(iter(self)) == tuple(iter(other)) if isinstance(other, Fields | tuple) else NotImplemented

    def __hash__(self) -> int:
        return hash(tuple(self))

    def __repr__(self) -> str:
        return f"Fields({tuple(self)!r})"


def status_of(headers: tuple[Header, ...]) -> int | None:
    """Read `:status`, which must stand first."""
    return _number(headers[0][1]) if headers and headers[0][0] == b":status" else None


def _status(pieces: list[tuple[int | Text, Text | None]]) -> int | None:
    if not pieces:
        return None
    place, text = pieces[0]
    try:
        return _number(_value(place, text, is_few=True)) if _name(place) == b":status" else None
    except HPACKError:
        return None


def _number(value: bytes) -> int | None:
    if len(value) != 3 or not value.isdigit():
        return None
    status = int(value)
    return status if 100 <= status <= 599 else None  # RFC 9110 section 15


def _name(place: int | Text) -> bytes:
    return _STATIC[place - 1][0] if isinstance(place, int) else _one_of_few(place)


def _value(place: int | Text, text: Text | None, *, is_few: bool = False) -> bytes:
    if text is not None:
        return _one_of_few(text) if is_few else text.decode()
    assert isinstance(place, int), "only an index stands for a whole header"
    return _STATIC[place - 1][1]


def _one_of_few(text: Text) -> bytes:
    if not text.is_huffman:
        return text.raw
    known = _letters_known.get(text.raw)
    if known is None:
        known = text.decode()
        if len(_letters_known) >= _LETTERS_KNOWN_MAX:
            _letters_known.clear()
        _letters_known[text.raw] = known
    return known


def _cut(block: bytes) -> list[tuple[int | Text, Text | None]]:
    """Cut into (index or name, value); an index without value stands for a whole header of the static table."""
    pieces: list[tuple[int | Text, Text | None]] = []
    at, size = 0, len(block)
    while at < size:
        first = block[at]
        if first & 0x80:  # section 6.1: index
            index, at = _integer(block, at, 0x7F)
            pieces.append((_known(index), None))
            continue
        if first & 0x60 == 0x20:  # section 6.3: the table's size, which can only be the 0 that we asked for
            table_bytes, at = _integer(block, at, 0x1F)
            if table_bytes or pieces:
                raise _broken("table size")
            continue
        # sections 6.2.1 to 6.2.3: a literal; what should enter a table of size 0 leaves it in the same moment
        index, at = _integer(block, at, 0x3F if first & 0x40 else 0x0F)
        place: int | Text
        if index:
            place = _known(index)
        else:
            place, at = _text(block, at)
        text, at = _text(block, at)
        pieces.append((place, text))
    if len(pieces) * _ENTRY_BYTES + size > HEADER_LIST_BYTES_MAX:
        raise ProtocolError(ErrorCode.ENHANCE_YOUR_CALM, "header list too large")
    return pieces


def _known(index: int) -> int:
    if not 1 <= index <= len(_STATIC):
        raise _broken("index")  # 62 and above: a table entry, where there is no table
    return index


def _text(block: bytes, at: int) -> tuple[Text, int]:
    if at >= len(block):
        raise _broken("end")
    is_huffman = block[at] >= 0x80
    length, at = _integer(block, at, 0x7F)
    stop = at + length
    if stop > len(block):
        raise _broken("length")
    return Text(block[at:stop], is_huffman), stop


def _integer(block: bytes, at: int, largest: int) -> tuple[int, int]:
    """Section 5.1; gives the value and where the next byte is."""
    value = block[at] & largest
    at += 1
    if value < largest:
        return value, at
    for place, byte in enumerate(block[at : at + _INTEGER_BYTES_MAX]):
        value += (byte & 0x7F) << (7 * place)
        if byte < 0x80:
            return value, at + place + 1
    raise _broken("integer")


def _broken(what: str) -> ProtocolError:
    return ProtocolError(ErrorCode.COMPRESSION_ERROR, f"headers cannot be decoded: {what}")
