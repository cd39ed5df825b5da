"""The sender on the wire: real sockets and TLS, the `h2` library at the other end doing what providers do."""

from __future__ import annotations

from collections import Counter

import h2.events
import hpack
import pytest
import trio
import trio.testing

from channels.http2 import frames
from channels.http2.connection import Origin
from channels.http2.frames import ErrorCode
from channels.http2.jobs import OK, RESENDS_MAX, Answer, Failure, FailureKind, Result
from channels.http2.pool import PoolSettings
from tests.channels.peer import Line, Peer, Request
from tests.channels.sending import BODY, batch, sending_to, unknown


async def test_a_batch_arrives_whole_and_its_answers_stand_in_order() -> None:
    def script(line: Line, request: Request) -> None:
        if request.token.endswith("7"):
            line.answer(request, 410, b'{"reason":"Unregistered","timestamp":1790000000000}', apns_id="x")
        else:
            line.answer(request)

    peer = Peer(script)
    async with sending_to(peer) as pool:
        results = await pool.submit(batch(40), 5)
    for index, result in enumerate(results):
        assert isinstance(result, Answer)
        assert result.status == (410 if index % 10 == 7 else 200)
    gone = results[7]
    assert isinstance(gone, Answer)
    assert gone.body == b'{"reason":"Unregistered","timestamp":1790000000000}'
    assert gone.header(b"apns-id") == b"x"
    assert Counter(request.token for request in peer.requests) == Counter(f"t{index:04}" for index in range(40))
    assert all(request.body == BODY for request in peer.requests)
    first = next(request for request in peer.requests if request.token == "t0000")
    assert first.headers == {
        ":method": "POST",
        ":scheme": "https",
        ":authority": f"localhost:{peer.port}",
        ":path": "/3/device/t0000",
        "apns-topic": "dk.klokke",
        "apns-push-type": "alert",
        "authorization": "bearer secret",
        "apns-id": "0000",
    }


async def test_streams_lowered_to_one_in_mid_flight_are_respected() -> None:
    most_open = 0
    lowered = False

    def script(line: Line, request: Request) -> None:
        if len(line.requests) == 20:
            line.h2.update_settings({3: 1})
        line.answer(request)

    def on_event(line: Line, event: h2.events.Event) -> None:
        nonlocal most_open, lowered
        if isinstance(event, h2.events.SettingsAcknowledged) and line.h2.local_settings.max_concurrent_streams == 1:
            lowered = True
        if lowered:
            # h2 itself resets the connection when more streams are open than it allows
            most_open = max(most_open, line.h2.open_inbound_streams)

    peer = Peer(script, on_event=on_event)
    async with sending_to(peer, PoolSettings(Origin("x"), connections_max=1)) as pool:
        results = await pool.submit(batch(200), 5)
    assert [result[0] for result in results] == [200] * 200
    assert lowered
    assert most_open <= 1


async def test_bodies_larger_than_the_streams_window_arrive_whole() -> None:
    peer = Peer(settings={4: 100})
    async with sending_to(peer) as pool:
        results = await pool.submit(batch(30, bytes(range(250)) * 4), 5)
    assert results == [OK] * 30
    assert {request.body for request in peer.requests} == {bytes(range(250)) * 4}


async def test_an_exhausted_connection_window_holds_requests_back_until_it_opens() -> None:
    def on_open(line: Line) -> None:
        line.holds_windows = True

    peer = Peer(on_open=on_open, settings={4: 1 << 20})
    results: list[Result] = []
    done = trio.Event()
    async with sending_to(peer, PoolSettings(Origin("x"), connections_max=1)) as pool, trio.open_nursery() as nursery:

        async def submit() -> None:
            results.extend(await pool.submit(batch(60, bytes(4000)), 5))
            done.set()

        nursery.start_soon(submit)
        await peer.wait_until(lambda: len(peer.requests) == 65_535 // 4000)
        line = peer.lines[0]
        line.h2.increment_flow_control_window(1 << 20)
        await line.flush()
        await done.wait()
    assert results == [OK] * 60


async def test_goaway_resends_what_is_above_it_exactly_once_and_waits_for_the_rest() -> None:
    def script(line: Line, request: Request) -> None:
        if line is not peer.lines[0]:
            line.answer(request)
        elif len(line.requests) == 10:
            handled = sorted(line.requests, key=lambda one: one.stream)[:4]
            line.raw.append(frames.goaway(handled[-1].stream, ErrorCode.NO_ERROR))
            for one in handled:
                line.raw.append(frames.frame(frames.HEADERS, 5, one.stream, b"\x88"))

    peer = Peer(script)
    async with sending_to(peer) as pool:
        results = await pool.submit(batch(10), 5)
    assert results == [OK] * 10
    assert len(peer.lines) == 2
    again = sorted(request.token for request in peer.lines[1].requests)
    assert again == [f"t{index:04}" for index in range(4, 10)]


async def test_a_refused_stream_is_sent_again_and_only_so_often() -> None:
    tries: Counter[str] = Counter()

    def script(line: Line, request: Request) -> None:
        tries[request.token] += 1
        if request.token == "t0001" or (request.token == "t0002" and tries["t0002"] == 1):
            line.h2.reset_stream(request.stream, ErrorCode.REFUSED_STREAM)
        else:
            line.answer(request)

    peer = Peer(script)
    async with sending_to(peer) as pool:
        results = await pool.submit(batch(4), 5)
    assert results == [OK, Failure(FailureKind.NOT_SENT, "refused_stream"), OK, OK]
    assert tries == {"t0000": 1, "t0001": RESENDS_MAX + 1, "t0002": 2, "t0003": 1}


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        (ErrorCode.NO_ERROR, "reset_no_error"),
        (ErrorCode.PROTOCOL_ERROR, "reset_protocol_error"),
        (ErrorCode.INTERNAL_ERROR, "reset_internal_error"),
        (ErrorCode.CANCEL, "reset_cancel"),
        (ErrorCode.ENHANCE_YOUR_CALM, "reset_enhance_your_calm"),
        (0x4242, "reset_other"),
    ],
)
async def test_any_other_reset_is_unknown_and_never_sent_again(code: int, reason: str) -> None:
    def script(line: Line, request: Request) -> None:
        line.raw.append(frames.rst_stream(request.stream, code))  # type: ignore[arg-type]

    peer = Peer(script)
    async with sending_to(peer) as pool:
        assert await pool.submit(batch(1), 5) == [unknown(reason)]
    assert len(peer.requests) == 1


async def test_a_server_that_never_answers_costs_its_deadline_and_its_connection() -> None:
    def script(line: Line, request: Request) -> None:
        if line is not peer.lines[0]:
            line.answer(request)

    peer = Peer(script)
    async with sending_to(peer) as pool:
        assert await pool.submit(batch(5), 0.3) == [unknown("no_answer_in_time")] * 5
        await peer.wait_until(
            lambda: sum(isinstance(event, h2.events.StreamReset) for event in peer.lines[0].events) == 5
        )
        assert await pool.submit(batch(2), 5) == [OK, OK]
    resets = [event for event in peer.lines[0].events if isinstance(event, h2.events.StreamReset)]
    assert {event.error_code for event in resets} == {ErrorCode.CANCEL}
    assert len(peer.lines) == 2
    assert len(peer.lines[0].requests) == 5


async def test_a_half_closed_socket_makes_the_outcome_unknown_at_once() -> None:
    async def hang_up(line: Line) -> None:
        await line.tls.transport_stream.send_eof()

    peer = Peer(lambda line, request: None)
    async with sending_to(peer) as pool, trio.open_nursery() as nursery:

        async def submit() -> None:
            assert await pool.submit(batch(3), 30) == [unknown("connection_closed")] * 3

        nursery.start_soon(submit)
        await peer.wait_until(lambda: len(peer.requests) == 3)
        await hang_up(peer.lines[0])


async def test_a_ping_is_answered_with_its_own_bytes() -> None:
    def on_open(line: Line) -> None:
        line.h2.ping(b"12345678")

    peer = Peer(on_open=on_open)
    async with sending_to(peer) as pool:
        assert await pool.submit(batch(1), 5) == [OK]
        await peer.wait_until(
            lambda: any(isinstance(event, h2.events.PingAckReceived) for event in peer.lines[0].events)
        )


async def test_an_answer_in_continuation_frames_with_padding_is_read() -> None:
    def script(line: Line, request: Request) -> None:
        encoder = hpack.Encoder()
        encoder.header_table_size = 0
        block = encoder.encode([(":status", "400"), ("apns-id", "abc")])
        line.raw += [
            frames.frame(frames.HEADERS, frames.PADDED, request.stream, b"\x02" + block[:2] + b"\0\0"),
            frames.frame(frames.CONTINUATION, 0, request.stream, block[2:3]),
            frames.frame(frames.CONTINUATION, frames.END_HEADERS, request.stream, block[3:]),
            frames.frame(frames.DATA, frames.PADDED | frames.END_STREAM, request.stream, b"\x01{}\0"),
        ]

    async with sending_to(Peer(script)) as pool:
        answers = await pool.submit(batch(1), 5)
    assert answers == [Answer(400, ((b":status", b"400"), (b"apns-id", b"abc")), b"{}")]


async def test_cancelling_one_batch_leaves_its_neighbours_and_the_connection_alone() -> None:
    held: list[tuple[Line, Request]] = []

    def script(line: Line, request: Request) -> None:
        held.append((line, request))

    peer = Peer(script)
    results: list[Result] = []
    done = trio.Event()
    async with sending_to(peer, PoolSettings(Origin("x"), connections_max=1)) as pool, trio.open_nursery() as nursery:

        async def stay() -> None:
            results.extend(await pool.submit(batch(10, name="stay"), 5))
            done.set()

        async def leave(scope: trio.CancelScope) -> None:
            with scope:
                await pool.submit(batch(150, name="leave"), 5)

        nursery.start_soon(stay)
        await peer.wait_until(lambda: len(held) == 10)
        scope = trio.CancelScope()
        nursery.start_soon(leave, scope)
        await peer.wait_until(lambda: len(held) == 100)  # the peer's limit of streams
        scope.cancel()
        await trio.testing.wait_all_tasks_blocked()
        for line, request in held:
            line.answer(request)
        await peer.lines[0].flush()
        await done.wait()
        assert await pool.submit(batch(0), 5) == []
    assert results == [OK] * 10
    assert len(peer.lines) == 1
    assert not [event for event in peer.lines[0].events if isinstance(event, h2.events.StreamReset)]
    assert len(peer.requests) == 100  # the 60 that were still waiting are never sent


async def test_a_malformed_frame_ends_the_connection_with_goaway_and_the_next_batch_goes_on_a_new_one() -> None:
    def script(line: Line, request: Request) -> None:
        if line is peer.lines[0]:
            line.raw.append(frames.frame(frames.WINDOW_UPDATE, 0, 0, bytes(4)))
        else:
            line.answer(request)

    peer = Peer(script)
    async with sending_to(peer) as pool:
        assert await pool.submit(batch(2), 5) == [unknown("protocol_protocol_error")] * 2
        assert await pool.submit(batch(2), 5) == [OK, OK]
    goaway = [event for event in peer.lines[0].events if isinstance(event, h2.events.ConnectionTerminated)]
    assert [event.error_code for event in goaway] == [ErrorCode.PROTOCOL_ERROR]


async def test_a_peer_that_compresses_although_asked_not_to_is_understood_on_the_next_connection() -> None:
    encoders: dict[Line, hpack.Encoder] = {}

    def script(line: Line, request: Request) -> None:
        encoder = encoders.setdefault(line, hpack.Encoder())  # keeps its table of 4,096 bytes
        block = encoder.encode([(":status", "410"), ("apns-id", "the-same")])
        line.raw.append(frames.frame(frames.HEADERS, 5, request.stream, block))

    peer = Peer(script)
    encoders_used = encoders
    async with sending_to(peer) as pool:
        first = await pool.submit(batch(3), 5)
        second = await pool.submit(batch(3), 5)
    assert first[1:] == [unknown("protocol_compression_error")] * 2
    assert [result[0] for result in second] == [410] * 3
    assert len(encoders_used) == 2
