"""The intake in process: the real ledger and directory, a small town, a client for each key."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from random import Random
from typing import Any

import httpx
import msgspec
import pytest
import trio

from engine.intake.app import Intake, make_app
from engine.intake.keys import Scope, Service, make_key
from engine.records.person import Group, Institution, Line, Person, Profile
from engine.records.words import Role
from engine.rules.devices import DeviceRules
from queueing.directory import StoreDirectory
from queueing.directory.imports import Imports
from queueing.link import Link
from queueing.work import StoreWork

NOW_MS = 1_795_000_000_000  # 2026-11-18, a Wednesday
BASE = "http://klokke.test"
EVERYTHING = tuple(Scope)
LANES = ("apns.parent", "apns.staff", "fcm.parent", "email", "inapp")


class AskedDirectory(StoreDirectory):
    """The directory; counts how often it was asked whose a group is."""

    asked = 0

    async def scope_tenant(self, scope: str) -> str | None:
        self.asked += 1
        return await super().scope_tenant(scope)


class Town:
    """Everything a test may look at or steer."""

    def __init__(self, link: Link, devices: DeviceRules | None = None) -> None:
        self.link = link
        self.work = StoreWork(link)
        self.directory = AskedDirectory(link, devices or DeviceRules(lanes=LANES))
        self.imports = Imports(link, self.directory)
        self.withdrawn: list[int] = []
        self.now_ms = NOW_MS
        self.services: list[Service] = []
        self.secrets: dict[str, str] = {}
        self.app: Intake
        for name, tenants in (("school", ("0101",)), ("pair", ("0101", "0147")), ("nation", ("dk",)), ("all", ("*",))):
            self.add_service(name, tenants, EVERYTHING)
        self.add_service("other", ("0147",), EVERYTHING)

    def add_service(self, name: str, tenants: tuple[str, ...], scopes: tuple[Scope, ...], **limits: int) -> None:
        self.secrets[name], digest = make_key()
        self.services.append(Service(name=name, key_sha256=digest, tenants=tenants, scopes=scopes, **limits))

    def client(self, name: str = "school") -> httpx.AsyncClient:
        headers = {"authorization": f"Bearer {self.secrets[name]}"}
        transport = httpx.ASGITransport(self.app, raise_app_exceptions=True)
        return httpx.AsyncClient(transport=transport, base_url=BASE, headers=headers)

    async def withdraw(self, event: int) -> None:
        self.withdrawn.append(event)

    def make(self) -> Intake:
        self.app = make_app(
            work=self.work,
            directory=self.directory,
            register_device=self.directory.register,
            services=self.services,
            mint_ticket=lambda number, tenant, expires_ms: f"ticket-{number}-{tenant}-{expires_ms}",
            withdraw=self.withdraw,
            take_chunk=self.imports.take_chunk,
            next_line=self.imports.next_line,
            find_admitted=StoreWork(self.link).find_admitted,
            now_ms=lambda: self.now_ms,
            random=Random(1),
        )
        return self.app


async def settle(directory: StoreDirectory) -> None:
    """Two municipalities with a school each, a class, a parent and a child."""
    lines: list[Line] = []
    for tenant in ("0101", "0147"):
        school, group = f"school-{tenant}", f"3b-{tenant}"
        profile = Profile(institution=school, role=Role.PUPIL, groups=(group,))
        lines += [
            Institution(id=school, tenant=tenant, name="Skolen"),
            Group(id=group, institution=school, name="3B"),
            Person(id=f"parent-{tenant}", tenant=tenant, email="parent@example.org"),
            Person(id=f"child-{tenant}", tenant=tenant, profiles=(profile,), guardians=(f"parent-{tenant}",)),
        ]
    assert await directory.apply(list(enumerate(lines, 1)), NOW_MS) == []


@pytest.fixture
async def town(link: Link) -> Town:
    town = Town(link)
    await settle(town.directory)
    return town


@pytest.fixture
async def api(town: Town) -> AsyncIterator[Town]:
    """The town with its intake running."""
    async with trio.open_nursery() as nursery:
        await nursery.start(town.make().run)
        yield town
        nursery.cancel_scope.cancel()


def message(id: str = "m-1", **data: Any) -> dict[str, Any]:
    """A valid message event; keyword arguments replace members of its data."""
    content = {
        "audience": {"include": [{"group": "3b-0101", "role": "guardian"}]},
        "texts": {"da": {"title": "Tur i skoven", "body": "Husk madpakke og gummistøvler."}},
        **data,
    }
    return {
        "specversion": "1.0",
        "id": id,
        "source": "/backend/messages",
        "type": "dk.klokke.message.v1",
        "datacontenttype": "application/json",
        "data": {name: value for name, value in content.items() if value is not None},
    }


def calendar(id: str = "c-1", kind: str = "invited", **entry: Any) -> dict[str, Any]:
    """A valid calendar event; keyword arguments replace members of its entry."""
    given = {
        "uid": "meeting-1@skole",
        "start": "2026-11-30T08:00:00",
        "end": "2026-11-30T09:30:00",
        "summary": "Skole-hjem-samtale",
        **entry,
    }
    made = message(id, texts=None, calendar={name: value for name, value in given.items() if value is not None})
    return {**made, "type": f"dk.klokke.calendar.{kind}.v1"}


STRUCTURED = {"content-type": "application/cloudevents+json"}
BATCH = {"content-type": "application/cloudevents-batch+json"}


async def post(client: httpx.AsyncClient, event: Any, **headers: str) -> httpx.Response:
    """Send one event (or bytes as they are)."""
    body = event if isinstance(event, bytes) else msgspec.json.encode(event)
    return await client.post("/v1/events", content=body, headers={**STRUCTURED, **headers})


async def post_batch(client: httpx.AsyncClient, events: Any) -> httpx.Response:
    body = events if isinstance(events, bytes) else msgspec.json.encode(events)
    return await client.post("/v1/events", content=body, headers=BATCH)


def problem(response: httpx.Response, status: int, name: str) -> dict[str, Any]:
    """The problem document of a response, after checking which it is."""
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/problem+json"
    document: dict[str, Any] = response.json()
    assert document["type"] == f"urn:klokke:problem:{name}", document
    assert document["status"] == status
    return document


def codes(document: dict[str, Any]) -> dict[str, str]:
    """Pointer -> code of a problem's errors."""
    return {fault["pointer"]: fault["code"] for fault in document.get("errors", [])}


Change = Callable[[dict[str, Any]], None]
