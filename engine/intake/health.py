"""Is the process alive, and should it get requests? For load balancers and supervisors; no key needed."""

from __future__ import annotations

import trio

from engine.intake.exchange import Answer, Call
from engine.intake.limits import READY_SECONDS_MAX
from engine.intake.problems import Problem, retry_after
from engine.intake.wire import Health
from engine.ports import Directory
from engine.records.errors import StoreUnavailable


class HealthCalls:
    def __init__(self, directory: Directory) -> None:
        self._directory = directory
        self.is_stopping = False

    async def alive(self, call: Call) -> Answer:
        """The process answers; nothing else is asked."""
        return Answer(200, Health("ok"))

    async def ready(self, call: Call) -> Answer:
        """The store answers and the process is not stopping."""
        if self.is_stopping:
            raise Problem("stopping", headers=retry_after(1))
        with trio.move_on_after(READY_SECONDS_MAX):
            await self._directory.stamp()
            return Answer(200, Health("ok"))
        raise StoreUnavailable("the store did not answer in time")
