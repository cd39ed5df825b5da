"""The whole engine as its user starts it, and `kill -9` of each of its processes in the middle of the work."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

PLACES = {"urgent and dispatch": (2, 3), "fanout+upkeep": (1,), "intake+gateway": (0,)}
RECIPIENTS = 20_000


def process_of(config: str, place: int) -> int:
    """The pid of the engine's process at a place of the layout, found by its command line."""
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        for folder in Path("/proc").iterdir():
            if folder.name.isdigit():
                try:
                    words = (folder / "cmdline").read_bytes().decode().split("\0")
                except OSError:
                    continue
                if "process" in words and config in words and words[words.index("--place") + 1] == str(place):
                    return int(folder.name)
        time.sleep(0.02)
    raise AssertionError(f"no process at place {place}")


def config_of(demo: subprocess.Popen[str]) -> str:
    """The configuration that the demo's engine was started with."""
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            try:
                words = (folder / "cmdline").read_bytes().decode().split("\0")
                parent = int((folder / "stat").read_text().rsplit(")", 1)[1].split()[1])
            except OSError:
                continue
            if parent == demo.pid and "run" in words and "--config" in words:
                return words[words.index("--config") + 1]
    raise AssertionError("the demo started no engine")


@pytest.mark.skipif(sys.platform != "linux", reason="finds the engine's processes in /proc, which only Linux has")
def test_killing_its_processes_in_the_middle_of_the_demo_loses_nothing(tmp_path: Path) -> None:
    figures = tmp_path / "figures.json"
    options = ("--recipients", str(RECIPIENTS), "--lease-seconds", "3", "--json", str(figures))
    demo = subprocess.Popen(
        [sys.executable, "-u", "-m", "loadtests.demo", *options],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={**os.environ, "TMPDIR": str(tmp_path), "COLUMNS": "120"},
    )
    assert demo.stdout is not None
    said: list[str] = []
    try:
        for line in demo.stdout:
            said.append(line)
            if line.startswith("posting"):
                for step, places in enumerate(PLACES.values(), 1):
                    wait_until_it_sends(tmp_path, letters=step * 1_500)
                    for place in places:
                        os.kill(process_of(config_of(demo), place), signal.SIGKILL)
        demo.wait(60)
    finally:
        demo.terminate()
        demo.wait(60)
    assert demo.returncode == 0, "".join(said[-30:])
    found = json.loads(figures.read_text())
    assert found["conserved"]
    assert found["lost"] == 0
    assert found["duplicates"] <= found["duplicate_bound"]


def wait_until_it_sends(folder: Path, letters: int) -> None:
    """Return when the national event is on its way: the mail relay has taken about so many letters."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        ledgers = list(folder.glob("klokke-demo-*/smtp.tsv"))
        if ledgers and ledgers[0].stat().st_size > letters * 100:
            return
        time.sleep(0.01)
    raise AssertionError("nothing was sent")
