"""One transcript with an answer in every shape, cut at every byte, and read by the fast and the plain way alike."""

from __future__ import annotations

import hpack
import pytest

from channels.http2 import frames
from channels.http2.frames import END_HEADERS, END_STREAM, PADDED, WITH_PRIORITY, ErrorCode
from channels.http2.jobs import Result
from channels.http2.session import Limits
from tests.http2.ends import ANSWER_BY, BAD_BLOCK, OK_BLOCK, Ends, data, headers, statuses

ENCODER = hpack.Encoder()
ENCODER.header_table_size = 0
GONE = ENCODER.encode([(":status", "410"), ("apns-id", "x"), ("content-type", "application/json")])
EARLY = ENCODER.encode([(":status", "103")])
TRAILERS = ENCODER.encode([("grpc-status", "0")])
WHOLE = END_HEADERS | END_STREAM

TRANSCRIPT = b"".join(
    [
        headers(1),
        frames.frame(frames.PING, 0, 0, b"01234567"),
        headers(3, OK_BLOCK, END_HEADERS) + data(3, b'{"name":"a"}', END_STREAM),
        headers(5, GONE, END_HEADERS) + data(5, b'{"reason"') + data(5, b':"Unregistered"}', END_STREAM),
        frames.settings([(frames.MAX_CONCURRENT_STREAMS, 50), (frames.INITIAL_WINDOW_SIZE, 100)]),
        headers(7, EARLY, END_HEADERS) + headers(7, b"\x02\x88\0\0", WHOLE | PADDED),
        headers(9, GONE[:3], 0)
        + frames.frame(frames.CONTINUATION, 0, 9, GONE[3:4])
        + frames.frame(frames.CONTINUATION, 0, 9)
        + frames.frame(frames.CONTINUATION, END_HEADERS, 9, GONE[4:])
        + data(9, b"\x03{}\0\0\0", END_STREAM | PADDED),
        frames.window_update(0, 1000) + frames.window_update(13, 5),
        headers(11, b"\0\0\0\0\x10" + BAD_BLOCK, WHOLE | WITH_PRIORITY),
        headers(13, OK_BLOCK, END_HEADERS) + data(13) + headers(13, TRAILERS),
        frames.rst_stream(15, ErrorCode.INTERNAL_ERROR),
        frames.frame(77, 1, 3, b"unknown"),
        headers(17, OK_BLOCK, END_HEADERS) + data(17, b"", END_STREAM),
        frames.goaway(19, ErrorCode.NO_ERROR),
        headers(19),
    ]
)
EXPECTED = [200, 200, 410, 200, 410, 400, 200, "reset_internal_error", 200, 200, None]


def read(pieces: list[bytes], *, is_fast: bool) -> tuple[list[Result | None], bytes, list[tuple[int, int]]]:
    """Hear pieces with 11 requests in flight; what became of them, what we said, and what goes out again."""
    ends = Ends(limits=Limits(is_fast=is_fast))
    job = ends.job(11)
    ends.exchange()
    said = b""
    for piece in pieces:
        ends.raw(piece)
        said += ends.session.take_output()
    return job.results, said, list(job.pending)


WANTED = read([TRANSCRIPT], is_fast=False)


def test_the_transcript_gives_what_it_says() -> None:
    results, said, again = WANTED
    assert statuses(results) == EXPECTED
    assert [getattr(one, "body", b"") for one in results] == [
        b"", b'{"name":"a"}', b'{"reason":"Unregistered"}', b"", b"{}", b"", b"", b"", b"", b"", b"",
    ]  # fmt: skip
    assert again == [(10, 11)]  # above the last stream of GOAWAY
    assert said == frames.frame(frames.PING, frames.ACK, 0, b"01234567") + frames.settings_ack()


@pytest.mark.parametrize("is_fast", [True, False], ids=["fast", "plain"])
def test_cut_in_two_at_every_byte_it_gives_the_same(is_fast: bool) -> None:
    for at in range(1, len(TRANSCRIPT)):
        assert read([TRANSCRIPT[:at], TRANSCRIPT[at:]], is_fast=is_fast) == WANTED, at


@pytest.mark.parametrize("is_fast", [True, False], ids=["fast", "plain"])
@pytest.mark.parametrize("size", [1, 2, 3, 5, 8, 9, 10, 13, 64])
def test_cut_into_pieces_of_any_size_it_gives_the_same(size: int, is_fast: bool) -> None:
    pieces = [TRANSCRIPT[at : at + size] for at in range(0, len(TRANSCRIPT), size)]
    assert read(pieces, is_fast=is_fast) == WANTED


def test_broken_off_at_every_byte_each_request_has_one_end_or_goes_out_again() -> None:
    for at in range(len(TRANSCRIPT)):
        ends = Ends()
        job = ends.job(11)
        ends.exchange()
        ends.raw(TRANSCRIPT[:at])
        ends.session.lost("connection_broken")
        again = sum(stop - start for start, stop in job.pending)
        assert sum(result is not None for result in job.results) + again == 11
        assert job.left == again
        ends.queue.expire(ANSWER_BY)
        assert ends.finished == 1
