"""An intake as a process of its own, for tests that kill it: `python -m tests.intake.served STORE_URL live|die`.

Prints its port, then its key. With `die` it kills itself the moment an event is durable, before anyone is answered.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Sequence

import trio

from engine.intake import serving
from engine.records.event import Admission, Event
from queueing.link import Link
from queueing.work import StoreWork
from tests.intake.conftest import Town, settle


class Deadly(StoreWork):
    """A ledger that is the last thing its process sees."""

    def __init__(self, link: Link) -> None:
        super().__init__(link)
        commit = self.admit

        async def admit(events: Sequence[Event], fingerprints: Sequence[bytes]) -> list[Admission]:
            await commit(events, fingerprints)
            os.kill(os.getpid(), signal.SIGKILL)
            return []

        self.admit = admit


async def main(url: str, way: str) -> None:
    link = Link(url)
    town = Town(link)
    if way == "die":
        town.work = Deadly(link)
    await settle(town.directory)
    listeners = await trio.open_tcp_listeners(0, host="127.0.0.1")

    async def stopped() -> None:
        with trio.open_signal_receiver(signal.SIGTERM) as signals:
            print(listeners[0].socket.getsockname()[1], town.secrets["school"], flush=True)
            async for _ in signals:
                return

    await serving.serve(town.make(), listeners, stopped)


if __name__ == "__main__":
    trio.run(main, sys.argv[1], sys.argv[2])
