"""Keeps the engine's processes alive: starts them, starts them again when they die, stops them in order.

    1  the store first, when it is ours
    2  then every process of the layout; one that dies is started again, after 0.2 s at first, then longer up to 10 s
    3  SIGTERM or SIGINT: every process gets SIGTERM and drains; who is not done in time gets SIGKILL
    4  the store last

A process also drains when its supervisor is killed: its standard input is a pipe that then ends (`wait_for_orphaning`).
The kernel's parent-death signal is not used for them: it comes when the *thread* that started a process ends, and trio
starts processes in worker threads.
"""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import AsyncIterator, Callable, Sequence

import msgspec
import structlog
import trio

log = structlog.get_logger()

RESTART_SECONDS_FIRST = 0.2
RESTART_SECONDS_MAX = 10.0
STEADY_SECONDS = 30.0
"""A process that ran for so long was well: its next restart does not wait longer than the first."""


class ProcessSpec(msgspec.Struct, frozen=True):
    """One process: its name in logs and the command that runs it."""

    name: str
    command: tuple[str, ...]


StoreProcess = subprocess.Popen[bytes]


class Store(msgspec.Struct, frozen=True):
    """How to start and stop the bundled store.

    `spawn` runs in the main thread, since the store is told to die with the thread that started it; the others block.
    """

    spawn: Callable[[], StoreProcess]
    wait_until_it_answers: Callable[[StoreProcess], None]
    stop: Callable[[StoreProcess], None]


async def supervise(specs: Sequence[ProcessSpec], store: Store | None, stop_seconds_max: float) -> None:
    """Run everything until SIGTERM or SIGINT, then stop it in order."""
    with trio.open_signal_receiver(signal.SIGTERM, signal.SIGINT) as signals:
        async with trio.open_nursery() as nursery:
            if store is not None:
                await nursery.start(_keep_store, store)
            try:
                await _run_until_signalled(specs, signals, stop_seconds_max)
            finally:
                nursery.cancel_scope.cancel()


async def _run_until_signalled(
    specs: Sequence[ProcessSpec], signals: AsyncIterator[int], stop_seconds_max: float
) -> None:
    async with trio.open_nursery() as nursery:
        for spec in specs:
            nursery.start_soon(_keep, spec, stop_seconds_max)
        async for number in signals:
            log.info("stopping", signal=signal.Signals(number).name)
            break
        nursery.cancel_scope.cancel()


async def _keep(spec: ProcessSpec, stop_seconds_max: float) -> None:
    """Run one process, again and again, until cancelled; then end it by SIGTERM, at last by SIGKILL."""
    pause = RESTART_SECONDS_FIRST
    while True:
        started = trio.current_time()
        process = await trio.lowlevel.open_process(list(spec.command), stdin=subprocess.PIPE)
        log.info("started", name=spec.name, pid=process.pid)
        try:
            code = await process.wait()
        except trio.Cancelled:
            with trio.CancelScope(shield=True):
                await _end(process, stop_seconds_max)
            raise
        if trio.current_time() - started > STEADY_SECONDS:
            pause = RESTART_SECONDS_FIRST
        log.warning("process ended; starting it again", name=spec.name, code=code, pause_seconds=pause)
        await trio.sleep(pause)
        pause = min(pause * 2, RESTART_SECONDS_MAX)


async def _end(process: trio.Process, stop_seconds_max: float) -> None:
    process.terminate()
    with trio.move_on_after(stop_seconds_max):
        await process.wait()
        return
    process.kill()
    await process.wait()


async def _keep_store(store: Store, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
    """Run the bundled store; start it again on the same data when it dies."""
    process = store.spawn()
    try:
        await trio.to_thread.run_sync(store.wait_until_it_answers, process)
        task_status.started()
        while True:
            await trio.to_thread.run_sync(process.wait, abandon_on_cancel=True)
            log.warning("the store ended; starting it again", code=process.returncode)
            await trio.sleep(RESTART_SECONDS_FIRST)
            process = store.spawn()
            await trio.to_thread.run_sync(store.wait_until_it_answers, process)
    finally:
        with trio.CancelScope(shield=True):
            await trio.to_thread.run_sync(store.stop, process)


async def wait_for_orphaning() -> None:
    """In a process that a supervisor started: return when that supervisor is gone, however it ended."""
    async with trio.lowlevel.FdStream(os.dup(0)) as stdin:
        while await stdin.receive_some():
            pass
