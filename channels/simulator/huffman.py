"""Decodes Huffman-coded header values (RFC 7541 appendix B) in C, by zlib.

Most clients code every token with it, 64 digits each; the state machine of `hpack` takes 7 us for one, this 1 us.
HPACK's code is canonical, and so are DEFLATE's (RFC 1951 section 3.2.2): a DEFLATE block whose code lengths are HPACK's
holds the very same codes. What differs:

- HPACK fills its bytes from the high bit, DEFLATE from the low one: a table turns each byte round.
- DEFLATE's codes end at 15 bits. HPACK's longer ones (`\\`, control characters, bytes beyond ASCII) begin with 15 ones,
  and that is the only code of 15 bits that is left over: it becomes DEFLATE's end of block, and a string in which zlib
  meets it goes to `hpack`.
- HPACK pads the last byte with ones. `_TAIL` is appended to every string: two bytes after which, whatever state they
  meet, the code stands between two symbols again, and three symbols are there more. Which three tells what stood
  before: those in `_PADDED` mean zero to seven ones, all others mean wrong padding.
"""

from __future__ import annotations

import zlib

from hpack.exceptions import HPACKError
from hpack.huffman_constants import REQUEST_CODES, REQUEST_CODES_LENGTH
from hpack.huffman_table import decode_huffman

_BITS_MAX = 15
_END_OF_BLOCK = 256
_TURNED = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))
_TAIL = b"|a"
_TAIL_SYMBOLS = 3


def decode(coded: bytes) -> bytes | None:
    """Decode a string; None when it is not Huffman code."""
    # hot: copying the state after its header saves making zlib's tables, 0.7 of 2.3 us
    inflating = _primed.copy()
    text = inflating.decompress((coded + _TAIL).translate(_TURNED))
    if text[-_TAIL_SYMBOLS:] in _PADDED and not inflating.eof:
        return text[:-_TAIL_SYMBOLS]
    return _decode_plainly(coded) if inflating.eof else None


def _decode_plainly(coded: bytes) -> bytes | None:
    try:
        return decode_huffman(coded)
    except HPACKError:
        return None


def _code_lengths() -> list[int]:
    """The lengths of DEFLATE's symbols 0 to 256: bytes, and the end of block."""
    return [bits if bits <= _BITS_MAX else 0 for bits in REQUEST_CODES_LENGTH[:256]] + [_BITS_MAX]


def _block_header() -> bytes:
    """A DEFLATE stream up to where codes begin, which is made to be at the start of a byte (RFC 1951 section 3.2.7)."""
    lengths = [*_code_lengths(), 1]  # and one distance code, which is never used
    used = sorted(set(lengths))
    # the code lengths are themselves coded: some with three bits and the rest with four, so that none is left over
    sizes = {length: 3 if place < 16 - len(used) else 4 for place, length in enumerate(used)}
    codes: dict[int, str] = {}
    code = 0
    for size in (3, 4):
        for length in used:
            if sizes[length] == size:
                codes[length] = f"{code:0{size}b}"
                code += 1
        code <<= 1
    order = (16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15)
    bits = "1" + _low_first(2, 2) + _low_first(0, 5) + _low_first(0, 5) + _low_first(len(order) - 4, 4)
    bits += "".join(_low_first(sizes.get(length, 0), 3) for length in order)
    bits += "".join(codes[length] for length in lengths)
    empty_block = "0" + _low_first(1, 2) + "0000000"
    while len(bits) % 8:
        bits = empty_block + bits  # ten bits each
    return bytes(int(bits[at : at + 8][::-1], 2) for at in range(0, len(bits), 8))


def _low_first(value: int, size: int) -> str:
    return f"{value:0{size}b}"[::-1]


def _padded() -> frozenset[bytes]:
    """What `_TAIL` is read as after zero to seven ones."""
    symbols = {
        f"{code:0{bits}b}": symbol
        for symbol, (code, bits) in enumerate(zip(REQUEST_CODES[:256], REQUEST_CODES_LENGTH[:256], strict=True))
    }
    found = set()
    for ones in range(8):
        text, code = b"", ""
        for bit in "1" * ones + "".join(f"{byte:08b}" for byte in _TAIL):
            code += bit
            if code in symbols:
                text += bytes((symbols[code],))
                code = ""
        found.add(text)
    return frozenset(found)


_PADDED = _padded()
_primed = zlib.decompressobj(-zlib.MAX_WBITS)
_primed.decompress(_block_header())
