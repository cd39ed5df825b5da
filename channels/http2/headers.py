"""HPACK (RFC 7541): request headers as templates, answer headers as a list.

A template's constant headers enter the connection's dynamic table once; from then on they cost a byte each. What
changes from push to push (`:path`, one header value) is a literal without indexing, as Apple asks for `:path`,
`authorization`, `apns-id`, `apns-expiration` and `apns-collapse-id` ("Sending notification requests to APNs").
"""

from __future__ import annotations

from typing import NamedTuple

from hpack import Decoder, Encoder, HPACKError, OversizedHeaderListError

from channels.http2.fields import HEADER_LIST_BYTES_MAX, Fields, Header
from channels.http2.frames import ErrorCode, ProtocolError

TABLE_BYTES = 4096  # RFC 9113: what a peer offers unless it says otherwise; we never use more
_BLOCKS_MAX = 256  # encoded templates kept per connection, one an event; with more in flight each batch encodes anew
_KNOWN_ANSWERS_MAX = 128


class Template(NamedTuple):
    """What all requests of a batch share.

    `path` is the constant beginning of `:path`. `indexed` headers stay the same for hours; `literal` ones belong to one
    event or are secret. `value_name` is the header whose value each push brings itself, always `value_bytes` long.
    """

    path: bytes
    indexed: tuple[Header, ...] = ()
    literal: tuple[Header, ...] = ()
    value_name: bytes | None = None
    value_bytes: int = 0

    def bytes_at_most(self, ending_bytes: int) -> int:
        """The largest header block that a request with such a path ending can have, the authority (<= 255) included."""
        headers = (*self.indexed, *self.literal, (self.value_name or b"", b""))
        names_and_values = sum(len(name) + len(value) + 8 for name, value in headers)
        return 400 + len(self.path) + ending_bytes + names_and_values + self.value_bytes


class Block:
    """A template encoded for one connection: everything of a header block but path ending and own value.

    A request is `start(n)[1]`, the path's ending of `n` bytes, `tail`, the own value.
    """

    __slots__ = ("_head", "_path", "_value_bytes", "starts", "tail")

    def __init__(self, head: bytes, path: bytes, tail: bytes, value_bytes: int) -> None:
        self._head = head
        self._path = path
        self._value_bytes = value_bytes
        self.tail = tail
        self.starts: dict[int, tuple[int, bytes]] = {}

    def start(self, ending_bytes: int) -> tuple[int, bytes]:
        """For a path ending of this length: the head word of the HEADERS frame, and the bytes before the ending."""
        # 0x04: literal without indexing, name is entry 4 of the static table (`:path`).
        begin = self._head + b"\x04" + integer(len(self._path) + ending_bytes, 7) + self._path
        total = len(begin) + ending_bytes + len(self.tail) + self._value_bytes  # `Requests.faults` keeps it in a frame
        known = self.starts[ending_bytes] = (total << 8 | 1, begin)
        return known


class HeaderWriter:
    """Encodes templates for one connection and keeps the peer's picture of the dynamic table right."""

    def __init__(self, authority: bytes) -> None:
        self._encoder = Encoder()
        self._pseudo: tuple[Header, ...] = (
            (b":method", b"POST"),
            (b":scheme", b"https"),
            (b":authority", authority),
        )
        self._blocks: dict[Template, Block] = {}

    def resize(self, table_bytes: int) -> None:
        """Follow the peer's SETTINGS_HEADER_TABLE_SIZE."""
        size = min(table_bytes, TABLE_BYTES)
        if size == self._encoder.header_table_size:
            return  # hpack would forget a change that no block has announced yet
        self._encoder.header_table_size = size
        # Of all changes since the last block only the smallest and the last are announced (RFC 7541 section 4.2).
        smallest = min(self._encoder.table_size_changes)
        self._encoder.table_size_changes = [size] if smallest == size else [smallest, size]
        self._blocks.clear()  # their indices may be gone, and the size update must go out with the next block

    def block(self, template: Template) -> tuple[Block | None, Block]:
        """Encode a template: a block that must be used for exactly one request, now, and one for all that follow.

        The first one teaches the peer the table entries that the second one refers to; it is None when they are known.
        """
        known = self._blocks.get(template)
        if known is not None:
            return None, known
        if len(self._blocks) >= _BLOCKS_MAX:
            self._blocks.clear()
        before = tuple(self._encoder.header_table.dynamic_entries)
        first = self._teaching(template)
        if before != tuple(self._encoder.header_table.dynamic_entries):
            self._blocks.clear()  # new entries have moved the index of every old one
        steady = self._blocks[template] = self._steady(template)
        return first, steady

    def _teaching(self, template: Template) -> Block:
        # Only `encode` changes the table. It also writes a pending table size update, which must stand first.
        head = self._encoder.encode(self._pseudo, huffman=False)
        tail = self._encoder.encode(template.indexed, huffman=False)
        for name, value in template.literal:
            if self._encoder.header_table.search(name, b"") is None:
                tail += self._encoder.encode(((name, value),), huffman=False)  # "indexed the first time" (Apple)
            else:
                tail += self._literal(name, value)
        return self._finish(template, head, tail)

    def _steady(self, template: Template) -> Block:
        head = b"".join(self._short(header) for header in self._pseudo)
        tail = b"".join(self._short(header) for header in template.indexed)
        tail += b"".join(self._literal(name, value) for name, value in template.literal)
        return self._finish(template, head, tail)

    def _finish(self, template: Template, head: bytes, tail: bytes) -> Block:
        if template.value_name is not None:
            tail += self._name(template.value_name) + integer(template.value_bytes, 7)
        return Block(head, template.path, tail, template.value_bytes)

    def _short(self, header: Header) -> bytes:
        """An index where the table holds the header (a small table may not), else a literal."""
        found = self._encoder.header_table.search(*header)
        if found is not None and found[2] is not None:
            return integer(found[0], 7, 0x80)
        return self._literal(*header)

    def _literal(self, name: bytes, value: bytes) -> bytes:
        return self._name(name) + integer(len(value), 7) + value

    def _name(self, name: bytes) -> bytes:
        found = self._encoder.header_table.search(name, b"")
        return integer(found[0], 4) if found is not None else b"\x00" + integer(len(name), 7) + name


def integer(value: int, prefix_bits: int, pattern: int = 0) -> bytes:
    """Encode an integer (RFC 7541 section 5.1) below the bits of `pattern`."""
    largest = (1 << prefix_bits) - 1
    if value < largest:
        return bytes((pattern | value,))
    encoded = [pattern | largest]
    value -= largest
    while value >= 128:
        encoded.append(value & 127 | 128)
        value >>= 7
    encoded.append(value)
    return bytes(encoded)


class AnswerReader:
    """Reads answer headers.

    With `is_stateless` we have announced a table of size 0 in our first SETTINGS, which the peer must obey before it
    answers anything; so no block changes the meaning of another, a block that begins with 0x88 (static entry 8,
    `:status: 200`) needs no decoding, and others are decoded as far as somebody asks (`fields.py`). A peer that uses a
    table all the same gives a COMPRESSION_ERROR; the pool then connects with the default table and decodes every block.
    """

    def __init__(self, *, is_stateless: bool) -> None:
        self._is_stateless = is_stateless
        self._known: dict[bytes, Fields] = {}
        self._decoder = Decoder(max_header_list_size=HEADER_LIST_BYTES_MAX)

    def read(self, block: bytes) -> Fields:
        if not self._is_stateless:
            return Fields.of(self._decode(block))
        # FCM's refusals of one second often have the very same headers.
        known = self._known.get(block)
        if known is None:
            if len(self._known) >= _KNOWN_ANSWERS_MAX:
                self._known.clear()
            known = self._known[block] = Fields.cut(block)
        return known

    def _decode(self, block: bytes) -> tuple[Header, ...]:
        try:
            return tuple((bytes(name), bytes(value)) for name, value in self._decoder.decode(block, raw=True))
        except OversizedHeaderListError as error:
            raise ProtocolError(ErrorCode.ENHANCE_YOUR_CALM, "header list too large") from error
        except HPACKError as error:
            raise ProtocolError(ErrorCode.COMPRESSION_ERROR, "headers cannot be decoded") from error
