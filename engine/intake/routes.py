"""The table of operations: address, method, who may, what goes in and out. Routing and OpenAPI are made of it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import msgspec

from engine.intake import cloudevents, imports
from engine.intake.asking import AskingCalls
from engine.intake.events import EventCalls
from engine.intake.exchange import Answer, Call
from engine.intake.health import HealthCalls
from engine.intake.imports import ImportCalls
from engine.intake.keys import Scope
from engine.intake.limits import BATCH_EVENTS_MAX
from engine.intake.people import PeopleCalls
from engine.intake.wire import (
    Admitted,
    AdmittedBatch,
    CalendarEvent,
    DeviceGone,
    EmailIn,
    GroupIn,
    GuardiansIn,
    Health,
    ImportPlace,
    ImportTaken,
    InstitutionIn,
    MessageEvent,
    PreferencesIn,
    ProfilesIn,
    Report,
    Stopped,
    Story,
    StrategyIn,
    Ticket,
    TicketIn,
)
from engine.records.person import Device, Person

Handler = Callable[[Call], Awaitable[Answer]]
_JSON = "application/json"


class Choice(msgspec.Struct, frozen=True):
    """One of several structs, or a list of 1 to `items_max` of them. (msgspec's own unions need tags.)"""

    shapes: tuple[Any, ...]
    items_max: int = 0


class Operation(msgspec.Struct, frozen=True, kw_only=True):
    """One method of one address.

    `scopes`: a key with any of them may call; none: no key is needed. `bodies`: media type -> type of the body.
    """

    method: str
    path: str
    summary: str
    handler: Handler
    scopes: tuple[Scope, ...] = ()
    bodies: Mapping[str, Any] = {}
    status: int = 204
    answer: Any = None
    problems: tuple[str, ...] = ()
    query: Mapping[str, str] = {}  # parameter -> description; all are whole numbers from 1


_EVENTS = (MessageEvent, CalendarEvent)
_CHANGE = ("malformed-json", "not-found", "body-too-large", "unsupported-media-type", "invalid", "store-unavailable")


def operations(
    events: EventCalls, asking: AskingCalls, people: PeopleCalls, chunks: ImportCalls, health: HealthCalls
) -> list[Operation]:
    """Every operation, the hottest first: routes are tried in order."""
    return [
        Operation(
            method="POST",
            path="/v1/events",
            summary="Hand over an event, or a batch of up to 1,000",
            handler=events.post,
            scopes=(Scope.EVENTS,),
            bodies={cloudevents.STRUCTURED: Choice(_EVENTS), cloudevents.BATCH: Choice(_EVENTS, BATCH_EVENTS_MAX)},
            status=202,
            answer=Choice((Admitted, AdmittedBatch)),
            problems=(
                "malformed-json",
                "invalid-key",
                "too-slow",
                "body-too-large",
                "unsupported-media-type",
                "invalid",
                "idempotency-mismatch",
                "rate-limit",
                "quota",
                "overloaded",
                "store-unavailable",
            ),
        ),
        Operation(
            method="GET",
            path="/v1/events/{id}",
            summary="Where an event stands",
            handler=asking.report,
            scopes=(Scope.EVENTS, Scope.ASK),
            status=200,
            answer=Report,
            problems=("not-found", "store-unavailable"),
        ),
        Operation(
            method="DELETE",
            path="/v1/events/{id}",
            summary="Cancel an event",
            handler=asking.cancel,
            scopes=(Scope.EVENTS,),
            status=202,
            answer=Stopped,
            problems=("not-found", "store-unavailable"),
        ),
        Operation(
            method="GET",
            path="/v1/events/{id}/recipients/{person}",
            summary="What became of one person in an event, and why",
            handler=asking.story,
            scopes=(Scope.ASK,),
            status=200,
            answer=Story,
            problems=("not-found", "store-unavailable"),
        ),
        *_people(people),
        *_places(people),
        *_others(people, chunks, health),
    ]


def _people(people: PeopleCalls) -> list[Operation]:
    base = "/v1/people/{id}"
    return [
        Operation(
            method="GET",
            path=base,
            summary="Read a person",
            handler=people.get,
            scopes=(Scope.DIRECTORY,),
            status=200,
            answer=Person,
            problems=("not-found", "store-unavailable"),
        ),
        Operation(
            method="DELETE",
            path=base,
            summary="A person leaves the platform",
            handler=people.delete,
            scopes=(Scope.DIRECTORY,),
            problems=("not-found", "store-unavailable"),
        ),
        _change("PUT", base, "Create or replace a person", people.put, Person),
        _change("PUT", f"{base}/preferences", "Replace opt-outs, quiet hours", people.put_preferences, PreferencesIn),
        _change("PUT", f"{base}/guardians", "Replace a child's guardians", people.put_guardians, GuardiansIn),
        _change("PUT", f"{base}/profiles", "Replace institutions, roles, groups", people.put_profiles, ProfilesIn),
        _change("PUT", f"{base}/email", "Set or remove the e-mail address", people.put_email, EmailIn),
        _change("POST", f"{base}/devices", "Register a device", people.add_device, Device),
        _change("POST", f"{base}/devices/remove", "Sign a device out", people.remove_device, DeviceGone),
    ]


def _places(people: PeopleCalls) -> list[Operation]:
    return [
        _change("PUT", "/v1/groups/{id}", "Create or replace a group", people.put_group, GroupIn),
        _change(
            "PUT", "/v1/institutions/{id}", "Create or replace an institution", people.put_institution, InstitutionIn
        ),
        _change(
            "PUT",
            "/v1/municipalities/{code}/strategies/{category}",
            "Choose the channels of a category",
            people.put_strategy,
            StrategyIn,
        ),
    ]


def _others(people: PeopleCalls, chunks: ImportCalls, health: HealthCalls) -> list[Operation]:
    imported = "/v1/directory/imports/{id}"
    return [
        Operation(
            method="POST",
            path=imported,
            summary="Import a chunk of people, groups and relations",
            handler=chunks.post,
            scopes=(Scope.DIRECTORY,),
            bodies={imports.NDJSON: str},
            status=200,
            answer=ImportTaken,
            problems=(
                "malformed-request",
                "not-found",
                "too-slow",
                "body-too-large",
                "unsupported-media-type",
                "store-unavailable",
            ),
            query={"first_line": "which line of the whole file the chunk starts with; 1 when left out"},
        ),
        Operation(
            method="GET",
            path=imported,
            summary="Where an import goes on",
            handler=chunks.place,
            scopes=(Scope.DIRECTORY,),
            status=200,
            answer=ImportPlace,
            problems=("not-found", "store-unavailable"),
        ),
        Operation(
            method="POST",
            path="/v1/inbox-tickets",
            summary="Make what a person's app shows the in-app gateway",
            handler=people.make_ticket,
            scopes=(Scope.INBOX,),
            bodies={_JSON: TicketIn},
            status=200,
            answer=Ticket,
            problems=_CHANGE,
        ),
        Operation(method="GET", path="/healthz", summary="Alive", handler=health.alive, status=200, answer=Health),
        Operation(
            method="GET",
            path="/readyz",
            summary="Ready for requests",
            handler=health.ready,
            status=200,
            answer=Health,
            problems=("stopping", "store-unavailable"),
        ),
    ]


def _change(method: str, path: str, summary: str, handler: Handler, body: Any) -> Operation:
    return Operation(
        method=method,
        path=path,
        summary=summary,
        handler=handler,
        scopes=(Scope.DIRECTORY,),
        bodies={_JSON: body},
        problems=_CHANGE,
    )
