"""The supervisor: what dies is started again, and nothing is left behind."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

import trio

from engine.supervisor import ProcessSpec, supervise

WRITES_ITS_PID_AND_WAITS = (
    "import os, pathlib, signal, sys; pathlib.Path(sys.argv[1]).joinpath(str(os.getpid())).touch(); signal.pause()"
)


def spec(folder: Path) -> ProcessSpec:
    return ProcessSpec("child", (sys.executable, "-c", WRITES_ITS_PID_AND_WAITS, str(folder)))


async def pids(folder: Path, count: int) -> list[int]:
    with trio.fail_after(10):
        while len(found := sorted(int(path.name) for path in folder.iterdir())) < count:
            await trio.sleep(0.01)
    return found


def is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


async def test_a_killed_process_is_started_again_and_sigterm_ends_all(tmp_path: Path) -> None:
    async with trio.open_nursery() as nursery:
        nursery.start_soon(supervise, [spec(tmp_path)], None, 5.0)
        (first,) = await pids(tmp_path, 1)
        os.kill(first, signal.SIGKILL)
        both = await pids(tmp_path, 2)
        os.kill(os.getpid(), signal.SIGTERM)
    assert not any(is_alive(pid) for pid in both)


async def test_a_process_that_ignores_sigterm_is_killed(tmp_path: Path) -> None:
    stubborn = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN);" + WRITES_ITS_PID_AND_WAITS
    async with trio.open_nursery() as nursery:
        command = (sys.executable, "-c", stubborn, str(tmp_path))
        nursery.start_soon(supervise, [ProcessSpec("stubborn", command)], None, 0.2)
        (pid,) = await pids(tmp_path, 1)
        os.kill(os.getpid(), signal.SIGTERM)
    assert not is_alive(pid)


async def test_a_process_notices_that_its_supervisor_was_killed(tmp_path: Path) -> None:
    child = (
        "import pathlib, sys, trio; from engine.supervisor import wait_for_orphaning;"
        "pathlib.Path(sys.argv[1], 'started').touch(); trio.run(wait_for_orphaning);"
        "pathlib.Path(sys.argv[1], 'noticed').touch()"
    )
    parent = (
        "import sys, trio; from engine.supervisor import ProcessSpec, supervise;"
        "trio.run(supervise, [ProcessSpec('child', (sys.executable, '-c', *sys.argv[1:]))], None, 1.0)"
    )
    process = await trio.lowlevel.open_process([sys.executable, "-c", parent, child, str(tmp_path)])
    with trio.fail_after(20):
        while not (tmp_path / "started").exists():
            await trio.sleep(0.01)
        process.kill()
        await process.wait()
        while not (tmp_path / "noticed").exists():
            await trio.sleep(0.01)
