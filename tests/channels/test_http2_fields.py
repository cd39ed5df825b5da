"""Answer headers that are decoded when asked for give what the full decoder gives, or break where it breaks."""

from __future__ import annotations

from collections.abc import Sequence

import hpack
import pytest
from hypothesis import given
from hypothesis import strategies as st

from channels.http2.fields import Fields, Header
from channels.http2.frames import ErrorCode, ProtocolError
from channels.http2.headers import AnswerReader

NAMES = st.sampled_from([b":status", b"apns-id", b"retry-after", b"content-type", b"date", b"x-apns-unique-id", b""])
VALUES = st.one_of(st.sampled_from([b"200", b"400", b"410", b"503", b"99", b"2", b"application/json"]), st.binary())
STATUSES = st.integers(100, 599).map(lambda status: (b":status", b"%d" % status))


def stateless_decoder() -> hpack.Decoder:
    decoder = hpack.Decoder()
    decoder.header_table_size = 0
    decoder.max_allowed_table_size = 0
    return decoder


def encoded(headers: Sequence[Header], *, huffman: bool) -> bytes:
    encoder = hpack.Encoder()
    encoder.header_table_size = 0  # the first block then begins with a table size update, as servers do it
    return encoder.encode(headers, huffman=huffman)


def fully(block: bytes) -> tuple[Header, ...] | None:
    try:
        return tuple((bytes(name), bytes(value)) for name, value in stateless_decoder().decode(block, raw=True))
    except hpack.HPACKError:
        return None


def cut(block: bytes) -> Fields | None:
    """None for a compression error; any other one fails the test."""
    try:
        return Fields.cut(block)
    except ProtocolError as error:
        if error.code is not ErrorCode.COMPRESSION_ERROR:
            raise
        return None


@given(STATUSES, st.lists(st.tuples(NAMES, VALUES), max_size=6), st.booleans())
def test_whatever_an_encoder_writes_is_read_as_the_full_decoder_reads_it(
    status: Header, others: list[Header], huffman: bool
) -> None:
    block = encoded([status, *others], huffman=huffman)
    plain = fully(block)
    assert plain is not None
    fields = Fields.cut(block)
    assert fields.status == int(status[1])
    for name, _ in plain:  # one by one, before anything else was decoded
        assert fields.get(name) == next(value for key, value in plain if key == name)
    assert fields.get(b"not-there") is None
    assert tuple(fields) == plain
    assert fields == Fields.of(plain) == plain


@given(
    st.one_of(
        st.binary(max_size=60),
        st.tuples(st.lists(st.tuples(NAMES, VALUES), max_size=4), st.integers(0, 200), st.integers(0, 255)).map(
            lambda made: _damaged(encoded([(b":status", b"410"), *made[0]], huffman=True), made[1], made[2])
        ),
    )
)
def test_a_broken_block_is_found_at_once_or_costs_only_the_broken_string(block: bytes) -> None:
    plain = fully(block)
    fields = cut(block)
    if fields is None:
        assert plain is None
    elif plain is not None:
        assert tuple(fields) == plain
    else:  # only Huffman letters can be wrong now: those strings are absent, the others are read
        assert len(list(fields)) < len(fields)


def _damaged(block: bytes, at: int, byte: int) -> bytes:
    place = at % len(block)
    return block[:place] + bytes((byte,)) + block[place + 1 :]


@pytest.mark.parametrize(
    "block",
    [
        b"\xbe",  # index 62: an entry of a table that is empty
        b"\x80",  # index 0 does not exist
        b"\x7e\x01a",  # a name of index 62
        b"\x88\x20",  # a table size update behind a header
        b"\x3f\xe1\x1f\x88",  # a table of 4,096 bytes, which we did not allow
        b"\x88\x00",  # ends in the middle
        b"\x88\x00\x05ab",
        b"\xff\xff\xff\xff\xff\xff\xff\xff",  # a number without end
    ],
)
def test_what_breaks_the_rules_ends_the_connection_as_a_compression_error(block: bytes) -> None:
    assert fully(block) is None
    with pytest.raises(ProtocolError, match="COMPRESSION_ERROR"):
        AnswerReader(is_stateless=True).read(block)


def test_a_header_list_without_measure_is_refused() -> None:
    with pytest.raises(ProtocolError, match="ENHANCE_YOUR_CALM"):
        Fields.cut(b"\x88" + b"\x90" * 2_100)  # a byte each, 60 bytes decoded


@pytest.mark.parametrize("block", [b"", b"\x90", encoded([(b":status", b"20")], huffman=False), b"\x08\x03600"])
def test_a_block_without_a_status_that_counts_has_none(block: bytes) -> None:
    assert Fields.cut(block).status is None


def test_with_a_table_the_full_decoder_follows_it() -> None:
    encoder, reader = hpack.Encoder(), AnswerReader(is_stateless=False)
    headers = [(b":status", b"429"), (b"retry-after", b"7")]
    first, second = (reader.read(encoder.encode(headers)) for _ in range(2))
    assert first == second == tuple(headers)
    assert (second.status, second.get(b"retry-after")) == (429, b"7")
