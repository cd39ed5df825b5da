"""The HTTP/2 side against the `h2` library as client, in memory (RFC 9113)."""

from __future__ import annotations

from collections.abc import Callable

import h2.events
import h2.settings
import pytest
from h2.errors import ErrorCodes
from hpack import Encoder

from channels.simulator import frames
from channels.simulator.frames import frame
from tests.simulator.wire import BODY, NOW, TOKEN, Pair

REQUEST = [
    (":method", "POST"),
    (":scheme", "https"),
    (":path", f"/3/device/{TOKEN}"),
    ("apns-topic", "dk.klokke.app"),
]


def block() -> bytes:
    """A header block that leaves the table alone, so that it may stand beside h2's own."""
    return Encoder().encode([*REQUEST[:2]]) + b"".join(
        b"\x00" + bytes((len(name),)) + name.encode() + bytes((len(value),)) + value.encode()
        for name, value in REQUEST[2:]
    )


def opened() -> Pair:
    pair = Pair()
    pair.exchange()
    return pair


def test_a_push_is_answered_with_its_id_and_an_error_with_its_reason() -> None:
    pair = Pair(validating=True)
    good = pair.push(apns_id="123e4567-e89b-12d3-a456-426614174000")
    pair.exchange()
    assert pair.answers[good] == (403, b'{"reason":"MissingProviderToken"}')
    assert pair.answer_headers[good]["apns-id"] == "123e4567-e89b-12d3-a456-426614174000"


def test_settings_are_acknowledged_and_a_ping_comes_back() -> None:
    pair = opened()
    pair.client.ping(b"12345678")
    pair.exchange()
    kinds = [type(event) for event in pair.events]
    assert h2.events.SettingsAcknowledged in kinds
    assert any(isinstance(e, h2.events.PingAckReceived) and e.ping_data == b"12345678" for e in pair.events)


def test_many_pushes_in_one_read_are_all_answered_whatever_the_cut() -> None:
    whole = Pair()
    streams = [whole.push(f"{number:064x}", apns_collapse_id=f"c{number % 7}") for number in range(40)]
    data = whole.client.data_to_send()
    for size in (1, 7, 100, len(data)):
        pair = Pair()
        output = b""
        for at in range(0, len(data), size):
            pair.server.receive(data[at : at + size], 0.0)
            output += pair.server.take_output()
        assert output.count(b"\x88\x00\x07apns-id") == len(streams), size


def test_a_large_body_gets_credit_until_it_is_read_and_is_refused_at_its_end() -> None:
    pair = Pair(validating=True)
    pair.exchange()
    stream = pair.push(end=False)
    rest = 300_000
    while rest:
        size = min(pair.client.local_flow_control_window(stream), pair.client.max_outbound_frame_size, rest)
        assert size > 0, "the server gave no credit"
        rest -= size
        pair.client.send_data(stream, b"x" * size, end_stream=rest == 0)
        pair.exchange()
    assert pair.answers[stream][0] == 403


def test_a_padded_request_in_continuations_is_a_request() -> None:
    pair = opened()
    head = block()
    data = b"".join(
        (
            frame(
                frames.HEADERS,
                frames.PADDED | frames.HAS_PRIORITY,
                1,
                b"\x03" + bytes(4) + b"\x10" + head[:5] + bytes(3),
            ),
            frame(frames.CONTINUATION, 0, 1, head[5:20]),
            frame(frames.CONTINUATION, frames.END_HEADERS, 1, head[20:]),
            frame(frames.DATA, frames.PADDED, 1, b"\x05" + BODY[:9] + bytes(5)),
            frame(frames.DATA, 0, 1, BODY[9:]),
            frame(frames.DATA, frames.END_STREAM, 1),
        )
    )
    pair.server.receive(data, 0.0)
    assert pair.server.take_output().count(b"\x88\x00\x07apns-id") == 1


def test_unknown_frames_and_priority_are_ignored() -> None:
    pair = opened()
    pair.server.receive(frame(0xFA, 0xFF, 0, b"grease") + frame(frames.PRIORITY, 0, 9, bytes(5)), 0.0)
    pair.push()
    pair.exchange()
    assert pair.answers[1][0] == 200


SETTINGS_HELLO = frames.PREFACE + frame(frames.SETTINGS, 0, 0)


@pytest.mark.parametrize(
    ("sent", "code"),
    [
        (b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", frames.PROTOCOL_ERROR),
        (frames.PREFACE + frame(frames.PING, 0, 0, bytes(8)), frames.PROTOCOL_ERROR),
        (SETTINGS_HELLO + frame(frames.DATA, 0, 1, b"x"), frames.PROTOCOL_ERROR),
        (SETTINGS_HELLO + frame(frames.DATA, 0, 0, b"x"), frames.PROTOCOL_ERROR),
        (SETTINGS_HELLO + frame(frames.HEADERS, 4, 2, b"\x83"), frames.PROTOCOL_ERROR),
        (SETTINGS_HELLO + frame(frames.HEADERS, 4, 1, b"\xff\xff\xff\xff\xff\xff"), frames.COMPRESSION_ERROR),
        (SETTINGS_HELLO + frame(frames.HEADERS, 4, 1, b"\xc0"), frames.COMPRESSION_ERROR),
        (
            SETTINGS_HELLO + frame(frames.HEADERS, 0, 1, b"\x83") + frame(frames.PING, 0, 0, bytes(8)),
            frames.PROTOCOL_ERROR,
        ),
        (SETTINGS_HELLO + frame(frames.HEADERS, 0x0C, 1, b"\x09\x83"), frames.PROTOCOL_ERROR),
        (SETTINGS_HELLO + frame(frames.CONTINUATION, 4, 1, b"\x83"), frames.PROTOCOL_ERROR),
        (SETTINGS_HELLO + frame(frames.PUSH_PROMISE, 4, 1, bytes(4)), frames.PROTOCOL_ERROR),
        (SETTINGS_HELLO + frame(frames.SETTINGS, 0, 0, bytes(5)), frames.FRAME_SIZE_ERROR),
        (SETTINGS_HELLO + frame(frames.SETTINGS, 0, 0, b"\x00\x02\x00\x00\x00\x02"), frames.PROTOCOL_ERROR),
        (SETTINGS_HELLO + frame(frames.SETTINGS, 0, 0, b"\x00\x04\x80\x00\x00\x00"), frames.FLOW_CONTROL_ERROR),
        (SETTINGS_HELLO + frame(frames.SETTINGS, 1, 0, bytes(6)), frames.FRAME_SIZE_ERROR),
        (SETTINGS_HELLO + frame(frames.PING, 0, 0, bytes(7)), frames.FRAME_SIZE_ERROR),
        (SETTINGS_HELLO + frame(frames.PING, 0, 1, bytes(8)), frames.PROTOCOL_ERROR),
        (SETTINGS_HELLO + frame(frames.RST_STREAM, 0, 1, bytes(4)), frames.PROTOCOL_ERROR),
        (SETTINGS_HELLO + frame(frames.RST_STREAM, 0, 1, bytes(3)), frames.FRAME_SIZE_ERROR),
        (SETTINGS_HELLO + frame(frames.WINDOW_UPDATE, 0, 0, bytes(4)), frames.PROTOCOL_ERROR),
        (SETTINGS_HELLO + frame(frames.WINDOW_UPDATE, 0, 0, b"\x7f\xff\xff\xff"), frames.FLOW_CONTROL_ERROR),
        (SETTINGS_HELLO + frame(frames.GOAWAY, 0, 0, bytes(4)), frames.FRAME_SIZE_ERROR),
        (SETTINGS_HELLO + b"\x00\x40\x01\x00\x00\x00\x00\x00\x01", frames.FRAME_SIZE_ERROR),
    ],
)
def test_a_broken_connection_is_told_why_and_ended(sent: bytes, code: int) -> None:
    server = Pair().server
    server.take_output()
    server.receive(sent, 0.0)
    output = server.take_output()
    at = output.index(b"\x07\x00\x00\x00\x00\x00") + 6
    assert int.from_bytes(output[at + 4 : at + 8], "big") == code
    assert server.is_done


@pytest.mark.parametrize(
    "fields",
    [
        [(":method", "POST"), (":scheme", "https")],
        [(":method", "POST"), (":method", "POST"), (":scheme", "https"), (":path", "/")],
        [*REQUEST, (":late", "x")],
        [*REQUEST, ("Upper", "x")],
        [*REQUEST, ("connection", "close")],
        [*REQUEST, ("te", "gzip")],
        [*REQUEST, ("x", "a\nb")],
        [*REQUEST, ("content-length", "9")],
    ],
)
def test_a_malformed_request_is_reset_and_the_connection_goes_on(fields: list[tuple[str, str]]) -> None:
    pair = opened()
    payload = b"".join(b"\x00" + bytes((len(n),)) + n.encode() + bytes((len(v),)) + v.encode() for n, v in fields)
    pair.server.receive(frame(frames.HEADERS, frames.END_HEADERS | frames.END_STREAM, 1, payload), 0.0)
    assert frames.reset(1, frames.PROTOCOL_ERROR) in pair.server.take_output()
    assert not pair.server.is_done


def test_a_body_in_the_window_of_nothing_waits_for_credit() -> None:
    narrow: dict[h2.settings.SettingCodes | int, int] = {h2.settings.SettingCodes.INITIAL_WINDOW_SIZE: 0}
    pair = Pair(validating=True, client_settings=narrow)
    stream = pair.push()
    pair.exchange()
    assert pair.answers[stream] == (403, b"")
    pair.client.increment_flow_control_window(10, stream)
    pair.exchange()
    assert pair.answers[stream] == (403, b'{"reason":')
    pair.client.increment_flow_control_window(100, stream)
    pair.exchange()
    assert pair.answers[stream] == (403, b'{"reason":"MissingProviderToken"}')
    assert any(isinstance(event, h2.events.StreamEnded) for event in pair.events)


def test_the_connection_window_is_kept_when_the_client_never_gives_credit() -> None:
    """aioapns never does: after 65,535 bytes of answers a provider that keeps to the RFC falls silent."""
    answers = [{"share": 1.0, "status": 400, "reason": "R" * 200}]
    pair = Pair(script={"step": [{"at_seconds": 0, "answers": answers}]}, streams=500)
    pair.exchange()
    size = len(b'{"reason":""}') + 200
    streams = [pair.push() for _ in range(65_535 // size + 10)]
    pair.exchange()
    bodies = sum(len(body) for _, body in pair.answers.values())
    assert 65_535 - size <= bodies <= 65_535
    pair.client.increment_flow_control_window(1_000_000)
    pair.exchange()
    assert sum(len(body) for _, body in pair.answers.values()) == size * len(streams)


def test_a_client_that_wants_no_table_is_told_that_we_obey() -> None:
    pair = Pair(client_settings={h2.settings.SettingCodes.HEADER_TABLE_SIZE: 0})
    for _ in range(3):
        pair.push()
        pair.exchange()
    assert [status for status, _ in pair.answers.values()] == [200, 200, 200]


def test_one_stream_until_the_first_accepted_push_then_many(bearer: Callable[..., str]) -> None:
    pair = Pair(validating=True, streams=50)
    refused = pair.push()
    pair.exchange()
    assert pair.answers[refused][0] == 403
    assert pair.client.remote_settings.max_concurrent_streams == 1
    accepted = pair.push(authorization=bearer(NOW))
    pair.exchange()
    assert pair.answers[accepted] == (200, b"")
    assert pair.client.remote_settings.max_concurrent_streams == 50
    many = [pair.push(authorization=bearer(NOW)) for _ in range(50)]
    pair.exchange()
    assert {pair.answers[stream] for stream in many} == {(200, b"")}


def test_streams_beyond_the_limit_are_refused_unprocessed() -> None:
    pair = Pair(validating=True, streams=50)
    pair.exchange()
    eager = b"".join(
        frame(frames.HEADERS, frames.END_HEADERS, stream, block()) + frame(frames.DATA, frames.END_STREAM, stream, BODY)
        for stream in (1, 3, 5)
    )
    pair.server.receive(eager, 0.0)
    output = pair.server.take_output()
    assert frames.reset(3, frames.REFUSED_STREAM) in output
    assert frames.reset(5, frames.REFUSED_STREAM) in output
    assert output.count(b"MissingProviderToken") == 1
    assert not pair.server.is_done


def test_a_reset_stream_gets_no_late_answer() -> None:
    pair = Pair(script={"step": [{"at_seconds": 0, "latency_ms": 50}]})
    pair.push()
    second = pair.push()
    pair.exchange()
    assert pair.answers == {}
    assert pair.server.next_due() == pytest.approx(0.05)
    pair.client.reset_stream(second, ErrorCodes.CANCEL)
    pair.exchange(now=0.01)
    pair.server.release(0.06)
    pair.exchange(now=0.06)
    assert pair.answers.keys() == {1}
    assert pair.server.waiting == 0


def test_a_client_that_goes_away_gets_its_last_answers_first() -> None:
    pair = opened()
    pair.push()
    pair.client.close_connection()
    pair.server.receive(pair.client.data_to_send(), 0.0)
    assert b"\x88\x00\x07apns-id" in pair.server.take_output()
    assert pair.server.is_done
