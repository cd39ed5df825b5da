"""A 201 with a Location of its own: the stateless reader says what the one with a table says, however it is spelled."""

from __future__ import annotations

from hpack import Encoder
from hpack.struct import NeverIndexedHeaderTuple
from hypothesis import given
from hypothesis import strategies as st

from channels.http2.headers import AnswerReader

LOCATIONS = st.text("abcdefghijklmnopqrstuvwxyz0123456789-._~/:", max_size=80).map(str.encode)
STATUSES = st.sampled_from([b"200", b"201", b"202", b"204", b"210", b"301", b"410", b"429", b"503"])


@given(STATUSES, LOCATIONS, st.booleans(), st.booleans())
def test_both_ways_say_the_same_status(status: bytes, location: bytes, huffman: bool, never_indexed: bool) -> None:
    first = NeverIndexedHeaderTuple(b":status", status) if never_indexed else (b":status", status)
    encoder = Encoder()
    encoder.header_table_size = 0
    encoder.encode([])  # the size update goes with the first block
    block = encoder.encode([first, (b"location", location)], huffman=huffman)
    stateless, with_table = AnswerReader(is_stateless=True).read(block), AnswerReader(is_stateless=False).read(block)
    assert stateless.status == with_table.status == int(status)
    assert stateless.get(b"location") == with_table.get(b"location") == location


def test_with_a_table_in_use_everything_is_decoded() -> None:
    encoder, reader = Encoder(), AnswerReader(is_stateless=False)
    headers = ((b":status", b"201"), (b"location", b"/a"))
    assert tuple(reader.read(encoder.encode(headers))) == headers
    assert tuple(reader.read(encoder.encode(headers))) == headers
