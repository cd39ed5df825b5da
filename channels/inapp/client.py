"""The in-app lane's way out: one write to the inbox a slice, whatever its size."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import trio

from channels.inapp.answers import ANSWERS
from engine.outcomes import Outcome
from engine.records.errors import StoreUnavailable
from engine.records.roster import Roster, roster_of
from engine.records.work import Batch


class Putting(Protocol):
    """The one verb of the port `Inbox` that sending needs."""

    async def deliver(self, event: int, people: Roster, broadcast: bool) -> Roster: ...


class InappSender:
    """Puts items into inboxes. Implements `engine.ports.Sender`; addresses of endpoints are not looked at."""

    def __init__(self, inbox: Putting) -> None:
        self._inbox = inbox

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Nothing to keep: the link to the store is somebody else's."""
        task_status.started()
        await trio.sleep_forever()

    async def send(self, batch: Batch) -> Sequence[Outcome]:
        """Put the event into everybody's inbox; who has it already is accepted too."""
        people = roster_of(endpoint.number for endpoint in batch.endpoints)
        answer = "written"
        with trio.move_on_after(batch.deadline_seconds) as scope:
            try:
                await self._inbox.deliver(batch.event.number, people, batch.event.is_broadcast)
            except StoreUnavailable:
                answer = "store_unavailable"
        if scope.cancelled_caught:
            answer = "store_unavailable"
        return [ANSWERS[answer]] * len(batch.endpoints)
