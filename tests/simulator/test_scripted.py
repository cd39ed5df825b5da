"""Scripted faults: on one connection in memory, and over the wire with time."""

from __future__ import annotations

import smtplib
import socket
import time
from collections import Counter
from pathlib import Path
from typing import Any

import h2.events
import httpx
import msgspec
import pytest

from channels.simulator import frames
from channels.simulator.faults import GARBAGE, Faults
from channels.simulator.script import check
from channels.simulator.starting import Running, start
from tests.simulator.conftest import trusting
from tests.simulator.wire import BODY, NOW, Pair


def scripted(**step: Any) -> Pair:
    pair = Pair(script={"step": [{"at_seconds": 0, **step}]})
    pair.exchange()
    return pair


def test_a_brown_out_answers_its_share_with_reason_and_retry_after() -> None:
    pair = scripted(answers=[{"share": 0.5, "status": 503, "retry_after": 2}])
    streams = [pair.push() for _ in range(400)]
    pair.exchange()
    counts = Counter(pair.answers.values())
    assert counts.keys() == {(200, b""), (503, b'{"reason":"ServiceUnavailable"}')}
    assert 130 < counts[200, b""] < 270
    refused = next(stream for stream in streams if pair.answers[stream][0] == 503)
    assert pair.answer_headers[refused]["retry-after"] == "2"


def test_a_silent_provider_never_answers_but_notes_it(tmp_path: Path) -> None:
    path = tmp_path / "ledger.tsv"
    pair = Pair(script={"step": [{"at_seconds": 0, "silent": True}]}, ledger=path)
    pair.push()
    pair.exchange()
    pair.ledger.flush()
    assert pair.answers == {}
    assert path.read_text().splitlines()[1].split("\t")[1:4] == ["apns", "0", "Silent"]


def test_resets_carry_their_code() -> None:
    pair = scripted(reset=1.0, reset_code="REFUSED_STREAM")
    stream = pair.push()
    pair.exchange()
    assert pair.resets == {stream: frames.REFUSED_STREAM}


def test_a_goaway_names_the_last_stream_and_those_above_are_not_answered() -> None:
    pair = scripted(goaway_after=3)
    for _ in range(5):
        pair.push()
    pair.exchange()
    assert pair.goaway is not None
    assert (pair.goaway.last_stream_id, pair.goaway.additional_data) == (5, b'{"reason":"Shutdown"}')
    assert pair.answers.keys() == {1, 3, 5}
    assert pair.server.is_done


def test_a_goaway_step_lets_what_waits_be_answered_and_ends_the_connection() -> None:
    script = {"step": [{"at_seconds": 0, "latency_ms": 100}, {"at_seconds": 1, "goaway": True}]}
    pair = Pair(script=script)
    pair.push()
    pair.exchange(now=0.95)
    pair.faults.move_to(1.0)
    pair.server.enter_step(pair.faults.step)
    pair.exchange(now=1.0)
    assert pair.goaway is not None
    assert pair.goaway.last_stream_id == 1
    assert not pair.server.is_done
    output_due = pair.server.next_due()
    assert output_due == pytest.approx(1.05)
    pair.server.release(1.06)
    assert b"\x88" in pair.server.take_output()
    assert pair.server.is_done


def test_a_lower_stream_limit_holds_once_it_is_acknowledged_and_ends_with_its_step() -> None:
    script = {"step": [{"at_seconds": 1, "for_seconds": 1, "max_streams": 1}]}
    pair = Pair(script=script)
    pair.exchange()
    assert pair.client.remote_settings.max_concurrent_streams == 1000
    many = [pair.push() for _ in range(5)]  # sent before the client can know
    pair.faults.move_to(1.0)
    pair.server.enter_step(pair.faults.step)
    pair.exchange()
    assert {pair.answers[stream][0] for stream in many} == {200}
    assert pair.client.remote_settings.max_concurrent_streams == 1
    eager = b"".join(frames.frame(frames.HEADERS, 5, stream, b"\x83\x87\x04\x0c/3/device/00") for stream in (101, 103))
    pair.server.receive(eager, 0.0)
    assert frames.reset(103, frames.REFUSED_STREAM) in pair.server.take_output()
    pair.faults.move_to(2.0)
    pair.server.enter_step(pair.faults.step)
    assert frames.settings({frames.MAX_CONCURRENT_STREAMS: 1000}) in pair.server.take_output()


def test_latency_holds_answers_back_in_order() -> None:
    pair = scripted(latency_ms=60, jitter_ms=30)
    for _ in range(50):
        pair.push()
    pair.exchange(now=10.0)
    assert pair.answers == {}
    while (due := pair.server.next_due()) is not None:
        assert 10.059 <= due <= 10.091
        pair.server.release(due)
        pair.exchange(now=due)
    assert len(pair.answers) == 50
    assert sum(isinstance(event, h2.events.StreamEnded) for event in pair.events) == 50


def connected(running: Running) -> socket.socket:
    return socket.create_connection((running.host, running.port), 5)


def test_garbage_is_an_error_whose_body_is_no_json() -> None:
    pair = scripted(garbage=True)
    stream = pair.push()
    pair.exchange()
    status, body = pair.answers[stream]
    assert (status, pair.answer_headers[stream]["content-type"]) == (500, "text/html; charset=utf-8")
    with pytest.raises(msgspec.DecodeError):
        msgspec.json.decode(body)


def test_a_cut_ends_the_connection_in_the_middle_of_an_answer() -> None:
    pair = scripted(cut=True)
    pair.push()
    output = b""
    pair.server.receive(pair.client.data_to_send(), 0.0)
    output = pair.server.take_output()
    assert pair.server.is_done
    length = int.from_bytes(output[-9:-6], "big")
    assert output[-6] == frames.HEADERS
    assert length == 1, "the frame's only byte is missing"


def test_no_body_comes_through_while_the_window_is_withheld() -> None:
    script = {"step": [{"at_seconds": 0, "for_seconds": 5, "window_bytes": 0}]}
    pair = Pair(script=script)
    pair.exchange()
    stream = pair.push(end=False)
    pair.exchange()
    assert pair.client.local_flow_control_window(stream) == 0
    pair.faults.move_to(5.0)
    pair.server.enter_step(pair.faults.step)
    pair.exchange()
    assert pair.client.local_flow_control_window(stream) == frames.WINDOW_BYTES
    pair.client.send_data(stream, BODY, end_stream=True)
    pair.exchange()
    assert pair.answers[stream][0] == 200


def test_a_body_goes_through_a_small_window_piece_by_piece() -> None:
    pair = scripted(window_bytes=10)
    stream = pair.push(end=False)
    left = BODY
    while left:
        pair.exchange()
        room = pair.client.local_flow_control_window(stream)
        assert 0 < room <= 10
        piece, left = left[:room], left[room:]
        pair.client.send_data(stream, piece, end_stream=not left)
    pair.exchange()
    assert pair.answers == {stream: (200, b"")}


def test_retry_after_is_sent_as_seconds_as_text_or_as_a_date_from_now() -> None:
    for given, sent in ((7, "7"), ("soon", "soon"), ("date+90", "Fri, 15 Jan 2027 08:01:30 GMT")):
        script = check({"step": [{"at_seconds": 0, "answers": [{"share": 1.0, "status": 503, "retry_after": given}]}]})
        faults = Faults(script, 0, lambda: NOW)
        faults.move_to(0)
        fate = faults.draw()
        assert fate is not None
        assert fate.retry_after == sent


def test_latency_silence_status_mix_and_goaway_work_together() -> None:
    answers = [{"share": 0.3, "status": 503}, {"share": 0.2, "status": 410}]
    pair = scripted(latency_ms=50, answers=answers, silent=0.2, reset=0.1, goaway_after=80)
    for _ in range(100):
        pair.push()
    pair.server.receive(pair.client.data_to_send(), 1.0)
    at_once = kinds(pair.server.take_output())  # read here, since h2 takes no answers after GOAWAY
    assert at_once[frames.GOAWAY] == 1
    assert at_once[frames.HEADERS] == 0
    pair.server.release(1.051)
    later = kinds(pair.server.take_output())
    assert 5 <= at_once[frames.RST_STREAM] <= 20
    assert 5 <= 80 - later[frames.HEADERS] - at_once[frames.RST_STREAM] <= 30, "the silent ones of eighty"
    assert 20 <= later[frames.DATA] <= 55, "half of them have a body that says why"
    assert pair.server.is_done


def kinds(output: bytes) -> Counter[int]:
    """How many frames of each kind there are."""
    found: Counter[int] = Counter()
    at = 0
    while at < len(output):
        found[output[at + 3]] += 1
        at += 9 + int.from_bytes(output[at : at + 3], "big")
    return found


def test_nothing_is_read_while_the_provider_stalls(tmp_path: Path) -> None:
    script = tmp_path / "script.toml"
    script.write_text("[[step]]\nat_seconds = 0\nfor_seconds = 1.5\nstall = true\n")
    with start("smtp", tmp_path, script=script) as relay, connected(relay) as connection:
        started = time.monotonic()
        connection.sendall(b"EHLO a.dk\r\n")
        file = connection.makefile("rb")
        assert file.readline().startswith(b"220")
        assert file.readline().startswith(b"250")
        assert time.monotonic() - started > 0.3, "the simulator had started at most a second before"


@pytest.mark.parametrize(("field", "end"), [("cut", b"25"), ("garbage", GARBAGE + b"\r\n")])
def test_a_relay_cuts_and_talks_nonsense(tmp_path: Path, field: str, end: bytes) -> None:
    script = tmp_path / "script.toml"
    script.write_text(f"[[step]]\nat_seconds = 0\n{field} = true\n")
    with start("smtp", tmp_path, script=script) as relay, connected(relay) as connection:
        connection.sendall(b"EHLO a.dk\r\nMAIL FROM:<a@b.dk>\r\nRCPT TO:<c@d.dk>\r\nQUIT\r\n")
        connection.settimeout(5)
        said = b""
        while piece := connection.recv(4096):
            said += piece
    assert end in said
    assert said.endswith(b"25" if field == "cut" else b"221 2.0.0 Bye\r\n")


SCRIPT = """
[[step]]
at_seconds = 0
for_seconds = 3600
latency_ms = 30
answers = [{ share = 1.0, status = 429, retry_after = 0 }]
"""


def test_a_script_file_works_for_both_kinds_of_http(tmp_path: Path) -> None:
    script = tmp_path / "script.toml"
    script.write_text(SCRIPT)
    with start("fcm", tmp_path, script=script, mode="accept-all") as fcm:
        for http2 in (True, False):
            with httpx.Client(http2=http2, verify=trusting(fcm.ca_file), base_url=fcm.url) as client:
                answer = client.post("/v1/projects/p/messages:send", json={"message": {"token": "0token00"}})
            assert answer.status_code == 429
            assert answer.json()["error"]["details"][0]["errorCode"] == "QUOTA_EXCEEDED"
            assert answer.headers["retry-after"] == "0"
            assert answer.elapsed.total_seconds() >= 0.03


@pytest.mark.parametrize("http2", [True, False])
def test_garbage_and_cuts_reach_both_kinds_of_http(tmp_path: Path, http2: bool) -> None:
    script = tmp_path / "script.toml"
    script.write_text("[[step]]\nat_seconds = 0\ngarbage = 0.5\ncut = 0.5\n")
    seen: Counter[str] = Counter()
    with start("fcm", tmp_path, script=script, mode="accept-all") as fcm:
        for _ in range(12):
            with httpx.Client(http2=http2, verify=trusting(fcm.ca_file), base_url=fcm.url) as client:
                try:
                    answer = client.post("/v1/projects/p/messages:send", json={"message": {"token": "0token00"}})
                except httpx.TransportError:
                    seen["cut"] += 1
                else:
                    assert (answer.status_code, answer.content) == (500, GARBAGE)
                    seen["garbage"] += 1
        reasons = Counter(row["reason"] for row in fcm.wait_for_rows(12))
    assert seen.keys() == {"cut", "garbage"}
    assert reasons == Counter(Cut=seen["cut"], Garbage=seen["garbage"])


def test_a_provider_that_is_down_takes_connections_and_drops_them(tmp_path: Path) -> None:
    script = tmp_path / "script.toml"
    script.write_text("[[step]]\nat_seconds = 0\ndown = true\n")
    with start("apns", tmp_path, script=script) as apns, connected(apns) as connection:
        assert connection.recv(1) == b""


def test_a_connection_is_cut_when_the_provider_goes_down(tmp_path: Path) -> None:
    script = tmp_path / "script.toml"
    script.write_text("[[step]]\nat_seconds = 1\ndown = true\n")
    with start("smtp", tmp_path, script=script) as relay, connected(relay) as connection:
        file = connection.makefile("rb")
        assert file.readline().startswith(b"220")
        assert file.readline() == b""


def test_a_scripted_relay_greylists_a_share(tmp_path: Path) -> None:
    script = tmp_path / "script.toml"
    answers = '[{ share = 0.5, status = 451, reason = "4.7.1 Greylisted" }]'
    script.write_text(f"[[step]]\nat_seconds = 0\nlatency_ms = 1\nanswers = {answers}\n")
    with start("smtp", tmp_path, script=script, seed=3) as relay, smtplib.SMTP(relay.host, relay.port) as client:
        client.ehlo("localhost")
        client.mail("a@b.dk")
        codes = Counter(client.rcpt(f"m{number}@b.dk")[0] for number in range(40))
    assert codes.keys() == {250, 451}
    assert {row["reason"] for row in relay.rows()} == {"4.7.1"}
