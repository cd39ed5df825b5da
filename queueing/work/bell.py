"""The bell: tasks wait for work without asking again and again; the store rings when there is some."""

from __future__ import annotations

from weakref import WeakKeyDictionary

import trio

from queueing import keys
from queueing.link import Link


class Bell:
    """Counts rings, and remembers for each task which it has seen, so that a ring between two waits is not lost."""

    def __init__(self, link: Link) -> None:
        self._link = link
        self._rings = 0
        self._rung = trio.Event()
        self._seen: WeakKeyDictionary[trio.lowlevel.Task, int] = WeakKeyDictionary()

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Listen until cancelled. Without this task, waiting lasts its full time and nothing else is lost."""
        send, receive = trio.open_memory_channel[tuple[str, bytes]](1)  # one ring says as much as ten
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._link.listen, [keys.BELL], send)
            task_status.started()
            async for _ in receive:
                self.ring()

    def ring(self) -> None:
        """Wake all who wait."""
        self._rings += 1
        self._rung.set()
        self._rung = trio.Event()

    async def wait(self, seconds: float) -> None:
        """Return when the bell rings, or has rung since this task last waited; at the latest after `seconds`."""
        task = trio.lowlevel.current_task()
        if self._seen.get(task, 0) == self._rings:
            with trio.move_on_after(seconds):
                await self._rung.wait()
        else:
            await trio.lowlevel.checkpoint()
        self._seen[task] = self._rings
