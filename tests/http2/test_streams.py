"""RFC 9113 sections 5.1, 6.4, 6.7, 6.8 and 8.1: stream states, resets, GOAWAY, PING, and answers in every shape."""

from __future__ import annotations

import hpack
import pytest

from channels.http2 import frames
from channels.http2.frames import END_HEADERS, END_STREAM, STREAM_MAX, ErrorCode, ProtocolError
from channels.http2.jobs import RESENDS_MAX
from channels.http2.session import FILL_MAX, LAST_USABLE_STREAM, SILENT_MAX, Limits
from tests.http2.ends import (
    ANSWER_BY,
    BAD_BLOCK,
    OK_BLOCK,
    Ends,
    data,
    headers,
    in_flight,
    not_sent,
    statuses,
    unknown,
)

# --- section 6.4: RST_STREAM ---

RESETS = [(code, f"reset_{code.name.lower()}") for code in ErrorCode if code is not ErrorCode.REFUSED_STREAM]


@pytest.mark.parametrize(("code", "reason"), [*RESETS, (14, "reset_other"), (2**32 - 1, "reset_other")])
def test_6_4_a_reset_of_any_code_but_refused_is_unknown_and_touches_no_neighbour(code: int, reason: str) -> None:
    ends, job = in_flight(3)
    ends.raw(frames.rst_stream(3, code))  # type: ignore[arg-type]  # peers may send codes that no RFC names
    assert job.results == [None, unknown(reason), None]
    assert not ends.queue
    ends.raw(frames.rst_stream(3, code))  # type: ignore[arg-type]  # once more, on a stream that is closed: ignored
    ends.answer(1, 5)
    assert statuses(job.results) == [200, reason, 200]
    assert ends.finished == 1


def test_8_7_a_refused_stream_goes_out_again_on_a_new_stream_at_once_and_only_so_often() -> None:
    ends, job = in_flight(3)
    for stream in (3, 7, 9, 11):
        assert ends.paths[stream] == b"/3/device/t01"
        ends.server.reset_stream(stream, ErrorCode.REFUSED_STREAM)
        ends.exchange()
    assert RESENDS_MAX == 3
    ends.answer(1, 5)
    assert statuses(job.results) == [200, "refused_stream", 200]
    assert job.results[1] == not_sent("refused_stream")
    assert len(ends.paths) == 3 + RESENDS_MAX


def test_6_4_a_reset_after_the_status_keeps_the_status() -> None:
    for code in (ErrorCode.NO_ERROR, ErrorCode.REFUSED_STREAM, ErrorCode.CANCEL):
        ends, job = in_flight(1)
        ends.raw(headers(1, BAD_BLOCK, END_HEADERS), data(1, b"half"), frames.rst_stream(1, code))
        assert statuses(job.results) == [400]
        assert not ends.queue


def test_8_1_an_answer_before_the_body_was_sent_counts_and_the_rest_is_not_sent() -> None:
    ends = Ends({frames.INITIAL_WINDOW_SIZE: 4}, holds_windows=True)
    job = ends.job(2, b"a body")
    ends.exchange()
    ends.answer(1, status=413)
    assert statuses(job.results) == [413, None]
    assert ends.resets == {1: ErrorCode.CANCEL}
    ends.server.increment_flow_control_window(100, 3)
    ends.exchange()
    assert ends.bodies == {1: b"a bo", 3: b"a body"}


def test_8_1_a_server_that_answered_early_may_say_no_error_and_nothing_changes() -> None:
    ends = Ends({frames.INITIAL_WINDOW_SIZE: 4}, holds_windows=True)
    job = ends.job(1, b"a body")
    ends.exchange()
    ends.raw(headers(1, BAD_BLOCK), frames.rst_stream(1, ErrorCode.NO_ERROR))
    assert statuses(job.results) == [400]


# --- section 6.8: GOAWAY ---


@pytest.mark.parametrize("last", [0, 1, 5, 9])
@pytest.mark.parametrize("code", [ErrorCode.NO_ERROR, ErrorCode.ENHANCE_YOUR_CALM])
def test_6_8_streams_above_the_last_go_out_again_and_those_below_are_waited_for(last: int, code: ErrorCode) -> None:
    ends, job = in_flight(5)
    ends.raw(frames.goaway(last, code))
    below = [stream for stream in (1, 3, 5, 7, 9) if stream <= last]
    again = Ends()
    again.session.fill(ends.queue)
    sent = [one.stream for one in again.said() if one.kind == frames.HEADERS]
    assert len(sent) == 5 - len(below)
    assert ends.session.in_flight == len(below)
    ends.raw(*(headers(stream) for stream in below))
    again.raw(*(headers(stream) for stream in sent))
    assert statuses(job.results) == [200] * 5
    assert ends.session.is_finished
    assert ends.finished == 1


def test_6_8_a_graceful_goaway_of_the_largest_number_sends_nothing_again_and_the_second_names_the_rest() -> None:
    ends, job = in_flight(3)
    ends.raw(frames.goaway(STREAM_MAX, ErrorCode.NO_ERROR))
    assert (ends.session.room(), ends.session.in_flight, bool(ends.queue)) == (0, 3, False)
    ends.raw(frames.goaway(3, ErrorCode.NO_ERROR))
    assert list(job.pending) == [(2, 3)]
    ends.raw(frames.goaway(3, ErrorCode.NO_ERROR), frames.goaway(5, ErrorCode.NO_ERROR))  # more of it changes nothing
    assert list(job.pending) == [(2, 3)]
    ends.raw(headers(1), headers(3), headers(5))  # a late answer to what was given back is not heard
    assert statuses(job.results) == [200, 200, None]
    assert ends.session.is_finished


def test_6_8_a_push_whose_status_came_is_not_sent_again_whatever_goaway_says() -> None:
    ends, job = in_flight(2)
    ends.raw(headers(3, BAD_BLOCK, END_HEADERS), frames.goaway(0, ErrorCode.NO_ERROR))
    assert statuses(job.results) == [None, 400]
    assert list(job.pending) == [(0, 1)]


def test_6_8_a_body_under_way_below_the_last_stream_is_still_finished() -> None:
    ends = Ends({frames.INITIAL_WINDOW_SIZE: 3}, holds_windows=True)
    job = ends.job(1, b"a body")
    ends.exchange()
    ends.raw(frames.goaway(1, ErrorCode.NO_ERROR))
    ends.server.increment_flow_control_window(100, 1)
    ends.exchange()
    assert ends.bodies == {1: b"a body"}
    ends.answer(1)
    assert statuses(job.results) == [200]


def test_6_8_connections_that_go_away_one_after_the_other_send_a_push_a_few_times_at_most() -> None:
    ends, job = in_flight(1)
    for _ in range(RESENDS_MAX):
        ends.raw(frames.goaway(0, ErrorCode.NO_ERROR))
        after = Ends()
        after.queue, ends = ends.queue, after
        ends.exchange()
    ends.raw(frames.goaway(0, ErrorCode.NO_ERROR))
    assert job.results == [not_sent("goaway")]
    assert ends.paths == {1: b"/3/device/t00"}


# --- section 6.7: PING ---


def test_6_7_a_ping_is_answered_with_its_bytes_and_an_acknowledgement_with_nothing() -> None:
    ends, _ = in_flight(1)
    ends.raw(frames.frame(frames.PING, 0, 0, b"12345678"), frames.frame(frames.PING, frames.ACK, 0, b"87654321"))
    assert ends.said() == [frames.Frame(frames.PING, frames.ACK, 0, b"12345678")]


# --- sections 5.1 and 8.1: answers ---

ENCODER = hpack.Encoder()
ENCODER.header_table_size = 0
EARLY = ENCODER.encode([(":status", "103"), ("link", "</x>")])
REFUSED = ENCODER.encode([(":status", "410"), ("apns-id", "x")])
TRAILERS = ENCODER.encode([("grpc-status", "0")])

ANSWERS = [
    ("an informational answer first", [headers(1, EARLY, END_HEADERS), headers(1)], 200, None),
    ("many of them", [headers(1, EARLY, END_HEADERS)] * 50 + [headers(1, REFUSED)], 410, None),
    ("an informational answer that ends the stream", [headers(1, EARLY)], "malformed_answer", ErrorCode.PROTOCOL_ERROR),
    ("DATA after an informational answer", [headers(1, EARLY, END_HEADERS), data(1, b"x", END_STREAM)],
     "malformed_answer", ErrorCode.PROTOCOL_ERROR),
    ("DATA before the headers", [data(1, b"x", END_STREAM)], "malformed_answer", ErrorCode.PROTOCOL_ERROR),
    ("trailers", [headers(1, REFUSED, END_HEADERS), data(1, b"b"), headers(1, TRAILERS)], 410, None),
    ("trailers without a body", [headers(1, OK_BLOCK, END_HEADERS), headers(1, TRAILERS)], 200, None),
    ("trailers that do not end the stream", [headers(1, OK_BLOCK, END_HEADERS), headers(1, TRAILERS, END_HEADERS)],
     200, ErrorCode.PROTOCOL_ERROR),
    ("trailers that hold a status", [headers(1, REFUSED, END_HEADERS), headers(1, OK_BLOCK)], 410, None),
    ("no status", [headers(1, TRAILERS)], "malformed_answer", ErrorCode.PROTOCOL_ERROR),
    ("a status of two digits", [headers(1, ENCODER.encode([(":status", "20")]))], "malformed_answer",
     ErrorCode.PROTOCOL_ERROR),
    ("a status of letters", [headers(1, ENCODER.encode([(":status", "abc")]))], "malformed_answer",
     ErrorCode.PROTOCOL_ERROR),
    ("a status of 000", [headers(1, ENCODER.encode([(":status", "000")]), END_HEADERS)], "malformed_answer",
     ErrorCode.PROTOCOL_ERROR),
    ("a status of 999", [headers(1, ENCODER.encode([(":status", "999")]))], "malformed_answer",
     ErrorCode.PROTOCOL_ERROR),
    ("a status that is not first", [headers(1, ENCODER.encode([("a", "b"), (":status", "200")]))], "malformed_answer",
     ErrorCode.PROTOCOL_ERROR),
    ("an empty header block", [headers(1, b"")], "malformed_answer", ErrorCode.PROTOCOL_ERROR),
    ("an empty DATA at the end", [headers(1, REFUSED, END_HEADERS), data(1), data(1, b"", END_STREAM)], 410, None),
]  # fmt: skip


@pytest.mark.parametrize("is_fast", [True, False], ids=["fast", "plain"])
@pytest.mark.parametrize(("pieces", "status", "reset"), [row[1:] for row in ANSWERS], ids=[row[0] for row in ANSWERS])
def test_8_1_an_answer_ends_its_own_stream_and_no_other(
    pieces: list[bytes], status: int | str, reset: ErrorCode | None, is_fast: bool
) -> None:
    ends, job = in_flight(2, Limits(is_fast=is_fast))
    ends.raw(*pieces)
    assert statuses(job.results) == [status, None]
    said = [one for one in ends.said() if one.kind != frames.WINDOW_UPDATE]
    assert [(one.kind, one.stream, one.payload[-1]) for one in said] == (
        [] if reset is None else [(frames.RST_STREAM, 1, reset)]
    )
    ends.raw(headers(3))
    assert statuses(job.results) == [status, 200]
    assert ends.finished == 1


LATE = [
    headers(1),
    headers(1, BAD_BLOCK, END_HEADERS),
    data(1, b"late", END_STREAM),
    frames.window_update(1, 5),
    frames.window_update(1, 0),
    frames.rst_stream(1, ErrorCode.CANCEL),
    frames.frame(frames.PRIORITY, 0, 1, bytes(5)),
]


@pytest.mark.parametrize("late", LATE)
def test_5_1_what_comes_late_on_a_closed_stream_changes_nothing(late: bytes) -> None:
    for end in (headers(1), headers(1, BAD_BLOCK), frames.rst_stream(1, ErrorCode.CANCEL)):
        ends, job = in_flight(2)
        ends.raw(end, late)
        before = job.results[0]
        ends.raw(late, headers(3))
        assert job.results[0] is before
        assert statuses(job.results)[1] == 200
        assert (ends.finished, ends.session.in_flight) == (1, 0)


IDLE = [headers(99), data(99), frames.rst_stream(99, ErrorCode.CANCEL), frames.window_update(99, 1), headers(2),
        frames.rst_stream(2, ErrorCode.CANCEL), headers(0), data(0)]  # fmt: skip


@pytest.mark.parametrize("frame", IDLE)
def test_5_1_a_frame_on_a_stream_that_was_never_opened_ends_the_connection(frame: bytes) -> None:
    ends, _ = in_flight(2)
    with pytest.raises(ProtocolError) as caught:
        ends.raw(frame)
    assert caught.value.code is ErrorCode.PROTOCOL_ERROR


def test_5_1_1_stream_numbers_run_out_and_the_connection_is_drained_before() -> None:
    ends, job = in_flight(1)
    ends.answer(1)
    ends.session.sending.next_stream = LAST_USABLE_STREAM + 2  # as after 2^30 pushes
    ends.raw(frames.settings([(frames.MAX_CONCURRENT_STREAMS, 10_000)]))
    more = ends.job(2 * FILL_MAX)
    assert ends.session.fill(ends.queue) == FILL_MAX
    assert ends.session.is_draining
    assert ends.session.fill(ends.queue) == 0
    sent = [one.stream for one in ends.said() if one.kind == frames.HEADERS]
    assert max(sent) <= STREAM_MAX
    ends.raw(*(headers(stream) for stream in sent))
    assert statuses(job.results + more.results).count(200) == 1 + FILL_MAX
    assert ends.session.is_finished
    assert list(more.pending) == [(FILL_MAX, 2 * FILL_MAX)]


# --- a server that never answers ---


def test_a_push_without_an_answer_ends_at_its_deadline_and_its_stream_is_reset() -> None:
    ends, job = in_flight(SILENT_MAX - 1)
    ends.session.expire(ANSWER_BY - 0.1)
    assert statuses(job.results) == [None] * (SILENT_MAX - 1)
    ends.session.expire(ANSWER_BY)
    assert job.results == [unknown("no_answer_in_time")] * (SILENT_MAX - 1)
    resets = [(one.kind, one.stream, one.payload[-1]) for one in ends.said()]
    assert resets == [(frames.RST_STREAM, 1, ErrorCode.CANCEL), (frames.RST_STREAM, 3, ErrorCode.CANCEL)]
    assert not ends.session.is_draining
    more = ends.job(1)
    ends.session.fill(ends.queue)
    ends.session.expire(ANSWER_BY)
    assert statuses(more.results) == ["no_answer_in_time"]
    assert ends.session.is_finished


def test_an_answer_that_stops_half_way_keeps_its_status_at_the_deadline() -> None:
    for window in (65_535, 4):  # with the body sent, and with a part of it
        ends = Ends({frames.INITIAL_WINDOW_SIZE: window}, holds_windows=True)
        job = ends.job(1, b"a body")
        ends.exchange()
        ends.raw(headers(1, BAD_BLOCK, END_HEADERS), data(1, b"half"))
        ends.session.expire(ANSWER_BY)
        assert statuses(job.results) == [400]


def test_a_lost_connection_settles_each_request_by_what_is_known_of_it() -> None:
    ends = Ends({frames.INITIAL_WINDOW_SIZE: 4}, holds_windows=True)
    short, long = ends.job(2, b"ab"), ends.job(1, b"a body", b"l")
    ends.exchange()
    ends.raw(headers(1, BAD_BLOCK, END_HEADERS))
    ends.session.lost("connection_broken")
    assert statuses(short.results) == [400, "connection_broken"]
    assert short.results[1] == unknown("connection_broken")
    assert list(long.pending) == [(0, 1)]  # an unfinished request is acted upon by nobody
    assert ends.session.in_flight == 0


def test_a_cancelled_batch_leaves_its_streams_to_end_by_themselves() -> None:
    ends = Ends({frames.MAX_CONCURRENT_STREAMS: 4})
    stay, leave = ends.job(2), ends.job(5, name=b"l")
    ends.exchange()
    leave.abandon()
    ends.raw(frames.rst_stream(5, ErrorCode.REFUSED_STREAM))  # one of those that left
    ends.answer(1, 3, 7)
    ends.exchange()
    assert statuses(stay.results) == [200, 200]
    assert (ends.finished, len(ends.paths), ends.session.in_flight) == (1, 4, 0)
    assert not ends.resets
