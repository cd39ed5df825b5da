"""RFC 9113 section 6.5: settings that change while requests are in flight."""

from __future__ import annotations

import h2.events
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from channels.http2 import frames
from channels.http2.frames import ErrorCode, ProtocolError
from channels.http2.jobs import OUT_OF_TIME
from channels.http2.session import IDLE_SHUT_SECONDS, Limits, Session
from tests.http2.ends import Ends, in_flight, not_sent, statuses


@pytest.mark.parametrize("limit", [1, 2, 7])
def test_6_5_2_streams_lowered_in_mid_flight_hold_new_requests_back_and_cost_none(limit: int) -> None:
    ends = Ends({frames.MAX_CONCURRENT_STREAMS: 10})
    job = ends.job(40)
    ends.exchange()
    assert ends.server.open_inbound_streams == 10
    ends.change(MAX_CONCURRENT_STREAMS=limit)
    ends.exchange()
    for stream in ends.ended:
        ends.answer(stream)
    seen = 10
    while seen < 40:  # from here on h2 refuses a stream too many
        assert 1 <= ends.server.open_inbound_streams <= limit
        news = ends.ended[seen:]
        seen += len(news)
        ends.answer(*news)
    assert statuses(job.results) == [200] * 40


def test_6_5_2_streams_lowered_to_nothing_hold_all_back_and_raised_let_them_go() -> None:
    ends = Ends({frames.MAX_CONCURRENT_STREAMS: 4})
    job = ends.job(9)
    ends.exchange()
    ends.change(MAX_CONCURRENT_STREAMS=0)
    ends.exchange()
    ends.answer(1, 3, 5, 7)
    assert len(ends.ended) == 4
    assert ends.session.room() == 0
    ends.change(MAX_CONCURRENT_STREAMS=3)
    ends.exchange()
    assert len(ends.ended) == 7
    ends.answer(9, 11, 13)
    ends.answer(15, 17)
    assert statuses(job.results) == [200] * 9


def test_6_5_2_a_server_that_never_allows_a_stream_again_loses_the_connection_not_the_requests() -> None:
    ends = Ends({frames.MAX_CONCURRENT_STREAMS: 0})
    job = ends.job(2)
    ends.exchange()
    ends.session.expire(1.0)
    ends.session.expire(1.0 + IDLE_SHUT_SECONDS - 0.1)
    assert not ends.session.is_draining
    ends.session.expire(1.0 + IDLE_SHUT_SECONDS)
    assert ends.session.is_finished
    ends.queue.expire(10.0)
    assert job.results == [not_sent(OUT_OF_TIME)] * 2


def test_6_5_2_a_pause_at_nothing_is_forgiven_when_streams_come_back() -> None:
    ends = Ends({frames.MAX_CONCURRENT_STREAMS: 0})
    ends.session.expire(1.0)
    ends.change(MAX_CONCURRENT_STREAMS=1)
    ends.exchange()
    ends.session.expire(2.0)
    ends.change(MAX_CONCURRENT_STREAMS=0)
    ends.exchange()
    ends.session.expire(1.5 + IDLE_SHUT_SECONDS)
    assert not ends.session.is_draining


@pytest.mark.parametrize("size", [0, 1, 10, 100])
def test_6_9_2_a_smaller_first_window_makes_open_streams_negative_and_they_wait(size: int) -> None:
    ends = Ends({frames.INITIAL_WINDOW_SIZE: 300}, holds_windows=True)
    job = ends.job(3, bytes(range(256)) * 4)
    ends.exchange()
    assert [len(body) for body in ends.bodies.values()] == [300] * 3
    ends.change(INITIAL_WINDOW_SIZE=size)  # windows of the open streams: size - 300
    ends.exchange()
    for stream in (1, 3, 5):
        ends.server.increment_flow_control_window(300 - size, stream)  # back to 0
    ends.exchange()
    assert [len(body) for body in ends.bodies.values()] == [300] * 3
    ends.change(INITIAL_WINDOW_SIZE=2000)
    ends.exchange()
    assert set(ends.bodies.values()) == {bytes(range(256)) * 4}
    ends.answer(1, 3, 5)
    assert statuses(job.results) == [200] * 3


def test_6_9_2_a_larger_first_window_opens_streams_that_wait() -> None:
    ends = Ends({frames.INITIAL_WINDOW_SIZE: 0}, holds_windows=True)
    ends.job(4, bytes(1000))
    ends.exchange()
    assert (list(ends.bodies.values()), ends.ended) == ([b""] * 4, [])
    ends.change(INITIAL_WINDOW_SIZE=999)
    ends.exchange()
    assert [len(body) for body in ends.bodies.values()] == [999] * 4
    ends.change(INITIAL_WINDOW_SIZE=1000)
    ends.exchange()
    assert ends.ended == [1, 3, 5, 7]


@settings(deadline=None)
@given(sizes=st.lists(st.sampled_from([0, 1, 32, 33, 64, 100, 500, 4095, 4096, 65_536]), max_size=12))
def test_6_5_2_a_header_table_resized_any_number_of_times_between_requests_stays_readable(sizes: list[int]) -> None:
    """RFC 7541 section 4.2: of several changes at most the smallest and the last are said. h2 decodes."""
    ends = Ends()
    ends.job(3)
    ends.exchange()
    for size in sizes:
        ends.change(HEADER_TABLE_SIZE=size)
        ends.session.receive(ends.server.data_to_send())  # no request between the changes
        for event in ends.server.receive_data(ends.session.take_output()):
            ends.events.append(event)
    ends.job(3, name=b"u")
    ends.exchange()
    assert sorted(ends.paths.values()) == sorted(
        b"/3/device/%b%02x" % (name, n) for name in (b"t", b"u") for n in range(3)
    )


def test_6_5_2_thousands_of_table_sizes_do_not_make_the_next_request_larger() -> None:
    ends, job = in_flight(1)
    ends.answer(1)
    sizes = [(frames.HEADER_TABLE_SIZE, 100 + n % 2) for n in range(2000)]
    for _ in range(20):
        ends.raw(frames.settings(sizes))
    ends.said()
    ends.job(1)
    ends.session.fill(ends.queue)
    (request,) = [one for one in ends.said() if one.kind == frames.HEADERS]
    assert len(request.payload) < 400
    assert job.left == 0


@pytest.mark.parametrize("size", [16_384, 65_536, (1 << 24) - 1])
def test_6_5_2_a_larger_frame_size_is_taken_note_of_and_never_needed(size: int) -> None:
    ends = Ends({frames.MAX_FRAME_SIZE: size})
    ends.job(2, bytes(16_384))
    ends.session.fill(ends.queue)
    assert max(len(one.payload) for one in ends.said()) == 16_384


def test_6_5_3_every_settings_is_acknowledged_once_and_in_order() -> None:
    ends = Ends()
    for limit in (5, 6, 7):
        ends.change(MAX_CONCURRENT_STREAMS=limit)
    ends.exchange()
    acknowledged = [event for event in ends.events if isinstance(event, h2.events.SettingsAcknowledged)]
    assert len(acknowledged) == 4  # the first SETTINGS too
    assert ends.session.room() == 7


def test_3_4_nothing_is_sent_before_the_servers_settings_have_come() -> None:
    session, ends = Session(b"localhost", Limits()), Ends()
    session.open()
    ends.job(1)
    assert (session.fill(ends.queue), session.room()) == (0, 0)


@pytest.mark.parametrize(
    "first",
    [
        frames.settings_ack(),
        frames.frame(frames.PING, 0, 0, bytes(8)),
        frames.window_update(0, 1),
        frames.goaway(0, ErrorCode.NO_ERROR),
        frames.frame(77, 0, 0),
    ],
    ids=["an acknowledgement", "PING", "WINDOW_UPDATE", "GOAWAY", "an unknown type"],
)
def test_3_4_a_connection_that_does_not_begin_with_settings_is_ended(first: bytes) -> None:
    session = Session(b"localhost", Limits())
    session.open()
    with pytest.raises(ProtocolError) as caught:
        session.receive(first)
    assert caught.value.code is ErrorCode.PROTOCOL_ERROR


def test_6_5_2_a_setting_that_comes_twice_in_a_frame_counts_as_it_was_last() -> None:
    ends = Ends()
    ends.raw(frames.settings([(frames.MAX_CONCURRENT_STREAMS, 3), (frames.MAX_CONCURRENT_STREAMS, 9)]))
    assert ends.session.room() == 9
