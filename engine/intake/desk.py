"""The admission desk: asks the directory about many drafts at once and makes many events durable at once.

A synced write costs the store a disk flush whatever its size. So requests that arrive while one group is on its way
gather, and leave together as the next group; a lone request leaves at once. Two groups may be on their way, so that
one is prepared while the other is flushed.

    handler: admit(drafts), waits
    run():   take all that gathered -> are people and scopes known? -> Work.admit -> wake the handlers
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Sequence

import trio

from engine.intake.admission import Draft
from engine.intake.faults import Fault, at
from engine.intake.limits import ADMIT_SECONDS_MAX
from engine.intake.scoping import UNKNOWN_SCOPE
from engine.ports import Directory, Work
from engine.records.errors import StoreUnavailable
from engine.records.event import Admission, Event, Term

GROUPS_AT_ONCE = 2
GROUP_EVENTS_MAX = 2_000
SCOPE_SECONDS_MAX = 60.0  # how long the tenant of a group is believed; groups hardly ever change hands
SCOPES_REMEMBERED_MAX = 65_536
_SCOPE_QUESTIONS_AT_ONCE = 8
_LOOKS_FOR_LATE_SECONDS = 0.5


class Unfit(Exception):
    """Drafts name people or groups that do not exist; nothing of the request was admitted."""

    def __init__(self, faults: Sequence[Fault]) -> None:
        super().__init__(f"{len(faults)} faults")
        self.faults = tuple(faults)


class DeskBroken(Exception):
    """An unexpected error met the group that this request was in; its cause is the `__cause__`."""


class _Errand:
    """One request's drafts on their way."""

    __slots__ = ("admissions", "done", "drafts", "error", "until_seconds")

    def __init__(self, drafts: Sequence[Draft]) -> None:
        self.drafts = drafts
        self.until_seconds = trio.current_time() + ADMIT_SECONDS_MAX
        self.done = trio.Event()
        self.admissions: list[Admission] = []
        self.error: Exception | None = None


class Desk:
    """Group commit over the ports; `run` must be running.

    Args:
        seconds: a monotonic clock, for how long the tenant of a group is believed.
    """

    def __init__(self, work: Work, directory: Directory, seconds: Callable[[], float] = trio.current_time) -> None:
        self._work = work
        self._directory = directory
        self._seconds = seconds
        self._errands: deque[_Errand] = deque()
        self._unanswered: dict[_Errand, None] = {}  # in the order in which they came
        self._came = trio.lowlevel.ParkingLot()
        self._tenants: dict[str, tuple[str, float]] = {}
        self.waiting = 0
        """How many events wait or are on their way."""

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Serve until cancelled."""
        async with trio.open_nursery() as nursery:
            for _ in range(GROUPS_AT_ONCE):
                nursery.start_soon(self._serve)
            nursery.start_soon(self._give_up_late_ones)
            task_status.started()

    async def admit(self, drafts: Sequence[Draft]) -> list[Admission]:
        """Make the drafts of one request durable: all of them, or none where one is unfit.

        Raises:
            Unfit: people or groups are unknown.
            StoreUnavailable: the store did not answer. The events may be durable all the same: sending the same again
                is safe.
        """
        errand = _Errand(drafts)
        self._errands.append(errand)
        self._unanswered[errand] = None
        self.waiting += len(drafts)
        self._came.unpark()
        await errand.done.wait()
        if isinstance(errand.error, Unfit):
            raise errand.error
        if isinstance(errand.error, StoreUnavailable):
            raise StoreUnavailable(str(errand.error)) from errand.error
        if errand.error is not None:
            raise DeskBroken from errand.error
        return errand.admissions

    async def _give_up_late_ones(self) -> None:
        """Answer who has waited too long. One look for all: a cancel scope for each costs 8 us a request."""
        while True:
            await trio.sleep(_LOOKS_FOR_LATE_SECONDS)
            now = trio.current_time()
            late = [errand for errand in self._unanswered if errand.until_seconds <= now]
            for errand in late:
                del self._unanswered[errand]
                errand.error = StoreUnavailable("the store did not answer in time")
                errand.done.set()

    async def _serve(self) -> None:
        while True:
            while not self._errands:
                await self._came.park()
            group = self._gather()
            try:
                await self._process(group)
            except Exception as error:  # handed to every request of the group, which answers and logs it
                for errand in group:
                    errand.error = errand.error or error
            finally:
                for errand in group:
                    self.waiting -= len(errand.drafts)
                    self._unanswered.pop(errand, None)
                    errand.done.set()

    def _gather(self) -> list[_Errand]:
        group = [self._errands.popleft()]
        events = len(group[0].drafts)
        while self._errands and events + len(self._errands[0].drafts) <= GROUP_EVENTS_MAX:
            events += len(self._errands[0].drafts)
            group.append(self._errands.popleft())
        return group

    async def _process(self, group: Sequence[_Errand]) -> None:
        events = [draft.event for errand in group for draft in errand.drafts]
        known = await self._known_people(events)
        tenants = await self._tenants_of({scope for event in events for scope in _scopes(event)})
        fit: list[_Errand] = []
        for errand in group:
            faults = [
                fault
                for draft in errand.drafts
                if not _is_plainly_known(draft, tenants)
                for fault in _strangers(draft, known, tenants)
            ]
            if faults:
                errand.error = Unfit(faults)
            else:
                fit.append(errand)
        drafts = [draft for errand in fit for draft in errand.drafts]
        if not drafts:
            return
        admissions = iter(await self._work.admit([d.event for d in drafts], [d.fingerprint for d in drafts]))
        for errand in fit:
            errand.admissions = [next(admissions) for _ in errand.drafts]

    async def _known_people(self, events: Iterable[Event]) -> set[str]:
        asked = {id for event in events for term in _terms(event) for id in (*(term.people or ()), *_pupils(term))}
        return set(await self._directory.numbers(asked)) if asked else set()

    async def _tenants_of(self, scopes: set[str]) -> dict[str, str]:
        """The tenant of each scope that exists; believed for a minute, since every message of a class names it."""
        now = self._seconds()
        fresh = {s: hit[0] for s in scopes if (hit := self._tenants.get(s)) and hit[1] > now}
        unknown = [scope for scope in scopes if scope not in fresh]
        if not unknown:
            return fresh
        limiter = trio.CapacityLimiter(_SCOPE_QUESTIONS_AT_ONCE)

        async def ask(scope: str) -> None:
            async with limiter:
                tenant = await self._directory.scope_tenant(scope)
            if tenant is not None:
                fresh[scope] = tenant
                self._tenants[scope] = (tenant, now + SCOPE_SECONDS_MAX)

        if len(self._tenants) + len(unknown) > SCOPES_REMEMBERED_MAX:
            self._tenants.clear()
        try:
            async with trio.open_nursery() as nursery:
                for scope in unknown:
                    nursery.start_soon(ask, scope)
        except* StoreUnavailable as errors:
            raise StoreUnavailable("the store did not answer") from errors
        return fresh


def _terms(event: Event) -> tuple[Term, ...]:
    return event.audience.include + event.audience.exclude


def _pupils(term: Term) -> tuple[str, ...]:
    return term.guardians_of or ()


def _scope(term: Term) -> str | None:
    if term.group is not None:
        return f"group/{term.group}"
    return f"institution/{term.institution}" if term.institution is not None else None


def _scopes(event: Event) -> list[str]:
    return [scope for term in _terms(event) if (scope := _scope(term)) is not None]


def _is_plainly_known(draft: Draft, tenants: dict[str, str]) -> bool:
    """Whether the audience is one group or institution that the event reaches: nearly all are. Pointers cost 2 us."""
    audience = draft.event.audience
    if len(audience.include) != 1 or audience.exclude:
        return False
    scope = _scope(audience.include[0])
    return scope is not None and _reaches(draft, tenants.get(scope))


def _strangers(draft: Draft, known: set[str], tenants: dict[str, str]) -> list[Fault]:
    """People who do not exist, and groups that do not exist in the tenant: another tenant's looks like none."""
    faults: list[Fault] = []
    audience = at(at(draft.pointer, "data"), "audience")
    for side, terms in (("include", draft.event.audience.include), ("exclude", draft.event.audience.exclude)):
        for place, term in enumerate(terms):
            pointer = at(at(audience, side), place)
            for name, ids in (("people", term.people or ()), ("guardians_of", _pupils(term))):
                unknown = (step for step, id in enumerate(ids) if id not in known)
                faults += [
                    Fault(at(at(pointer, name), step), "unknown-person", "there is no such person") for step in unknown
                ]
            scope = _scope(term)
            if scope is not None and not _reaches(draft, tenants.get(scope)):
                name = scope.partition("/")[0]
                faults.append(Fault(at(pointer, name), f"unknown-{name}", UNKNOWN_SCOPE[name]))
    return faults


def _reaches(draft: Draft, tenant: str | None) -> bool:
    return tenant is not None and (draft.may_address_all or tenant == draft.event.tenant)
