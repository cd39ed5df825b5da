"""Any bytes and any order of frames: nothing but ProtocolError, one end a request, bounded memory, and the fast way
reads what a naive reader reads."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import hpack
from hypothesis import given, settings
from hypothesis import strategies as st

from channels.http2 import frames
from channels.http2.fields import HEADER_LIST_BYTES_MAX
from channels.http2.frames import END_HEADERS, END_STREAM, ErrorCode, ProtocolError
from channels.http2.session import ANSWER_BODY_BYTES_MAX, Limits
from tests.http2.ends import ANSWER_BY, BAD_BLOCK, OK_BLOCK, Ends, data, headers, statuses
from tests.http2.test_pieces import TRANSCRIPT

REQUESTS = 6
STREAMS = st.sampled_from([0, 1, 1, 3, 5, 7, 9, 11, 2, 13, 99, frames.STREAM_MAX])
BLOCKS = st.sampled_from(
    [OK_BLOCK, BAD_BLOCK, b"\x08\x03410", b"", b"\x88\x00\x01a\x01b", b"\x20\x88", b"\xbe", b"\xff"]
)
WORDS = st.sampled_from([bytes(4), b"\0\0\0\x07", b"\0\0\0\x01", b"\x7f\xff\xff\xff", b"\xff\xff\xff\xff"])
SETTINGS = st.lists(
    st.tuples(st.integers(0, 8), st.sampled_from([0, 1, 5, 100, 16_384, 65_535, 2**31 - 1, 2**31])), max_size=4
)
FLAGS = st.sampled_from([0, 1, 4, 5, 8, 9, 13, 0x20, 0x25, 0xFF])
FRAMES = st.one_of(
    st.builds(headers, STREAMS, BLOCKS, FLAGS),
    st.builds(headers, STREAMS, BLOCKS),
    st.builds(data, STREAMS, st.binary(max_size=40), FLAGS),
    st.builds(frames.frame, st.just(frames.CONTINUATION), FLAGS, STREAMS, BLOCKS),
    st.builds(frames.settings, SETTINGS),
    st.builds(frames.frame, st.sampled_from([frames.RST_STREAM, frames.WINDOW_UPDATE]), st.just(0), STREAMS, WORDS),
    st.builds(frames.goaway, STREAMS, st.sampled_from([ErrorCode.NO_ERROR, ErrorCode.ENHANCE_YOUR_CALM])),
    st.builds(frames.frame, st.just(frames.PING), FLAGS, st.just(0), st.just(bytes(8))),
    st.builds(frames.frame, st.integers(0, 12), st.integers(0, 255), STREAMS, st.binary(max_size=20)),
)
CUTS = st.lists(st.integers(0, 5_000), max_size=8)


class Heard:
    """What became of a connection with six requests after it had heard something.

    `has_waiting`: the body of the fifth waits for a window; while one does, all is read the plain way.
    """

    def __init__(self, pieces: Sequence[bytes], limits: Limits | None = None, *, has_waiting: bool = False) -> None:
        self.ends = Ends({frames.INITIAL_WINDOW_SIZE: 20 if has_waiting else 100}, limits, holds_windows=True)
        self.job = self.ends.job(REQUESTS, [b"short"] * 4 + [b"a body beyond its window"] + [b"short"])
        self.ends.exchange()
        self.code = ""
        self.said = b""
        try:
            for piece in pieces:
                self.ends.session.receive(piece)
        except ProtocolError as error:
            self.code = error.code.name
        self.said = self.ends.session.take_output()

    @property
    def summary(self) -> object:
        session = self.ends.session
        return self.code, self.job.results, sorted(self.job.pending), session.is_draining, session.in_flight, self.said

    def end(self) -> None:
        """Lose the connection and let the time pass: now every request has exactly one end."""
        self.ends.session.lost("connection_broken")
        assert self.job.left == sum(stop - start for start, stop in self.job.pending)
        self.ends.queue.expire(ANSWER_BY)
        assert None not in self.job.results
        assert self.ends.finished == 1
        assert (self.ends.session.in_flight, self.job.left, len(self.job.results)) == (0, 0, REQUESTS)


def cut(stream: bytes, at: list[int]) -> list[bytes]:
    edges = sorted({0, len(stream), *(one % (len(stream) + 1) for one in at)})
    return [stream[start:stop] for start, stop in itertools.pairwise(edges)]


@settings(max_examples=250, deadline=None)
@given(pieces=st.lists(FRAMES, max_size=15), at=CUTS, is_stateless=st.booleans(), has_waiting=st.booleans())
def test_frames_in_any_order_and_any_cut_give_each_request_one_end_and_the_fast_way_reads_no_other(
    pieces: list[bytes], at: list[int], is_stateless: bool, has_waiting: bool
) -> None:
    whole = b"".join(pieces)
    plain = Heard([whole], Limits(is_stateless=is_stateless, is_fast=False), has_waiting=has_waiting)
    fast = Heard(cut(whole, at), Limits(is_stateless=is_stateless), has_waiting=has_waiting)
    assert fast.summary == plain.summary
    fast.end()
    plain.end()


@settings(max_examples=200, deadline=None)
@given(at=CUTS, edits=st.lists(st.tuples(st.integers(0, len(TRANSCRIPT) - 1), st.binary(max_size=3)), max_size=6))
def test_a_right_transcript_with_bytes_changed_lost_or_added_is_survived(
    at: list[int], edits: list[tuple[int, bytes]]
) -> None:
    changed = bytearray(TRANSCRIPT)
    for place, replacement in edits:
        changed[place : place + 1] = replacement
    heard = Heard(cut(bytes(changed), at))
    heard.end()


@settings(max_examples=150, deadline=None)
@given(noise=st.lists(st.binary(max_size=80), max_size=6))
def test_bytes_that_are_no_frames_end_the_connection_at_worst(noise: list[bytes]) -> None:
    heard = Heard(noise)
    heard.end()


ANSWERS = st.lists(
    st.tuples(st.sampled_from([200, 200, 200, 410, 503]), st.binary(max_size=30), st.sampled_from([1, 2, 3])),
    max_size=9,
)


@settings(deadline=None)
@given(answers=ANSWERS, order=st.randoms(use_true_random=False), at=CUTS)
def test_the_fast_way_reads_what_a_naive_reader_reads(
    answers: list[tuple[int, bytes, int]], order: object, at: list[int]
) -> None:
    """A server's well-formed answers, in any order, against h2's own idea of a client's view: a dict by stream."""
    encoder = hpack.Encoder()
    encoder.header_table_size = 0
    by_stream: dict[int, tuple[int, bytes]] = {}
    pieces: list[bytes] = []
    for index, (status, body, parts) in enumerate(answers):
        stream = 2 * index + 1
        block = encoder.encode([(":status", str(status)), ("apns-id", str(index))])
        by_stream[stream] = (status, body)
        step = max(1, -(-len(body) // parts))
        chunks = [body[start : start + step] for start in range(0, len(body), step)]
        last = END_STREAM if not chunks else 0
        piece = headers(stream, block, END_HEADERS | last)
        piece += b"".join(data(stream, c, END_STREAM if n == len(chunks) else 0) for n, c in enumerate(chunks, 1))
        pieces.append(piece)
    order.shuffle(pieces)  # type: ignore[attr-defined]
    ends = Ends()
    job = ends.job(len(answers))
    ends.exchange()
    for piece in cut(b"".join(pieces), at):
        ends.raw(piece)
    read = [(one.status, one.body) for one in job.results]  # type: ignore[union-attr]
    assert read == [by_stream[2 * index + 1] for index in range(len(answers))]


def kept_bytes(ends: Ends) -> int:
    """What a session holds on to for its peer."""
    session = ends.session
    answers = sum(len(answer.body) for answer in session.streams.opened.values())
    return answers + len(session._rest) + len(session._gathering._block) + sum(map(len, session.sending.output))


@settings(max_examples=60, deadline=None)
@given(piece=FRAMES, times=st.integers(1, 3_000))
def test_no_frame_repeated_makes_a_connection_keep_more_than_its_bounds(piece: bytes, times: int) -> None:
    ends = Ends()
    job = ends.job(3)
    ends.exchange()
    try:
        for _ in range(0, times, 100):
            ends.raw(piece * 100)
            ends.session.take_output()
    except ProtocolError:
        pass
    assert kept_bytes(ends) <= 3 * (ANSWER_BODY_BYTES_MAX + 100) + HEADER_LIST_BYTES_MAX + 2 * frames.FRAME_BYTES_MAX
    assert len(statuses(job.results)) == 3
