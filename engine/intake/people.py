"""Single changes of the directory: people, groups, institutions, strategies; and tickets for the inbox.

What belongs to another tenant looks like what does not exist. A key may only attach a person to institutions and
groups that it sees: else it could listen in on another municipality's classes.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from typing import Any

import msgspec
from msgspec.structs import replace

from engine.intake import moments
from engine.intake.exchange import Answer, Call, fitted
from engine.intake.faults import Fault, at
from engine.intake.problems import Problem, invalid
from engine.intake.wire import (
    DeviceGone,
    EmailIn,
    GroupIn,
    GuardiansIn,
    InstitutionIn,
    PreferencesIn,
    ProfilesIn,
    StrategyIn,
    Ticket,
    TicketIn,
)
from engine.ports import Directory
from engine.records.errors import ChangeRefused
from engine.records.person import Device, Gone, Group, Institution, Line, Person, Profile, Strategy
from engine.records.words import Category

RegisterDevice = Callable[[str, Device, int], Awaitable[bool]]
"""(person, device, now in ms) -> whether there is such a person. A token has one owner: it leaves whoever had it."""
MintTicket = Callable[[int, str, int], str]
"""(recipient number, tenant, expiry in UTC milliseconds) -> the ticket."""

TICKET_MS = 3_600_000  # apps ask again; a stolen ticket dies within the hour
_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._\-]{0,63}\Z")
_STEP = re.compile(r"[a-z_][a-z0-9_]*|[0-9]+")
_DONE = Answer(204)


class PeopleCalls:
    def __init__(
        self,
        directory: Directory,
        register_device: RegisterDevice,
        mint_ticket: MintTicket,
        now_ms: Callable[[], int],
    ) -> None:
        self._directory = directory
        self._register_device = register_device
        self._mint_ticket = mint_ticket
        self._now_ms = now_ms

    # --- people ------------------------------------------------------------------------------------------------

    async def put(self, call: Call) -> Answer:
        """Create or replace a person by the import line that describes them; `id` may be left out of the body."""
        id = path_id(call)
        raw = await call.raw_json()
        person: Person = fitted({"id": id, **raw} if isinstance(raw, dict) else raw, Person)
        faults = await self._profile_faults(call, person.profiles)
        if person.id != id:
            faults.append(Fault("/id", "differs-from-path", "must be the id of the address, or left out"))
        if not call.caller.may_see(person.tenant):
            faults.append(Fault("/tenant", "other-tenant", "this API key does not speak for that tenant"))
        if faults:
            raise invalid(faults)
        known = await self._directory.person(id)
        if known is not None and not call.caller.may_see(known.tenant):
            raise _nobody()
        await self._apply(person)
        return _DONE

    async def get(self, call: Call) -> Answer:
        """A person as the import line that would make them."""
        return Answer(200, await self._person(call, path_id(call)))

    async def delete(self, call: Call) -> Answer:
        """A person leaves the platform."""
        person = await self._person(call, path_id(call))
        await self._apply(Gone(id=person.id))
        return _DONE

    async def put_preferences(self, call: Call) -> Answer:
        wanted: PreferencesIn = await call.json(PreferencesIn)
        return await self._change(
            call,
            lambda person: replace(
                person, off=wanted.off, quiet=wanted.quiet, language=wanted.language or person.language
            ),
        )

    async def put_guardians(self, call: Call) -> Answer:
        wanted: GuardiansIn = await call.json(GuardiansIn)
        known = await self._directory.numbers(wanted.guardians)
        faults = [
            Fault(at("/guardians", place), "unknown-person", "there is no such person")
            for place, id in enumerate(wanted.guardians)
            if id not in known
        ]
        if faults:
            raise invalid(faults)
        return await self._change(call, lambda person: replace(person, guardians=wanted.guardians))

    async def put_profiles(self, call: Call) -> Answer:
        wanted: ProfilesIn = await call.json(ProfilesIn)
        faults = await self._profile_faults(call, wanted.profiles)
        if faults:
            raise invalid(faults)
        return await self._change(call, lambda person: replace(person, profiles=wanted.profiles))

    async def put_email(self, call: Call) -> Answer:
        wanted: EmailIn = await call.json(EmailIn)
        return await self._change(call, lambda person: replace(person, email=wanted.email))

    async def add_device(self, call: Call) -> Answer:
        """Register a device. A token has one owner: it leaves whoever had it before."""
        device: Device = await call.json(Device)
        person = await self._person(call, path_id(call))
        try:
            is_taken = await self._register_device(person.id, device, self._now_ms())
        except ChangeRefused as error:
            raise invalid([refusal_fault(str(error))]) from None
        if not is_taken:
            raise _nobody()
        return _DONE

    async def remove_device(self, call: Call) -> Answer:
        """Sign a device out; one that is not there is gone already."""
        gone: DeviceGone = await call.json(DeviceGone)
        name = gone.token or gone.endpoint
        if not name or (gone.token and gone.endpoint):
            raise invalid([Fault("/token", "missing", "give the token of a phone or the endpoint of a browser")])
        return await self._change(
            call, lambda person: replace(person, devices=tuple(d for d in person.devices if d.name != name))
        )

    # --- groups, institutions, strategies ----------------------------------------------------------------------

    async def put_group(self, call: Call) -> Answer:
        id = path_id(call)
        wanted: GroupIn = await call.json(GroupIn)
        owner = await self._directory.scope_tenant(f"institution/{wanted.institution}")
        if owner is None or not call.caller.may_see(owner):
            raise invalid([Fault("/institution", "unknown-institution", "there is no such institution for this key")])
        await self._check_owner(call, f"group/{id}")
        await self._apply(Group(id=id, institution=wanted.institution, name=wanted.name))
        return _DONE

    async def put_institution(self, call: Call) -> Answer:
        id = path_id(call)
        wanted: InstitutionIn = await call.json(InstitutionIn)
        if not call.caller.may_see(wanted.tenant):
            raise invalid([Fault("/tenant", "other-tenant", "this API key does not speak for that tenant")])
        await self._check_owner(call, f"institution/{id}")
        await self._apply(Institution(id=id, tenant=wanted.tenant, name=wanted.name, sort=wanted.sort))
        return _DONE

    async def put_strategy(self, call: Call) -> Answer:
        """The channels that a municipality uses for a category."""
        tenant, category = call.path["code"], call.path["category"]
        if not call.caller.may_see(tenant) or category not in list(Category):
            raise Problem("not-found", "There is no such municipality or category for this API key.")
        wanted: StrategyIn = await call.json(StrategyIn)
        line = {"tenant": tenant, "category": category, "channels": wanted.channels}
        try:
            strategy = msgspec.convert(line, Strategy)
        except msgspec.ValidationError:  # a `*` key may name any code; not every text is one
            raise Problem("not-found", "No Danish municipality has this code.") from None
        await self._apply(strategy)
        return _DONE

    # --- tickets -----------------------------------------------------------------------------------------------

    async def make_ticket(self, call: Call) -> Answer:
        """Make what a person's app shows the in-app gateway for the next hour."""
        wanted: TicketIn = await call.json(TicketIn)
        person = await self._person(call, wanted.person)
        numbers = await self._directory.numbers([person.id])
        if person.id not in numbers:
            raise _nobody()
        expires_ms = self._now_ms() + TICKET_MS
        ticket = self._mint_ticket(numbers[person.id], person.tenant, expires_ms)
        return Answer(200, Ticket(ticket, moments.shown(expires_ms)))

    # --- inside ------------------------------------------------------------------------------------------------

    async def _person(self, call: Call, id: str) -> Person:
        person = await self._directory.person(id)
        if person is None or not call.caller.may_see(person.tenant):
            raise _nobody()
        return person

    async def _change(self, call: Call, edit: Callable[[Person], Person]) -> Answer:
        """Change a person whom the key sees; asked inside the change, since a person may move meanwhile."""

        def checked(person: Person) -> Person:
            return edit(person) if call.caller.may_see(person.tenant) else person

        try:
            person = await self._directory.change(path_id(call), checked, self._now_ms())
        except ChangeRefused as error:
            raise invalid([refusal_fault(str(error))]) from None
        if person is None or not call.caller.may_see(person.tenant):
            raise _nobody()
        return _DONE

    async def _apply(self, line: Line) -> None:
        refusals = await self._directory.apply([(1, line)], self._now_ms())
        if refusals:
            raise invalid([refusal_fault(refusal.reason) for refusal in refusals])

    async def _check_owner(self, call: Call, scope: str) -> None:
        """What exists under this name belongs to a tenant of the key; a fresh name belongs to nobody."""
        owner = await self._directory.scope_tenant(scope)
        if owner is not None and not call.caller.may_see(owner):
            raise Problem("not-found", "There is no such thing for this API key.")

    async def _profile_faults(self, call: Call, profiles: tuple[Profile, ...]) -> list[Fault]:
        faults: list[Fault] = []
        for place, profile in enumerate(profiles):
            pointer = at("/profiles", place)
            named = [("institution", profile.institution, at(pointer, "institution"))]
            named += [("group", id, at(at(pointer, "groups"), step)) for step, id in enumerate(profile.groups)]
            for sort, id, where in named:
                owner = await self._directory.scope_tenant(f"{sort}/{id}")
                if owner is None or not call.caller.may_see(owner):
                    faults.append(Fault(where, f"unknown-{sort}", f"there is no such {sort} for this API key"))
        return faults


def refusal_fault(reason: str) -> Fault:
    """The directory's reason, `guardians[1]: there is no ...`, as a fault that points at the field."""
    field, _, sentence = reason.partition(": ")
    steps = _STEP.findall(field)
    return Fault("".join(f"/{step}" for step in steps), "refused", sentence)


def path_id(call: Call) -> str:
    """The id in the address; what cannot be an id does not exist."""
    id: Any = call.path["id"]
    if not _ID.match(id):
        raise Problem("not-found", "An id has 1 to 64 letters, digits, dots, dashes or underscores.")
    return str(id)


def _nobody() -> Problem:
    return Problem("not-found", "There is no such person for this API key.")
