"""RFC 9113 sections 4, 6, 8.4 and 10.5: malformed frames, what must be ignored, and floods."""

from __future__ import annotations

import hpack
import pytest

from channels.http2 import frames
from channels.http2.fields import HEADER_LIST_BYTES_MAX
from channels.http2.flood import REPLIES_MAX, USELESS_FRAMES_MAX
from channels.http2.frames import END_HEADERS, ErrorCode, ProtocolError
from channels.http2.session import Limits
from tests.http2.ends import OK_BLOCK, Ends, data, headers, in_flight, statuses

BAD_SIZE, BROKEN, FLOW, CALM, COMPRESSION = (
    ErrorCode.FRAME_SIZE_ERROR,
    ErrorCode.PROTOCOL_ERROR,
    ErrorCode.FLOW_CONTROL_ERROR,
    ErrorCode.ENHANCE_YOUR_CALM,
    ErrorCode.COMPRESSION_ERROR,
)
PING = frames.frame(frames.PING, 0, 0, bytes(8))

MALFORMED = [
    *((f"4.2 a frame of type {kind}, longer than we allow", frames.HEAD.pack(16_385 << 8 | kind, 0, 1), BAD_SIZE)
      for kind in (*range(10), 77)),
    ("6.1 DATA on stream 0", data(0, b"x"), BROKEN),
    ("6.1 DATA with more padding than frame", data(1, b"\x03ab", frames.PADDED), BROKEN),
    ("6.1 DATA padded and empty", data(1, b"", frames.PADDED), BAD_SIZE),
    ("6.2 HEADERS on stream 0", headers(0), BROKEN),
    ("6.2 HEADERS with more padding than frame", headers(1, b"\x09\x88", END_HEADERS | frames.PADDED), BROKEN),
    ("6.2 HEADERS too short for their priority", headers(1, b"\x88", END_HEADERS | frames.WITH_PRIORITY), BROKEN),
    ("6.3 PRIORITY on stream 0", frames.frame(frames.PRIORITY, 0, 0, bytes(5)), BROKEN),
    ("6.3 PRIORITY of 4 bytes", frames.frame(frames.PRIORITY, 0, 1, bytes(4)), BAD_SIZE),
    ("6.4 RST_STREAM on stream 0", frames.frame(frames.RST_STREAM, 0, 0, bytes(4)), BROKEN),
    ("6.4 RST_STREAM of 3 bytes", frames.frame(frames.RST_STREAM, 0, 1, bytes(3)), BAD_SIZE),
    ("6.4 RST_STREAM of 5 bytes", frames.frame(frames.RST_STREAM, 0, 1, bytes(5)), BAD_SIZE),
    ("6.5 SETTINGS on a stream", frames.frame(frames.SETTINGS, 0, 1), BROKEN),
    ("6.5 SETTINGS of 5 bytes", frames.frame(frames.SETTINGS, 0, 0, bytes(5)), BAD_SIZE),
    ("6.5 an acknowledgement with content", frames.frame(frames.SETTINGS, frames.ACK, 0, bytes(6)), BAD_SIZE),
    ("6.5.2 ENABLE_PUSH of 1", frames.settings([(frames.ENABLE_PUSH, 1)]), BROKEN),
    ("6.5.2 ENABLE_PUSH of 2", frames.settings([(frames.ENABLE_PUSH, 2)]), BROKEN),
    ("6.5.2 a first window of 2^31", frames.settings([(frames.INITIAL_WINDOW_SIZE, 1 << 31)]), FLOW),
    ("6.5.2 a frame size below 2^14", frames.settings([(frames.MAX_FRAME_SIZE, 16_383)]), BROKEN),
    ("6.5.2 a frame size above 2^24 - 1", frames.settings([(frames.MAX_FRAME_SIZE, 1 << 24)]), BROKEN),
    ("6.6 PUSH_PROMISE", frames.frame(frames.PUSH_PROMISE, END_HEADERS, 1, bytes(4) + OK_BLOCK), BROKEN),
    ("6.7 PING of 7 bytes", frames.frame(frames.PING, 0, 0, bytes(7)), BAD_SIZE),
    ("6.7 an acknowledgement of 9 bytes", frames.frame(frames.PING, frames.ACK, 0, bytes(9)), BAD_SIZE),
    ("6.7 PING on a stream", frames.frame(frames.PING, 0, 1, bytes(8)), BROKEN),
    ("6.8 GOAWAY of 7 bytes", frames.frame(frames.GOAWAY, 0, 0, bytes(7)), BAD_SIZE),
    ("6.8 GOAWAY on a stream", frames.frame(frames.GOAWAY, 0, 1, bytes(8)), BROKEN),
    ("6.9 WINDOW_UPDATE of 3 bytes", frames.frame(frames.WINDOW_UPDATE, 0, 0, bytes(3)), BAD_SIZE),
    ("6.9 the connection's window grows by nothing", frames.window_update(0, 0), BROKEN),
    ("6.9.1 the connection's window beyond 2^31 - 1", frames.window_update(0, frames.WINDOW_MAX), FLOW),
    ("6.10 CONTINUATION by itself", frames.frame(frames.CONTINUATION, END_HEADERS, 1, OK_BLOCK), BROKEN),
    ("6.10 CONTINUATION after a finished block",
     headers(1) + frames.frame(frames.CONTINUATION, END_HEADERS, 1, OK_BLOCK), BROKEN),
    ("6.10 CONTINUATION on another stream",
     headers(1, OK_BLOCK, 0) + frames.frame(frames.CONTINUATION, END_HEADERS, 3, OK_BLOCK), BROKEN),
    *((f"6.10 a frame of type {kind} inside a header block",
       headers(1, OK_BLOCK, 0) + frames.frame(kind, 4, 1, OK_BLOCK), BROKEN) for kind in (*range(9), 77)),
    ("4.3 a header block that is no HPACK", headers(1, b"\xff\xff\xff\xff\xff\xff"), COMPRESSION),
    ("4.3 an entry of the table that we forbade", headers(1, b"\xbe"), COMPRESSION),
    ("4.3 a table larger than we allow", headers(1, b"\x3f\xe1\x1f\x88"), COMPRESSION),
    ("4.3 a header name cut off", headers(1, b"\x00\x05ab"), COMPRESSION),
]  # fmt: skip


@pytest.mark.parametrize("is_fast", [True, False], ids=["fast", "plain"])
@pytest.mark.parametrize(("bad", "code"), [row[1:] for row in MALFORMED], ids=[row[0] for row in MALFORMED])
def test_a_broken_rule_ends_the_connection_with_the_code_of_the_rfc(bad: bytes, code: ErrorCode, is_fast: bool) -> None:
    ends, job = in_flight(2, Limits(is_fast=is_fast))
    with pytest.raises(ProtocolError) as caught:
        ends.raw(headers(3), bad)
    assert caught.value.code is code
    assert statuses(job.results)[1] == 200  # what came before it counts
    ends.session.close(caught.value.code)
    (goaway,) = ends.said()
    assert (goaway.kind, goaway.payload) == (frames.GOAWAY, bytes(7) + bytes([code]))


IGNORED = [
    ("4.1 an unknown type", frames.frame(77, 0xFF, 1, b"?")),
    ("4.1 an unknown type on a stream never opened", frames.frame(200, 0, 1234, b"")),
    ("4.1 flags that no RFC names", frames.frame(frames.PING, 0xF0 | frames.ACK, 0, bytes(8))),
    ("4.1 the reserved bit of a stream", headers(0x8000_0001)),
    ("5.3.2 PRIORITY", frames.frame(frames.PRIORITY, 0, 1, bytes(5))),
    ("5.3.2 PRIORITY on a stream never opened", frames.frame(frames.PRIORITY, 0, 99, bytes(5))),
    ("6.5.2 an unknown setting", frames.settings([(0x99, 7), (0xFFFF, 1 << 31)])),
    ("6.5.2 push switched off", frames.settings([(frames.ENABLE_PUSH, 0)])),
    ("6.7 the acknowledgement of a PING that we did not send", frames.frame(frames.PING, frames.ACK, 0, b"notours!")),
    ("7 GOAWAY-like debug data", frames.frame(78, 0, 0, b'{"reason":"x"}')),
    ("6.8 an ALTSVC frame (RFC 7838)", frames.frame(10, 0, 0, b"\x00\x00")),
]


@pytest.mark.parametrize("extra", [row[1] for row in IGNORED], ids=[row[0] for row in IGNORED])
def test_what_must_be_ignored_is_ignored(extra: bytes) -> None:
    ends, job = in_flight(1)
    ends.raw(extra, extra, headers(1))
    assert statuses(job.results) == [200]
    assert not ends.session.is_draining


FLOODS = [
    ("PING", PING),
    ("SETTINGS", frames.settings([])),
    ("SETTINGS full of table sizes", frames.settings([(frames.HEADER_TABLE_SIZE, n) for n in range(20)])),
    ("acknowledgements of SETTINGS", frames.settings_ack()),
    ("acknowledgements of PING", frames.frame(frames.PING, frames.ACK, 0, bytes(8))),
    ("empty DATA", data(1)),
    ("padding", data(1, b"\x05" + bytes(5), frames.PADDED)),
    ("DATA on a closed stream", data(3)),
    ("RST_STREAM on a closed stream", frames.rst_stream(3, ErrorCode.CANCEL)),
    ("PRIORITY", frames.frame(frames.PRIORITY, 0, 1, bytes(5))),
    ("WINDOW_UPDATE", frames.window_update(1, 1)),
    ("an unknown type", frames.frame(77, 0, 0)),
    ("informational answers", headers(5, hpack.Encoder().encode([(":status", "100")]), END_HEADERS)),
    ("GOAWAY of the largest number", frames.goaway(frames.STREAM_MAX, ErrorCode.NO_ERROR)),
]


@pytest.mark.parametrize("piece", [row[1] for row in FLOODS], ids=[row[0] for row in FLOODS])
def test_10_5_a_flood_of_frames_that_answer_nothing_ends_the_connection(piece: bytes) -> None:
    ends, _ = in_flight(3)
    ends.raw(headers(3), headers(1, OK_BLOCK, END_HEADERS))
    for _ in range(USELESS_FRAMES_MAX // 100 - 1):
        ends.raw(piece * 100)
        ends.said()  # our replies leave at once: it is the work that counts
    with pytest.raises(ProtocolError) as caught:
        ends.raw(piece * 101)
    assert caught.value.code is CALM


@pytest.mark.parametrize("piece", [row[1] for row in FLOODS[:2]], ids=[row[0] for row in FLOODS[:2]])
def test_10_5_replies_that_nobody_reads_do_not_pile_up(piece: bytes) -> None:
    ends, _ = in_flight(2)
    for stream in range(1, 2 * REPLIES_MAX, 2):  # a peer that answers all the while
        if not ends.session.in_flight:
            ends.job(1)
            ends.session.fill(ends.queue)
        ends.raw(piece, headers(stream))
    with pytest.raises(ProtocolError) as caught:
        ends.raw(piece)
    assert caught.value.code is CALM
    replies = [one for one in ends.said() if one.flags & frames.ACK and one.stream == 0]
    assert len(replies) == REPLIES_MAX


def test_10_5_a_connection_that_answers_or_takes_its_time_is_no_flood() -> None:
    ends, _ = in_flight(1)
    ends.answer(1)
    busy = ends.job(10)
    ends.exchange()
    for stream in range(3, 23, 2):
        ends.raw(PING * (USELESS_FRAMES_MAX // 2), headers(stream))
        ends.said()
    assert statuses(busy.results) == [200] * 10
    for second in range(10):  # an idle day of PING, in short
        ends.raw(PING * (USELESS_FRAMES_MAX // 2))
        ends.said()
        ends.session.expire(1.0 + 2 * second)


@pytest.mark.parametrize("size", [0, 1, 100, 16_384])
def test_10_5_a_header_block_without_end_is_given_up(size: int) -> None:
    ends, _ = in_flight(1)
    ends.raw(headers(1, bytes(size), 0))
    more = frames.frame(frames.CONTINUATION, 0, 1, bytes(size))
    with pytest.raises(ProtocolError) as caught:
        ends.raw(more * USELESS_FRAMES_MAX)
    assert caught.value.code is CALM


def test_10_5_1_a_header_list_too_large_is_no_compression_error() -> None:
    """That one would make every later connection read answers the slow way."""
    encoder = hpack.Encoder()
    encoder.header_table_size = 0
    fields = [(":status", "400"), *((f"x-{index}", "y" * 1000) for index in range(HEADER_LIST_BYTES_MAX // 1000 + 5))]
    block = encoder.encode(fields, huffman=False)
    pieces = [block[start : start + 16_000] for start in range(0, len(block), 16_000)]
    ends, _ = in_flight(1)
    ends.raw(headers(1, pieces[0], 0), *(frames.frame(frames.CONTINUATION, 0, 1, piece) for piece in pieces[1:-1]))
    with pytest.raises(ProtocolError) as caught:
        ends.raw(frames.frame(frames.CONTINUATION, END_HEADERS, 1, pieces[-1]))
    assert caught.value.code is CALM


def test_10_5_1_a_small_block_that_unfolds_to_a_large_list_is_given_up() -> None:
    ends = Ends(limits=Limits(is_stateless=False))
    ends.job(1)
    ends.exchange()
    first = hpack.Encoder().encode([(":status", "200"), ("x", "y" * 3000)], huffman=False)
    with pytest.raises(ProtocolError) as caught:
        ends.raw(headers(1, first + b"\xbe" * 100))
    assert caught.value.code is CALM
