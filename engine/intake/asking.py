"""What became of an event: the report, one person's story; and cancelling.

Another tenant's event looks like one that does not exist.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from engine.intake import moments
from engine.intake.exchange import Answer, Call
from engine.intake.problems import Problem
from engine.intake.wire import ChannelReport, Report, Step, Stopped, Story
from engine.ports import Directory, Work
from engine.records.event import Event, event_number, public_id
from engine.records.words import Stop
from engine.records.work import Counts, EventReport, PersonStep

Withdraw = Callable[[int], Awaitable[None]]
"""Takes an event out of every inbox; may be repeated."""

_STOPPED = "nothing more goes out; what waits ends as cancelled, and the inbox entries are withdrawn"
_STOPPED_BEFORE = "the event had already ended as {}; its inbox entries are withdrawn"
_ALL_SENT = "everything had gone out before; the inbox entries are withdrawn"


class AskingCalls:
    def __init__(self, work: Work, directory: Directory, withdraw: Withdraw, now_ms: Callable[[], int]) -> None:
        self._work = work
        self._directory = directory
        self._withdraw = withdraw
        self._now_ms = now_ms

    async def report(self, call: Call) -> Answer:
        """Where an event stands, by channel and end."""
        number = _number(call)
        report = await self._work.report(number, self._now_ms())
        if report is None or not call.caller.may_see(report.event.tenant):
            raise _no_event()
        return Answer(200, report_of(report))

    async def story(self, call: Call) -> Answer:
        """What became of one person in an event, step by step."""
        number = _number(call)
        await self._event(call, number)
        person = call.path["person"]
        numbers = await self._directory.numbers([person])
        steps = await self._work.story(number, numbers[person]) if person in numbers else None
        if steps is None:
            raise Problem("not-found", "The person is not in the event's audience, as far as it is planned.")
        return Answer(200, Story(public_id(number), person, tuple(map(_step, steps))))

    async def cancel(self, call: Call) -> Answer:
        """Stop an event and take it out of the inboxes. A repetition finishes what a crash left half done."""
        number = _number(call)
        event, _ = await self._event(call, number)
        cancelled = await self._work.cancel(number, self._now_ms())
        if cancelled is None:
            raise _no_event()
        await self._withdraw(number)
        if cancelled.holds is not Stop.CANCELLED:
            detail = _STOPPED_BEFORE.format(cancelled.holds.value)
        else:
            detail = _STOPPED if cancelled.has_caught else _ALL_SENT
        stopped = cancelled.holds is Stop.CANCELLED and cancelled.has_caught
        return Answer(202, Stopped(event.public_id, f"/v1/events/{event.public_id}", stopped, detail))

    async def _event(self, call: Call, number: int) -> tuple[Event, Stop | None]:
        found = (await self._work.events([number])).get(number)
        if found is None or not call.caller.may_see(found[0].tenant):
            raise _no_event()
        return found


def report_of(report: EventReport) -> Report:
    """The report as the API shows it."""
    event = report.event
    return Report(
        id=event.public_id,
        source=event.source,
        event_id=event.id,
        type=event.kind.value,
        tenant=event.tenant,
        category=event.category,
        urgency=event.urgency,
        sensitive=event.sensitive,
        state=report.state,
        stop=report.stop.value if report.stop else None,
        audience=report.audience,
        channels={channel: _channel(counts) for channel, counts in report.channels.items()},
        balanced=is_balanced(report),
        admitted=moments.shown(event.admitted_ms),
        expires=moments.shown(event.expires_ms),
        planned=_shown(report.planned_ms),
        last_settled=_shown(report.last_settled_ms),
    )


def is_balanced(report: EventReport) -> bool:
    """Whether the ledger adds up: each person planned or suppressed once a channel, no delivery ended twice."""
    return all(
        counts.people + sum(counts.suppressed.values()) == report.audience
        and counts.live >= 0
        and (report.state != "closed" or counts.live == 0)
        for counts in report.channels.values()
    )


def _channel(counts: Counts) -> ChannelReport:
    return ChannelReport(
        people=counts.people,
        suppressed=counts.suppressed,
        planned=counts.planned,
        ends=counts.ends,
        rejected_reasons=counts.rejected_reasons,
        retries=counts.retries,
        unknown=counts.unknown,
        live=counts.live,
        held=counts.held,
    )


def _step(step: PersonStep) -> Step:
    return Step(
        channel=step.channel,
        lane=step.lane,
        slot=step.slot,
        state=step.state,
        reason=step.reason,
        at=_shown(step.at_ms),
        attempt=step.attempt,
    )


def _shown(at_ms: int | None) -> str | None:
    return None if at_ms is None else moments.shown(at_ms)


def _number(call: Call) -> int:
    number = event_number(call.path["id"])
    if number is None:
        raise _no_event()
    return number


def _no_event() -> Problem:
    return Problem("not-found", "There is no such event for this API key.")
