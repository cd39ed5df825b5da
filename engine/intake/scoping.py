"""What a service may address: an event's tenant comes from the key, and so does the reach of its audience. Pure."""

from __future__ import annotations

from engine.intake.faults import Fault, at
from engine.intake.keys import Service
from engine.intake.wire import RECIPIENT_IDS_MAX, AudienceIn, TermIn
from engine.records.municipalities import NATIONAL

UNKNOWN_SCOPE = {
    "group": "there is no such group in the event's tenant",
    "institution": "there is no such institution in the event's tenant",
    "municipality": "this API key addresses only the event's own municipality",
}
_SELECTORS = ("people", "guardians_of", "group", "institution", "municipality", "everyone")
_WITHOUT_ROLE = ("people", "guardians_of")


def tenant_of(service: Service, named: str | None) -> str | Fault:
    """The tenant that an event is sent as: the key's only one, or the one the event names, if the key has it."""
    only = service.tenants[0] if len(service.tenants) == 1 and not service.serves_all else None
    if named is None:
        if only is not None:
            return only
        return Fault("/tenant", "missing", "this API key speaks for several tenants: name the one that sends")
    if not service.may_see(named):
        return Fault("/tenant", "other-tenant", "this API key does not speak for that tenant")
    return named


def audience_faults(audience: AudienceIn, pointer: str, service: Service, tenant: str | Fault) -> list[Fault]:
    """Every fault of an audience expression that can be seen without the directory."""
    faults: list[Fault] = []
    ids = 0
    for side, terms in (("include", audience.include), ("exclude", audience.exclude)):
        for place, term in enumerate(terms):
            if _is_plain(term):
                continue
            ids += len(term.people or ()) + len(term.guardians_of or ())
            faults += term_faults(term, at(at(pointer, side), place), service, tenant)
    if ids > RECIPIENT_IDS_MAX:
        faults.append(Fault(pointer, "too-long", f"names at most {RECIPIENT_IDS_MAX} people; address a group instead"))
    return faults


def _is_plain(term: TermIn) -> bool:
    """One group or institution, with or without a role: nearly every term there is, and nothing about it to check here.

    Asked first, since the general check costs 5 us, as much as decoding the whole event.
    """
    return (
        (term.group is None) is not (term.institution is None)
        and term.people is None
        and term.guardians_of is None
        and term.municipality is None
        and term.everyone is None
    )


def term_faults(term: TermIn, pointer: str, service: Service, tenant: str | Fault) -> list[Fault]:
    """Every fault of one term: it names exactly one thing, and one that the key reaches."""
    named = [name for name in _SELECTORS if getattr(term, name) is not None]
    if len(named) != 1:
        return [Fault(pointer, "one-selector", f"give exactly one of {', '.join(_SELECTORS)}")]
    faults: list[Fault] = []
    if term.role is not None and named[0] in _WITHOUT_ROLE:
        faults.append(Fault(at(pointer, "role"), "role-without-scope", f"a role does not narrow {named[0]}"))
    if term.everyone is False:
        faults.append(Fault(at(pointer, "everyone"), "not-allowed", "must be true, or left out"))
    if term.everyone and not (service.serves_all or tenant == NATIONAL):
        faults.append(Fault(at(pointer, "everyone"), "national-only", "only a national sender addresses everyone"))
    if term.municipality is not None and not service.serves_all and term.municipality != tenant:
        faults.append(Fault(at(pointer, "municipality"), "unknown-municipality", UNKNOWN_SCOPE["municipality"]))
    return faults
