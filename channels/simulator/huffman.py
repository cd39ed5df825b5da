"""Decodes Huffman-coded header values a byte at a time (RFC 7541 appendix B).

`hpack`'s state machine takes four bits a step; most clients code every token with it, 64 digits each. Joining two
of its steps into one row of a table, made when first needed, halves that. The machine itself stays `hpack`'s.
"""

from __future__ import annotations

from hpack.huffman_table import HUFFMAN_COMPLETE, HUFFMAN_EMIT_SYMBOL, HUFFMAN_FAIL, HUFFMAN_TABLE

_Step = tuple[int, bytes]
_FAILED = -1

_rows: dict[int, list[_Step]] = {}
_ends: dict[int, list[bool]] = {}


def decode(coded: bytes) -> bytes | None:
    """Decode a string; None when it is not Huffman code."""
    state, decoded, byte = 0, [], 0
    before = 0
    for byte in coded:
        before = state
        row = _rows.get(state) or _row(state)
        state, symbols = row[byte]
        if state < 0:
            return None
        decoded.append(symbols)
    if coded and not _ends[before][byte]:
        return None
    return b"".join(decoded)


def _row(state: int) -> list[_Step]:
    """Join both halves of every byte from one state on."""
    row: list[_Step] = []
    ends: list[bool] = []
    for byte in range(256):
        symbols, flags, now = b"", 0, state
        for nibble in (byte >> 4, byte & 0x0F):
            now, flags, symbol = HUFFMAN_TABLE[now * 16 + nibble]
            if flags & HUFFMAN_FAIL:
                now = _FAILED
                break
            if flags & HUFFMAN_EMIT_SYMBOL:
                symbols += bytes((symbol,))
        row.append((now, symbols))
        ends.append(bool(flags & HUFFMAN_COMPLETE))
    _rows[state], _ends[state] = row, ends
    return row
