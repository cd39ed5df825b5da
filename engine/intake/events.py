"""`POST /v1/events`: one event or a batch. 202 only once everything is durable.

A repetition (same source, id and content) gets the first answer again; the same key with other content is refused.
One faulty event refuses its whole batch, with a pointer that starts with its place in the list.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from itertools import count
from random import Random

import trio

from engine.intake import cloudevents
from engine.intake.admission import Draft, drafted
from engine.intake.desk import Desk, Unfit
from engine.intake.exchange import Answer, Call
from engine.intake.faults import Fault, at
from engine.intake.keys import Service
from engine.intake.limits import (
    BATCH_BYTES_MAX,
    BATCH_EVENTS_MAX,
    EVENT_BYTES_MAX,
    LARGE_BODY_SECONDS_MAX,
    Share,
    is_shed,
)
from engine.intake.problems import Problem, invalid, retry_after
from engine.intake.strict_json import Malformed
from engine.intake.wire import Admitted, AdmittedBatch
from engine.ports import Observer
from engine.records.event import Admission, public_id
from engine.rules.numbering import DRAW_BITS

EVENTS_BETWEEN_CHECKPOINTS = 50  # about 2 ms: a large batch must not hold up an urgent single event

FindAdmitted = Callable[[str, str, str], Awaitable[tuple[int, bytes] | None]]
"""(tenant, source, id) -> the number and fingerprint under that idempotency key, if any."""

_REPLAYED = ((b"idempotent-replayed", b"true"),)


class EventCalls:
    """Args:
    find_admitted: asked when time alone speaks against an event (its expiry has passed), so that a late repetition
        still gets the first answer; without it such a repetition is refused as any expired event.
    random: draws where numbers start and how retries are spread.
    """

    def __init__(
        self,
        desk: Desk,
        services: Sequence[Service],
        observer: Observer,
        now_ms: Callable[[], int],
        random: Random,
        find_admitted: FindAdmitted | None,
    ) -> None:
        self._desk = desk
        self._observer = observer
        self._now_ms = now_ms
        self._random = random
        self._find_admitted = find_admitted
        # batches are read one after the other: side by side they would all be ready at the same late moment, and the
        # store would be idle until then (17,000 instead of 24,000 events a second)
        self._batch_turn = trio.Lock()
        self._draws = count(random.getrandbits(DRAW_BITS))
        self._shares = {s.name: Share(s.rate_per_second, s.per_day) for s in services if s.rate_per_second or s.per_day}

    async def post(self, call: Call) -> Answer:
        """Admit one event or a batch, by the body's media type."""
        kind = call.media_type()
        if kind == cloudevents.STRUCTURED:
            return await self._post_one(call)
        if kind == cloudevents.BATCH:
            return await self._post_batch(call)
        raise Problem(
            "unsupported-media-type",
            f"send CloudEvents as {cloudevents.STRUCTURED} or {cloudevents.BATCH}; binary mode is not taken",
        )

    async def _post_one(self, call: Call) -> Answer:
        body = await call.body(EVENT_BYTES_MAX)
        made = self._drafted(body, "", call.caller)
        if isinstance(made, list):
            raise refused(made)
        self._check_share(call.caller, 1)
        replay = await self._replay_of_late(made)
        admissions = [replay] if replay is not None else await self._admit([made])
        if admissions[0].status == "conflict":
            raise Problem("idempotency-mismatch", "Choose a fresh id for new content.", errors=[_mismatch("")])
        answer = _admitted(admissions[0])
        headers = _REPLAYED if admissions[0].status == "same" else ()
        return Answer(202, answer, ((b"location", answer.status_url.encode()), *headers))

    async def _post_batch(self, call: Call) -> Answer:
        body = await call.body(BATCH_BYTES_MAX, LARGE_BODY_SECONDS_MAX)
        try:
            raws = cloudevents.split_batch(body)
        except Malformed as error:
            raise Problem("malformed-json", str(error)) from None
        if not 1 <= len(raws) <= BATCH_EVENTS_MAX:
            raise invalid([Fault("", "batch-size", f"a batch holds 1 to {BATCH_EVENTS_MAX} events")])
        drafts, faults = await self._drafts(raws, call.caller)
        if faults:
            raise refused(faults)
        self._check_share(call.caller, len(drafts))
        replays = {place: replay for place, d in enumerate(drafts) if (replay := await self._replay_of_late(d))}
        fresh = iter(await self._admit([draft for place, draft in enumerate(drafts) if place not in replays]))
        admissions = [replays.get(place) or next(fresh) for place in range(len(drafts))]
        return _batch_answer(admissions)

    async def _drafts(self, raws: Sequence[bytes | memoryview], service: Service) -> tuple[list[Draft], list[Fault]]:
        drafts: list[Draft] = []
        faults: list[Fault] = []
        async with self._batch_turn:
            await self._draft_all(raws, service, drafts, faults)
        return drafts, faults

    async def _draft_all(
        self, raws: Sequence[bytes | memoryview], service: Service, drafts: list[Draft], faults: list[Fault]
    ) -> None:
        for place, raw in enumerate(raws):
            if place % EVENTS_BETWEEN_CHECKPOINTS == EVENTS_BETWEEN_CHECKPOINTS - 1:
                await trio.lowlevel.checkpoint()
            made = self._drafted(raw, at("", place), service)
            if isinstance(made, list):
                faults += made
            else:
                drafts.append(made)

    def _drafted(self, body: bytes | memoryview, pointer: str, service: Service) -> Draft | list[Fault]:
        try:
            return drafted(cloudevents.read_event(body), pointer, service, self._now_ms(), next(self._draws))
        except Malformed as error:
            where = f" (in event {pointer[1:]} of the batch)" if pointer else ""
            raise Problem("malformed-json", f"{error}{where}") from None

    def _check_share(self, service: Service, events: int) -> None:
        share = self._shares.get(service.name)
        if share is None:
            return
        verdict = share.take(events, self._now_ms() / 1000)
        if verdict.refused_by is not None:
            raise Problem(verdict.refused_by, headers=retry_after(verdict.wait_seconds))

    async def _replay_of_late(self, draft: Draft) -> Admission | None:
        """The first answer to an event that only time speaks against.

        Raises:
            Problem: it was not admitted before.
        """
        if not draft.late:
            return None
        event = draft.event
        known = await self._find_admitted(event.tenant, event.source, event.id) if self._find_admitted else None
        if known is None:
            raise refused(draft.late)
        return Admission(known[0], "same" if known[1] == draft.fingerprint else "conflict")

    async def _admit(self, drafts: Sequence[Draft]) -> list[Admission]:
        if not drafts:
            return []
        if any(is_shed(draft.event.urgency, self._desk.waiting) for draft in drafts):
            raise Problem("overloaded", headers=retry_after(self._random.randint(1, 5)))
        try:
            admissions = await self._desk.admit(drafts)
        except Unfit as unfit:
            raise refused(unfit.faults) from None
        for draft, admission in zip(drafts, admissions, strict=True):
            if admission.status == "new":
                self._observer.admitted(draft.event.category, draft.event.urgency)
        return admissions


def refused(faults: Sequence[Fault]) -> Problem:
    """422 with every fault; 400 where id or source cannot serve as the idempotency key."""
    if any(fault.pointer.rpartition("/")[2] in ("id", "source") and _is_attribute(fault.pointer) for fault in faults):
        return Problem("invalid-key", "Mend every entry of errors.", errors=faults)
    return invalid(faults)


def _is_attribute(pointer: str) -> bool:
    """Whether a pointer names an attribute of an event: `/id`, or `/17/id` in a batch."""
    steps = pointer.split("/")[1:]
    return len(steps) == 1 or (len(steps) == 2 and steps[0].isdigit())


def _mismatch(pointer: str) -> Fault:
    return Fault(pointer, "idempotency-mismatch", "this source and id were used before for other content")


def _admitted(admission: Admission) -> Admitted:
    id = public_id(admission.number)
    return Admitted(id, f"/v1/events/{id}")


def _batch_answer(admissions: Sequence[Admission]) -> Answer:
    """202 for all; where some keys were used before for other content, 422 that says which.

    The rest is admitted by then, and the answer says so; sending it again is safe.
    """
    conflicts = [place for place, admission in enumerate(admissions) if admission.status == "conflict"]
    if conflicts:
        raise Problem(
            "idempotency-mismatch",
            "The events with a result are admitted; choose fresh ids for the others.",
            errors=[_mismatch(at("", place)) for place in conflicts],
            results=[
                None if a.status == "conflict" else {"id": (made := _admitted(a)).id, "status_url": made.status_url}
                for a in admissions
            ],
        )
    is_replay = all(admission.status == "same" for admission in admissions)
    return Answer(202, AdmittedBatch(tuple(map(_admitted, admissions))), _REPLAYED if is_replay else ())
