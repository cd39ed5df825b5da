"""The pure half of the sender: whatever a peer writes, however it is cut, streams are settled once and alike."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import hpack
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from channels.http2 import frames
from channels.http2.flood import USELESS_FRAMES_MAX
from channels.http2.frames import ErrorCode, ProtocolError
from channels.http2.headers import HeaderWriter, Template
from channels.http2.jobs import Answer, Failure, FailureKind, Job, Queue, Requests, Result
from channels.http2.session import RECEIVE_WINDOW_BYTES, Limits, Session

TEMPLATE = Template(b"/3/device/", indexed=((b"apns-topic", b"dk.klokke"),), value_name=b"apns-id", value_bytes=4)
START = frames.settings([(frames.MAX_CONCURRENT_STREAMS, 100)])


def a_session(count: int, *, is_fast: bool = True, body: bytes = b"{}") -> tuple[Session, Job, Queue]:
    """A session with `count` requests in flight, on streams 1, 3, 5..."""
    session, queue = Session(b"localhost", Limits(is_fast=is_fast)), Queue()
    session.open()
    session.receive(START)
    columns = [b"%02x" % index for index in range(count)]
    job = Job(Requests(TEMPLATE, count, columns, [b"id" + c for c in columns], body), queue, 1.0, 2.0, lambda: None)
    queue.join(job)
    session.fill(queue)
    session.take_output()
    return session, job, queue


Style = tuple[int, bytes, int]
STYLES = st.tuples(
    st.sampled_from([200, 200, 200, 400, 410, 503]), st.binary(max_size=40), st.integers(min_value=0, max_value=6)
)


def answered(stream: int, style: Style, encoder: hpack.Encoder) -> bytes:
    """One answer in one of the shapes that the RFC allows."""
    status, body, shape = style
    block = encoder.encode([(":status", str(status)), ("apns-id", "x" * (shape + 1))])
    head = frames.frame(frames.HEADERS, frames.END_HEADERS, stream, block)
    if shape == 0:
        return frames.frame(frames.HEADERS, frames.END_HEADERS | frames.END_STREAM, stream, block)
    if shape == 1:
        return head + frames.frame(frames.DATA, frames.END_STREAM, stream, body)
    if shape == 2:
        padded = b"\x05" + body + bytes(5)
        return head + frames.frame(frames.DATA, frames.END_STREAM | frames.PADDED, stream, padded)
    if shape == 3:
        parts = [body[:7], body[7:]]
        return (
            head
            + frames.frame(frames.DATA, 0, stream, parts[0])
            + frames.frame(frames.DATA, frames.END_STREAM, stream, parts[1])
        )
    if shape == 4:
        first = frames.frame(frames.HEADERS, frames.END_STREAM, stream, block[:1])
        return first + frames.frame(frames.CONTINUATION, frames.END_HEADERS, stream, block[1:])
    if shape == 5:
        padded = b"\x03\x00\x00\x00\x00\x10" + block + bytes(3)
        flags = frames.END_HEADERS | frames.END_STREAM | frames.PADDED | frames.WITH_PRIORITY
        return frames.frame(frames.HEADERS, flags, stream, padded)
    trailers = encoder.encode([("grpc-status", "0")])
    return (
        head
        + frames.frame(frames.DATA, 0, stream, body)
        + frames.frame(frames.HEADERS, frames.END_HEADERS | frames.END_STREAM, stream, trailers)
    )


def peer_bytes(styles: Sequence[Style]) -> tuple[bytes, list[tuple[int, bytes]]]:
    encoder = hpack.Encoder()
    encoder.header_table_size = 0
    data = b"".join(answered(2 * index + 1, style, encoder) for index, style in enumerate(styles))
    bodies = [(status, b"" if shape in (0, 4, 5) else body) for status, body, shape in styles]
    return data, bodies


def seen(results: Sequence[Result | None]) -> list[tuple[int, bytes]]:
    return [(one.status, one.body) for one in results if isinstance(one, Answer)]


@given(styles=st.lists(STYLES, min_size=1, max_size=12), cuts=st.lists(st.integers(0, 2000), max_size=6))
def test_the_fast_way_and_the_plain_way_read_the_same_answers_however_they_are_cut(
    styles: list[Style], cuts: list[int]
) -> None:
    data, expected = peer_bytes(styles)
    edges = sorted({0, len(data), *(cut % len(data) for cut in cuts)})
    for is_fast in (True, False):
        session, job, _ = a_session(len(styles), is_fast=is_fast)
        for start, stop in itertools.pairwise(edges):
            session.receive(data[start:stop])
        assert seen(job.results) == expected
        assert session.in_flight == 0
        assert job.left == 0


@given(styles=st.lists(STYLES, min_size=1, max_size=5))
def test_answers_split_at_every_byte_give_the_same(styles: list[Style]) -> None:
    data, expected = peer_bytes(styles)
    session, job, _ = a_session(len(styles))
    for at in range(len(data)):
        session.receive(data[at : at + 1])
    assert seen(job.results) == expected


@settings(max_examples=150)
@given(st.lists(st.binary(max_size=60), max_size=5))
def test_random_bytes_never_do_more_than_end_the_connection(pieces: list[bytes]) -> None:
    session, job, _ = a_session(3)
    try:
        for piece in pieces:
            session.receive(piece)
    except ProtocolError as error:
        session.close(error.code)
    session.lost("connection_broken")
    assert all(result is not None for result in job.results) or job.pending
    assert session.in_flight == 0


FRAMES = st.builds(
    frames.frame,
    st.integers(0, 11),
    st.integers(0, 255),
    st.sampled_from([0, 1, 2, 3, 5, 7, 9]),
    st.one_of(
        st.binary(max_size=12), st.sampled_from([b"\x88", b"\x8c", b"\x00\x00\x00\x01", b"\x00\x00\x00\x07", bytes(8)])
    ),
)


@settings(max_examples=250)
@given(st.lists(FRAMES, max_size=12))
def test_random_frames_settle_every_stream_once_and_alike_in_both_ways(pieces: list[bytes]) -> None:
    ends: list[object] = []
    for is_fast in (True, False):
        session, job, _ = a_session(4, is_fast=is_fast)
        ended = ""
        try:
            session.receive(b"".join(pieces))
        except ProtocolError as error:
            ended = error.code.name
        ends.append((ended, job.results, session.in_flight, sorted(job.pending), session.is_draining))
    assert ends[0] == ends[1]


BROKEN = [
    ("a frame longer than announced", frames.HEAD.pack(16_385 << 8, 0, 1), ErrorCode.FRAME_SIZE_ERROR),
    ("DATA on stream 0", frames.frame(frames.DATA, 0, 0, b"x"), ErrorCode.PROTOCOL_ERROR),
    ("HEADERS on a stream never opened", frames.frame(frames.HEADERS, 5, 99, b"\x88"), ErrorCode.PROTOCOL_ERROR),
    ("HEADERS on a server's stream", frames.frame(frames.HEADERS, 5, 2, b"\x88"), ErrorCode.PROTOCOL_ERROR),
    ("padding longer than the frame", frames.frame(frames.DATA, 8, 1, b"\x09ab"), ErrorCode.PROTOCOL_ERROR),
    ("padded and empty", frames.frame(frames.DATA, 8, 1), ErrorCode.FRAME_SIZE_ERROR),
    ("CONTINUATION alone", frames.frame(frames.CONTINUATION, 4, 1, b"\x88"), ErrorCode.PROTOCOL_ERROR),
    (
        "a header block broken off",
        frames.frame(frames.HEADERS, 0, 1, b"\x88") + frames.frame(frames.PING, 0, 0, bytes(8)),
        ErrorCode.PROTOCOL_ERROR,
    ),
    ("headers that are no HPACK", frames.frame(frames.HEADERS, 4, 1, b"\xff\xff\xff"), ErrorCode.COMPRESSION_ERROR),
    ("an entry of a table we forbade", frames.frame(frames.HEADERS, 4, 1, b"\xbe"), ErrorCode.COMPRESSION_ERROR),
    ("PUSH_PROMISE", frames.frame(frames.PUSH_PROMISE, 4, 1, bytes(5)), ErrorCode.PROTOCOL_ERROR),
    ("SETTINGS of 5 bytes", frames.frame(frames.SETTINGS, 0, 0, bytes(5)), ErrorCode.FRAME_SIZE_ERROR),
    ("SETTINGS on a stream", frames.frame(frames.SETTINGS, 0, 1), ErrorCode.PROTOCOL_ERROR),
    (
        "an acknowledgement that says something",
        frames.frame(frames.SETTINGS, 1, 0, bytes(6)),
        ErrorCode.FRAME_SIZE_ERROR,
    ),
    ("push enabled", frames.settings([(frames.ENABLE_PUSH, 1)]), ErrorCode.PROTOCOL_ERROR),
    ("a window of 2^31", frames.settings([(frames.INITIAL_WINDOW_SIZE, 1 << 31)]), ErrorCode.FLOW_CONTROL_ERROR),
    ("a frame size of 1", frames.settings([(frames.MAX_FRAME_SIZE, 1)]), ErrorCode.PROTOCOL_ERROR),
    ("a window that grows by 0", frames.window_update(0, 0), ErrorCode.PROTOCOL_ERROR),
    ("a window beyond 2^31", frames.window_update(0, frames.WINDOW_MAX), ErrorCode.FLOW_CONTROL_ERROR),
    ("PING of 7 bytes", frames.frame(frames.PING, 0, 0, bytes(7)), ErrorCode.FRAME_SIZE_ERROR),
    ("GOAWAY of 4 bytes", frames.frame(frames.GOAWAY, 0, 0, bytes(4)), ErrorCode.FRAME_SIZE_ERROR),
    ("RST_STREAM of 3 bytes", frames.frame(frames.RST_STREAM, 0, 1, bytes(3)), ErrorCode.FRAME_SIZE_ERROR),
    ("RST_STREAM without a stream", frames.frame(frames.RST_STREAM, 0, 0, bytes(4)), ErrorCode.PROTOCOL_ERROR),
    (
        "a flood of PING",
        frames.frame(frames.PING, 0, 0, bytes(8)) * (USELESS_FRAMES_MAX + 1),
        ErrorCode.ENHANCE_YOUR_CALM,
    ),
    (
        "a header block without end",
        frames.frame(frames.HEADERS, 0, 1, bytes(16_000)) + frames.frame(frames.CONTINUATION, 0, 1, bytes(16_000)) * 5,
        ErrorCode.ENHANCE_YOUR_CALM,
    ),
]


@pytest.mark.parametrize(("data", "code"), [row[1:] for row in BROKEN], ids=[row[0] for row in BROKEN])
def test_a_broken_rule_ends_the_connection_with_the_code_of_the_rfc(data: bytes, code: ErrorCode) -> None:
    session, _, _ = a_session(2)
    with pytest.raises(ProtocolError) as caught:
        session.receive(data)
    assert caught.value.code is code


def test_what_the_rfc_tells_us_to_ignore_is_ignored() -> None:
    session, job, _ = a_session(1)
    session.receive(frames.frame(77, 0xFF, 5, b"?"))  # an unknown type
    session.receive(frames.frame(frames.PRIORITY, 0, 1, bytes(5)))
    session.receive(frames.settings([(0x99, 7)]))  # an unknown setting
    session.receive(frames.frame(frames.HEADERS, 5, 1, b"\x88"))
    session.receive(frames.frame(frames.DATA, 1, 1, b"late"))  # on a stream that has ended
    session.receive(frames.rst_stream(1, ErrorCode.NO_ERROR))
    assert seen(job.results) == [(200, b"")]


def test_an_informational_answer_is_waited_through() -> None:
    session, job, _ = a_session(1)
    encoder = hpack.Encoder()
    encoder.header_table_size = 0
    session.receive(frames.frame(frames.HEADERS, 4, 1, encoder.encode([(":status", "103")])))
    session.receive(frames.frame(frames.HEADERS, 5, 1, b"\x88"))
    assert seen(job.results) == [(200, b"")]


def test_an_answer_without_a_status_is_unknown_and_its_stream_is_reset() -> None:
    session, job, _ = a_session(1)
    session.receive(frames.frame(frames.HEADERS, 5, 1, b"\x00\x01a\x01b"))
    assert job.results == [Failure(FailureKind.UNKNOWN, "malformed_answer")]
    assert session.take_output() == frames.rst_stream(1, ErrorCode.PROTOCOL_ERROR)


def test_trailers_never_change_the_status() -> None:
    for is_fast in (True, False):
        session, job, _ = a_session(1, is_fast=is_fast)
        session.receive(frames.frame(frames.HEADERS, 4, 1, b"\x8c") + frames.frame(frames.HEADERS, 5, 1, b"\x88"))
        assert seen(job.results) == [(400, b"")]


def test_an_endless_answer_is_cut_off_and_its_status_counts() -> None:
    session, job, _ = a_session(1)
    session.receive(frames.frame(frames.HEADERS, 4, 1, b"\x8c"))  # :status 400
    for _ in range(4):
        session.receive(frames.frame(frames.DATA, 0, 1, bytes(16_000)))
    assert [status for status, _ in seen(job.results)] == [400]
    assert frames.rst_stream(1, ErrorCode.CANCEL) in session.take_output()


def test_the_window_we_grant_is_renewed_so_that_no_number_of_answers_exhausts_it() -> None:
    session, _, _ = a_session(1)
    granted = 0
    for _ in range(RECEIVE_WINDOW_BYTES // 16_000 + 1):
        session.receive(frames.frame(frames.DATA, 0, 1, bytes(16_000)))
        output = session.take_output()
        if output[-13:-4] == frames.window_update(0, 1)[:-4]:
            granted += int.from_bytes(output[-4:], "big")
    assert granted >= RECEIVE_WINDOW_BYTES // 2


def test_goaway_gives_back_the_streams_above_and_waits_for_those_below() -> None:
    session, job, queue = a_session(4)
    session.receive(frames.goaway(3, ErrorCode.NO_ERROR))
    assert list(job.pending) == [(2, 4)]
    assert session.in_flight == 2
    assert session.fill(queue) == 0
    session.receive(frames.frame(frames.HEADERS, 5, 1, b"\x88") + frames.frame(frames.HEADERS, 5, 3, b"\x88"))
    assert session.is_finished


def test_a_large_body_waits_for_the_windows_and_arrives_whole() -> None:
    session, queue = Session(b"localhost", Limits()), Queue()
    session.receive(frames.settings([(frames.INITIAL_WINDOW_SIZE, 10)]))
    session.take_output()
    body = bytes(range(25))
    queue.join(Job(Requests(TEMPLATE, 1, [b"aa"], [b"id00"], body), queue, 1.0, 2.0, lambda: None))
    session.fill(queue)
    parts = [session.take_output()]
    session.receive(frames.settings([(frames.INITIAL_WINDOW_SIZE, 5)]))  # the window is now -5: section 6.9.2
    parts.append(session.take_output())
    session.receive(frames.window_update(1, 10))
    parts.append(session.take_output())
    session.receive(frames.window_update(1, 100))
    parts.append(session.take_output())
    sent = [cut for part in parts for cut in all_frames(part) if cut.kind == frames.DATA]
    assert b"".join(one.payload for one in sent) == body
    assert [len(one.payload) for one in sent] == [10, 5, 10]
    assert [one.flags for one in sent] == [0, 0, frames.END_STREAM]


def all_frames(data: bytes) -> list[frames.Frame]:
    cut: list[frames.Frame] = []
    at = 0
    while at < len(data):
        one, at = frames.cut(data, at)
        assert one is not None
        cut.append(one)
    return cut


HEADER = st.tuples(st.sampled_from([b"apns-topic", b"apns-priority", b"x", b"authorization"]), st.binary(max_size=200))


@given(
    templates=st.lists(
        st.builds(
            Template,
            path=st.sampled_from([b"/3/device/", b"/v1/projects/p/messages:send"]),
            indexed=st.lists(HEADER, max_size=5).map(tuple),
            literal=st.lists(HEADER, max_size=3).map(tuple),
            value_name=st.just(b"apns-id"),
            value_bytes=st.just(4),
        ),
        min_size=1,
        max_size=8,
    ),
    sizes=st.lists(st.sampled_from([None, None, None, 0, 64, 300, 4096, 65_536]), min_size=16, max_size=16),
    ending=st.binary(max_size=300),
)
def test_an_independent_decoder_reads_our_headers_whatever_the_peers_table_size(
    templates: list[Template], sizes: list[int | None], ending: bytes
) -> None:
    writer, decoder = HeaderWriter(b"api.push.apple.com"), hpack.Decoder(max_header_list_size=1 << 20)
    for template, size in zip(templates * 2, sizes, strict=False):  # twice: a kept block must not outlive its indices
        if size is not None:
            writer.resize(size)
            decoder.max_allowed_table_size = size
        for _ in range(2):
            for block in writer.block(template):
                if block is not None:
                    data = block.start(len(ending))[1] + ending + block.tail + b"id00"
                    read = [(bytes(name), bytes(value)) for name, value in decoder.decode(data, raw=True)]
                    assert read[:4] == [
                        (b":method", b"POST"),
                        (b":scheme", b"https"),
                        (b":authority", b"api.push.apple.com"),
                        (b":path", template.path + ending),
                    ]
                    assert sorted(read[4:-1]) == sorted(template.indexed + template.literal)
                    assert read[-1] == (b"apns-id", b"id00")


@pytest.mark.parametrize("is_fast", [True, False])
def test_windows_of_streams_whose_bodies_have_gone_change_nothing(is_fast: bool) -> None:
    session, job, _ = a_session(3, is_fast=is_fast)
    encoder = hpack.Encoder()
    encoder.header_table_size = 0
    update = frames.window_update
    session.receive(
        update(1, 212) + update(3, 212) + answered(1, (200, b"", 0), encoder) + update(5, 2**31 - 1) + update(1, 7)
        + answered(3, (410, b"{}", 1), encoder) + update(0, 636) + update(3, 1) + answered(5, (200, b"", 0), encoder)
    )  # fmt: skip
    assert [result and result[0] for result in job.results] == [200, 410, 200]


@pytest.mark.parametrize("is_fast", [True, False])
def test_a_window_that_grows_by_nothing_resets_its_stream_and_one_of_an_unknown_stream_ends_all(is_fast: bool) -> None:
    session, job, _ = a_session(2, is_fast=is_fast)
    session.receive(frames.window_update(1, 5) + frames.window_update(3, 0))
    assert job.results == [None, Failure(FailureKind.UNKNOWN, "malformed_window")]
    with pytest.raises(ProtocolError, match="never opened"):
        session.receive(frames.window_update(1, 5) + frames.window_update(5, 5))
