"""`./klokke bench engine` as its user starts it: a tiny run that balances, and an interrupted one."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc and pins cores, which only Linux has")
COMMAND = [sys.executable, "-u", "-m", "loadtests.bench", "engine"]


def environment(folder: Path) -> dict[str, str]:
    return {**os.environ, "TMPDIR": str(folder), "COLUMNS": "120"}


def test_a_tiny_run_balances_and_its_figures_hold_every_process(tmp_path: Path) -> None:
    file = tmp_path / "figures.json"
    options = ["--recipients", "2000", "--rounds", "1", "--years", "10", "--json", str(file)]
    done = subprocess.run([*COMMAND, *options], capture_output=True, text=True, env=environment(tmp_path), check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "balanced: lost 0, duplicates 0" in done.stdout
    found = json.loads(file.read_text())
    (size,) = found["sizes"]
    assert found["balanced"]
    assert size["received"] == size["deliveries"]["push"] > 500
    assert size["deliveries"]["inapp"] == 2_000
    assert 0 < size["seconds_to_last_push_answer"] <= size["seconds"] < 30
    processes = {"simulated apns", "simulated fcm", "store", "urgent", "dispatch", "fanout+upkeep"}
    assert processes <= size["cpu_seconds"].keys() == size["peak_rss_mb"].keys()
    assert all(megabytes > 1 for megabytes in size["peak_rss_mb"].values())
    assert size["urgent_when_idle"]["messages"] > 0
    assert sorted(path.name for path in tmp_path.iterdir()) == ["figures.json"]


def test_an_interrupt_stops_everything_and_leaves_nothing_behind(tmp_path: Path) -> None:
    with subprocess.Popen(
        [*COMMAND, "--recipients", "1000"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment(tmp_path),
    ) as bench:
        assert bench.stdout is not None
        assert any("starting the engine" in line for line in bench.stdout)
        bench.send_signal(signal.SIGINT)
        said = bench.communicate(timeout=60)[1]
    assert bench.returncode == 130, said
    assert said.strip() == "klokke bench: stopped; nothing is left running"
    assert list(tmp_path.iterdir()) == []
