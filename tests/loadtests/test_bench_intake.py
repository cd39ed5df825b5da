"""The intake benchmark: its bytes, its reader, its sums; and one tiny run against a real store and a real intake."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import h11
import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadtests.bench.intake import figures, proof
from loadtests.bench.intake.answers import Unreadable, take_answer
from loadtests.bench.intake.figures import Phase, Proof, held, phase, statements
from loadtests.bench.intake.generator import Result
from loadtests.bench.intake.proof import Kept
from loadtests.bench.intake.requests import Audience, Load, Spelled, audiences_of

ROOT = Path(__file__).parents[2]
CLASSES = (Audience("0101", "c-1"), Audience("0147", "c-2"))


def load(batch: int = 1) -> Load:
    return Load(label="t", api_key="k", audiences=CLASSES, batch=batch)


def test_requests_are_whole_and_every_event_has_its_own_id() -> None:
    ids = []
    for number in range(3):
        reader = h11.Connection(h11.SERVER)
        reader.receive_data(Spelled(load(batch=2)).request(number))
        assert isinstance(reader.next_event(), h11.Request)
        body = reader.next_event()
        assert isinstance(body, h11.Data)
        assert isinstance(reader.next_event(), h11.EndOfMessage)
        ids += [one["id"] for one in json.loads(bytes(body.data))]
    assert ids == [f"t-{number:09d}" for number in range(6)]


def test_a_batch_holds_what_the_same_numbers_are_as_singles() -> None:
    batch = json.loads(Spelled(load(batch=3)).body(1))
    assert batch == [json.loads(Spelled(load()).body(number)) for number in (3, 4, 5)]


def test_classes_are_taken_from_the_whole_population_with_their_municipality() -> None:
    lines = [{"kind": "institution", "id": "i", "tenant": "0101"}]
    lines += [{"kind": "group", "id": f"g{at}", "institution": "i"} for at in range(10)]
    text = "\n".join(map(json.dumps, lines)).encode()
    assert audiences_of(text, 2) == (Audience("0101", "g0"), Audience("0101", "g5"))
    assert len(audiences_of(text, 100)) == 10


@given(st.lists(st.tuples(st.sampled_from([202, 422]), st.binary(max_size=30)), max_size=4), st.integers(1, 40))
def test_answers_are_the_same_however_they_are_cut(answers: list[tuple[int, bytes]], step: int) -> None:
    sent = b"".join(b"HTTP/1.1 %d X\r\nContent-Length: %d\r\n\r\n%b" % (status, len(b), b) for status, b in answers)
    buffer, found = bytearray(), []
    for at in range(0, len(sent), step):
        buffer += sent[at : at + step]
        while (one := take_answer(buffer)) is not None:
            found.append(one)
    assert found == answers
    assert not buffer


def test_what_is_no_answer_is_said() -> None:
    with pytest.raises(Unreadable):
        take_answer(bytearray(b"SSH-2.0\r\n\r\n"))


RESULT = Result(
    sent=12,
    statuses={202: 9, 503: 2},
    broken=1,
    latencies=[0.001 * at for at in range(1, 12)],
    seconds=2.0,
    cpu_seconds=0,
)


def test_a_phase_counts_events_errors_and_costs() -> None:
    one = phase("p", RESULT, {"intake": 0.009}, batch=10, requests_per_second=5)
    assert (one.events, one.errors, one.events_per_second, one.asked_per_second) == (90, 3, 45.0, 50.0)
    assert (one.p50_ms, one.p99_ms, round(one.cpu_us_per_event["intake"])) == (6.0, 11.0, 100)


@pytest.mark.parametrize(
    ("rate", "errors", "expected"), [(100.0, 0, True), (99.0, 0, True), (97.0, 0, False), (100.0, 1, False)]
)
def test_a_rate_is_held_without_errors_and_without_falling_behind(rate: float, errors: int, expected: bool) -> None:
    assert held(at_rate(rate, errors)) is expected


def at_rate(rate: float, errors: int = 0, asked: float = 100.0) -> Phase:
    return Phase(
        name="p",
        events=1,
        errors=errors,
        seconds=1.0,
        events_per_second=rate,
        asked_per_second=asked,
        p50_ms=1.0,
        p99_ms=2.0,
        worst_ms=3.0,
        cpu_us_per_event={},
    )


@pytest.mark.parametrize(("known", "reached"), [(5, True), (4, False)])
def test_targets_are_reached_by_rate_and_by_proof(known: int, reached: bool) -> None:
    phases = {
        f"{kind} {how}": at_rate(rate, asked=rate)
        for kind, rate in figures.TARGETS.items()
        for how in ("at rate", "at most")
    }
    found = statements(phases, Proof(5, known))
    assert [one.reached for one in found] == [True, True, reached]


def test_what_is_lost_is_not_counted_as_known(tmp_path: Path) -> None:
    assert proof.count([Kept(b"", "a"), Kept(b"", "b")], ["a", "c"]) == 1


def test_a_tiny_run_reports_every_phase_and_loses_nothing(tmp_path: Path) -> None:
    out = tmp_path / "out.json"
    command = [sys.executable, "-m", "loadtests.bench", "intake", "--quick", "--seconds", "0.2", "--json", str(out)]
    done = subprocess.run([*command, "--folder", str(tmp_path)], cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    found = json.loads(out.read_text())
    phases = {one["name"]: one for one in found["phases"]}
    assert {"singles at most", "singles at rate", "batches at most", "batches at rate"} < set(phases)
    assert all(one["errors"] == 0 and one["events"] > 0 for one in phases.values())
    assert found["durable"]["asked"] == found["durable"]["known"] > 0
    assert [one["target"] for one in found["targets"]][-1] == "every 202 is durable"
    assert list(tmp_path.iterdir()) == [out]


@pytest.mark.parametrize(
    ("option", "value", "sentence"),
    [
        ("--json", "", "is a folder; name a file"),
        ("--json", "none/x.json", "name a file in a folder that exists"),
        ("--folder", "none", "is no folder that can be written to"),
    ],
)
def test_what_cannot_be_written_is_said_before_anything_is_measured(
    tmp_path: Path, option: str, value: str, sentence: str
) -> None:
    command = [sys.executable, "-m", "loadtests.bench", "intake", option, str(tmp_path / value)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=10)
    assert done.returncode == 1
    assert sentence in " ".join(done.stdout.split())
    assert list(tmp_path.iterdir()) == []
