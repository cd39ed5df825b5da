"""`./klokke bench push`: what its figures mean, what it sends, and one short real run."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

import msgspec
import pytest

from channels.simulator import certificates
from engine.records.work import SLICE_PEOPLE_MAX
from loadtests.bench.measuring import percentile
from loadtests.bench.push import figures, servers, shapes
from loadtests.bench.push.course import Course
from loadtests.bench.push.figures import Target
from loadtests.bench.push.meter import full_rate_after
from loadtests.bench.push.plan import SCENARIOS, Run, plan
from loadtests.bench.push.processes import ROOT, BenchFault
from loadtests.bench.push.task import PEOPLE, Sample, Task
from loadtests.bench.push.with_h2load import read

TASK = Task(shape="apns", url="https://localhost:1", ca_file="", pushes=50_000, core=None)


def sample(pushes: int = 1_000, cpu_us: float = 5.0, seconds: float = 1.0, **fields: object) -> Sample:
    given = {"accepted": pushes, "outcomes": {}, "server_cpu_seconds": 0.0, "peak_rss_mb": 60.0}
    return Sample(**{**given, "pushes": pushes, "seconds": seconds, "cpu_seconds": cpu_us * pushes / 1e6, **fields})  # type: ignore[arg-type]


def test_each_figure_is_the_median_over_rounds() -> None:
    found = figures.of([sample(seconds=1.0, cpu_us=9), sample(seconds=0.5, cpu_us=4), sample(seconds=2.0, cpu_us=5)])
    assert found.rate == 1_000
    assert found.cpu_us == pytest.approx(5)
    assert found.rounds == 3


def test_a_ratio_compares_cpu_at_the_same_server_and_the_least_kind_one_counts() -> None:
    rows = {
        "ours apns nghttpd": figures.of([sample(cpu_us=3)]),
        "ours apns haproxy": figures.of([sample(cpu_us=4)]),
        "h2load nghttpd": figures.of([sample(cpu_us=2.7)]),
        "h2load haproxy": figures.of([sample(cpu_us=2)]),
        "aioapns haproxy": figures.of([sample(cpu_us=400)]),
    }
    assert figures.ratios(rows) == {
        "aioapns": pytest.approx(100),
        "h2load": pytest.approx(0.5),
        "httpx": None,
    }


@pytest.mark.parametrize(
    ("target", "sentence"),
    [
        (Target("CPU a push", 9, False, "us", 6.2), "CPU a push: target <= 9 us: 6.2, met"),
        (Target("CPU a push", 9, False, "us", 9.01), "CPU a push: target <= 9 us: 9.01, not met"),
        (Target("rate", 100_000, True, "a second", 99_999.0), "rate: target >= 100,000 a second: 99,999, not met"),
        (Target("rate", 100_000, True, "a second", 1e5), "rate: target >= 100,000 a second: 100,000, met"),
        (Target("rate", 60_000, True, "a second", None), "rate: target >= 60,000 a second: not measured"),
    ],
)
def test_a_target_is_a_plain_sentence(target: Target, sentence: str) -> None:
    assert target.sentence() == sentence


def test_memory_is_judged_by_the_last_nine_tenths() -> None:
    run = sample(rss_mb=(50.0, 60.0, 61.5))
    assert figures.growth_mb(run) == 1.5
    assert figures.growth_mb(None) is None
    assert figures.as_json({}, run)["long_run"]["rss_mb_at_start_tenth_end"] == (50.0, 60.0, 61.5)


def test_the_full_rate_begins_where_nine_tenths_of_the_usual_rate_were_reached() -> None:
    slow = [(0.05, 100), (0.15, 400)]
    fast = [(0.25 + 0.1 * step, 1_000) for step in range(10)]
    assert full_rate_after([*slow, *fast]) == pytest.approx(0.2)
    assert full_rate_after(fast[:1]) == pytest.approx(0.0)
    assert full_rate_after([]) == 0.0


def test_percentiles_are_values_that_were_measured() -> None:
    assert percentile([5, 1, 3], 0.5) == 3
    assert percentile(list(range(1, 101)), 0.99) == 99


def test_batches_hold_every_push_once_with_distinct_tokens_in_each_event() -> None:
    batches = list(shapes.batches(TASK))
    assert sum(len(batch.endpoints) for batch in batches) == TASK.pushes
    assert max(len(batch.endpoints) for batch in batches) == SLICE_PEOPLE_MAX
    seen = Counter((batch.event.number, one.address) for batch in batches for one in batch.endpoints)
    assert set(seen.values()) == {1}
    assert len({batch.event.number for batch in batches}) == 3  # 20,000 phones each


def test_interleaved_events_take_turns() -> None:
    task = msgspec.structs.replace(TASK, events=4, batch_people=46, pushes=46 * 6)
    assert [batch.event.number for batch in shapes.batches(task)] == [1, 2, 3, 4, 1, 2]


def test_the_wanted_shares_are_refused() -> None:
    tokens = [one.address for one in shapes.phones("apns", PEOPLE, refused=0.05, unavailable=0.01)]
    found = Counter(token[:4] for token in tokens if not token[:1].isdigit())
    assert found[b"dead"] + found[b"badd"] == PEOPLE * 0.05
    assert found[b"dead"] == found[b"badd"]
    assert found[b"fade"] == PEOPLE * 0.01
    assert {len(token) for token in tokens} == {64}
    assert len(set(tokens)) == PEOPLE


def test_where_nothing_is_installed_the_simulator_serves_and_h2load_is_left_out() -> None:
    names = [one.name for one in plan(SCENARIOS, frozenset(), 200_000)]
    assert names == ["ours apns simulator", "aioapns simulator", "httpx simulator", "ours fcm simulator",
                     "ours refused refusing", "ours latency simulator", "ours small simulator",
                     "ours events simulator"]  # fmt: skip


def test_every_peer_stands_beside_a_row_of_ours_at_the_same_server() -> None:
    names = [one.name for one in plan(["peers"], frozenset({"nghttpd", "haproxy", "h2load"}), 200_000)]
    theirs = [name.partition(" ")[2] for name in names if not name.startswith("ours")]
    assert {f"ours apns {server}" for server in theirs} <= set(names)
    assert len(theirs) == 4


def test_h2loads_report_is_read() -> None:
    report = "finished in 874.21ms, 114388.98 req/s, 3.70MB/s\nstatus codes: 99990 2xx, 0 3xx, 7 4xx, 3 5xx\n"
    seconds, accepted, others = read(report)
    assert seconds == pytest.approx(0.87421)
    assert (accepted, others) == (99_990, 10)
    with pytest.raises(BenchFault, match="report"):
        read("Segmentation fault")


@pytest.mark.skipif(servers.installed("haproxy") is None, reason="haproxy is not installed")
def test_haproxy_finds_nothing_to_complain_about(tmp_path: Path) -> None:
    files = certificates.files(tmp_path)
    both = tmp_path / "both.pem"
    both.write_bytes(files.certificate.read_bytes() + files.key.read_bytes())
    written = tmp_path / "haproxy.cfg"
    written.write_text(servers.haproxy_configuration(10_443, both))
    checked = subprocess.run([servers.installed("haproxy") or "", "-c", "-f", written], capture_output=True, text=True)
    assert checked.returncode == 0, checked.stderr


def test_at_the_simulator_behind_the_relay_everything_is_accepted(tmp_path: Path) -> None:
    options = {"shape": "apns", "pushes": 300, "people": 100, "batch_people": 50, "warm_up": 0}
    with Course(tmp_path) as course:
        far = course.measure(Run("ours far simulator", "loadtests.bench.push.ours", "simulator", options, is_far=True))
        fcm = Run("ours fcm simulator", "loadtests.bench.push.ours", "simulator", {**options, "shape": "fcm"})
        assert course.measure(fcm).accepted == 300
    assert far.accepted == far.pushes == 300
    assert far.seconds > 0.06  # at least one way there and back
    assert far.cpu_us > 0


def test_a_short_run_ends_well_and_writes_its_figures(tmp_path: Path) -> None:
    file = tmp_path / "push.json"
    command = ["--rounds", "1", "--round-pushes", "300", "--pushes", "1000", "--json", str(file)]
    command += ["--scenario", "peers", "--scenario", "refused"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    run = subprocess.run(
        [sys.executable, "-m", "loadtests.bench", "push", *command], capture_output=True, text=True, env=environment
    )
    assert run.returncode == 0, run.stderr
    written = json.loads(file.read_text())
    assert written["ratios"].keys() == {"aioapns", "httpx", "h2load"}
    assert written["ratios"]["httpx"] > 0
    assert {"pushes_per_second", "cpu_us_per_push", "peak_rss_mb", "machine", "versions", "date"} <= written.keys()
    refused = next(outcomes for name, outcomes in written["outcomes"].items() if "refused" in name)
    assert {"Rejected BadDeviceToken", "Rejected Unregistered", "Throttled ServiceUnavailable"} <= refused.keys()
    assert written["long_run"]["pushes"] == 1_000
    assert "APNs shape, CPU a push: target <= 9 us:" in run.stdout


def test_a_wrong_option_is_one_sentence(tmp_path: Path) -> None:
    run = subprocess.run(
        [sys.executable, "-m", "loadtests.bench", "push", "--json", str(tmp_path / "none" / "x.json")],
        capture_output=True, text=True, env={**os.environ, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    assert run.returncode == 1
    assert run.stderr.startswith(f"klokke bench push: --json: {tmp_path / 'none' / 'x.json'} cannot be written")
