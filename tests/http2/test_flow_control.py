"""RFC 9113 sections 5.2 and 6.9: windows, both ways. h2 counts every byte that we send and raises at one too many."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from channels.http2 import frames
from channels.http2.frames import WINDOW_MAX, ErrorCode, ProtocolError
from channels.http2.jobs import Job
from channels.http2.session import ANSWER_BODY_BYTES_MAX, IDLE_SHUT_SECONDS, RECEIVE_WINDOW_BYTES
from tests.http2.ends import ANSWER_BY, OK_BLOCK, Ends, data, headers, in_flight, not_sent, statuses, unknown

STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("connection"), st.integers(1, 40_000)),
        st.tuples(st.just("stream"), st.integers(1, 5_000)),
        st.tuples(st.just("first window"), st.sampled_from([0, 1, 100, 3_000, 65_535, 1 << 20])),
        st.tuples(st.just("streams"), st.sampled_from([0, 1, 3, 50])),
        st.tuples(st.just("answer"), st.integers(0, 3)),
        st.tuples(st.just("submit"), st.integers(1, 12)),
    ),
    max_size=30,
)


@settings(max_examples=60, deadline=None)
@given(steps=STEPS, size=st.sampled_from([0, 1, 700, 4_000, 16_384]), first=st.sampled_from([0, 500, 65_535]))
def test_6_9_whatever_the_windows_do_no_byte_too_many_is_sent_and_every_body_arrives_whole(
    steps: list[tuple[str, int]], size: int, first: int
) -> None:
    ends = Ends({frames.INITIAL_WINDOW_SIZE: first}, holds_windows=True)
    body = bytes(index % 251 for index in range(size))
    jobs = [ends.job(5, body)]
    answered: set[int] = set()
    for what, number in steps:
        whole = [stream for stream in ends.ended if stream not in answered]
        partly = [stream for stream in ends.bodies if stream not in ends.ended]
        if what == "connection":
            ends.server.increment_flow_control_window(number)
        elif what == "stream" and partly:
            ends.server.increment_flow_control_window(number, partly[number % len(partly)])
        elif what == "first window":
            ends.change(INITIAL_WINDOW_SIZE=number)
        elif what == "streams":
            ends.change(MAX_CONCURRENT_STREAMS=number)
        elif what == "answer":
            answered.update(whole[:number])
            ends.answer(*whole[:number])
        elif what == "submit":
            jobs.append(ends.job(number, body))
        ends.exchange()
    ends.change(INITIAL_WINDOW_SIZE=1 << 20, MAX_CONCURRENT_STREAMS=100)
    ends.server.increment_flow_control_window(1 << 24)
    ends.exchange()
    while rest := [stream for stream in ends.ended if stream not in answered]:
        answered.update(rest)
        ends.answer(*rest)
    assert all(status == 200 for job in jobs for status in statuses(job.results))
    assert all(body == got for got in ends.bodies.values())
    assert len(ends.bodies) == sum(job.requests.total for job in jobs)
    assert ends.finished == len(jobs)


def test_6_9_1_a_connection_window_of_less_than_a_body_holds_requests_back_until_it_opens() -> None:
    ends = Ends(holds_windows=True)
    job = ends.job(5, bytes(16_384))
    ends.exchange()
    assert ends.ended == [1, 3, 5]  # 3 x 16,384 of 65,535; the fourth waits whole, since others are in flight
    ends.answer(1, 3, 5)
    assert [len(body) for body in ends.bodies.values()] == [16_384] * 3 + [65_535 - 3 * 16_384]
    ends.server.increment_flow_control_window(1 << 20)
    ends.exchange()
    ends.answer(7, 9)
    assert statuses(job.results) == [200] * 5


def test_5_2_a_server_that_never_opens_its_window_again_loses_the_connection_and_no_request_twice() -> None:
    ends, job = waiting_for_the_connection()
    ends.session.expire(ANSWER_BY)
    assert statuses(job.results) == [200, 200, 200, "no_window_in_time"]
    assert job.results[3] == not_sent("no_window_in_time")
    ends.session.expire(ANSWER_BY + IDLE_SHUT_SECONDS)
    assert ends.session.is_draining


def test_5_2_streams_that_ran_out_of_time_without_a_window_retire_the_connection_like_silent_ones() -> None:
    ends = Ends({frames.INITIAL_WINDOW_SIZE: 0})
    job = ends.job(3)
    ends.exchange()
    ends.session.expire(ANSWER_BY)
    assert job.results == [not_sent("no_window_in_time")] * 3
    assert ends.session.is_draining


def waiting_for_the_connection() -> tuple[Ends, Job]:
    """Streams 1, 3, 5 whole, stream 7 half-way: its own window is wide, the connection's is used up."""
    ends = Ends({frames.INITIAL_WINDOW_SIZE: 1 << 20}, holds_windows=True)
    job = ends.job(4, bytes(16_384))
    ends.exchange()
    ends.answer(1, 3, 5)
    assert (list(ends.bodies), ends.ended) == ([1, 3, 5, 7], [1, 3, 5])
    return ends, job


@pytest.mark.parametrize("increment", [0, WINDOW_MAX])
def test_6_9_1_a_stream_window_that_grows_by_nothing_or_too_much_resets_that_stream_only(increment: int) -> None:
    ends, job = waiting_for_the_connection()
    ends.raw(frames.window_update(7, increment))
    assert job.results[3] == unknown("malformed_window")
    assert ends.said() == [frames.Frame(frames.RST_STREAM, 0, 7, bytes([0, 0, 0, ErrorCode.FLOW_CONTROL_ERROR]))]
    more = ends.job(1)
    ends.server.increment_flow_control_window(100)
    ends.exchange()
    ends.answer(9)
    assert statuses(more.results) == [200]


def test_6_9_1_a_stream_window_for_a_body_that_has_gone_is_of_no_matter() -> None:
    ends, job = in_flight(1)
    ends.raw(frames.window_update(1, 5), frames.window_update(1, WINDOW_MAX), headers(1), frames.window_update(1, 9))
    assert statuses(job.results) == [200]


def test_6_9_2_a_first_window_that_overflows_an_open_stream_ends_the_connection() -> None:
    ends, _ = waiting_for_the_connection()
    ends.raw(frames.window_update(7, 20_000))
    with pytest.raises(ProtocolError) as caught:
        ends.raw(frames.settings([(frames.INITIAL_WINDOW_SIZE, WINDOW_MAX)]))
    assert caught.value.code is ErrorCode.FLOW_CONTROL_ERROR


def test_6_9_we_give_the_connections_window_back_so_that_answers_never_stop() -> None:
    """h2 sends by our windows: it raises when we do not give back what we have read."""
    answers, size = RECEIVE_WINDOW_BYTES // 30_000 + 50, 30_000
    ends = Ends()
    job = ends.job(answers)
    ends.exchange()
    done = 0
    while done < answers:
        for stream in ends.ended[done:]:
            ends.server.send_headers(stream, [(":status", "400")])
            for start in range(0, size, 15_000):
                ends.server.send_data(stream, bytes(15_000), end_stream=start + 15_000 == size)
            done += 1
        ends.exchange()
    assert statuses(job.results) == [400] * answers


def test_6_9_padding_counts_and_is_given_back_so_that_a_padded_answer_never_stalls() -> None:
    ends, job = in_flight(1)
    ends.server.send_headers(1, [(":status", "400")])
    for _ in range(1000):  # 256 bytes of window each, four times what a stream begins with
        ends.server.send_data(1, b"x", pad_length=254)
        ends.exchange()
    ends.server.end_stream(1)
    ends.exchange()
    assert len(job.results[0].body) == 1000  # type: ignore[union-attr]


def test_6_9_data_for_streams_that_are_gone_is_given_back_too() -> None:
    ends, _ = in_flight(1)
    ends.answer(1)
    granted = 0
    for _ in range(RECEIVE_WINDOW_BYTES // 16_000 + 1):
        ends.raw(data(1, bytes(16_000)))
        granted += sum(int.from_bytes(one.payload, "big") for one in ends.said() if one.kind == frames.WINDOW_UPDATE)
    assert granted > RECEIVE_WINDOW_BYTES // 2


def test_5_2_an_answer_longer_than_we_want_is_cut_off_and_its_window_given_back() -> None:
    ends, job = in_flight(2)
    ends.raw(headers(1, OK_BLOCK, frames.END_HEADERS))
    for _ in range(ANSWER_BODY_BYTES_MAX // 16_384 + 1):
        ends.raw(data(1, bytes(16_384)))
    assert statuses(job.results) == [200, None]
    assert [one.payload[-1] for one in ends.said() if one.kind == frames.RST_STREAM] == [ErrorCode.CANCEL]
    assert ends.session.in_flight == 1
