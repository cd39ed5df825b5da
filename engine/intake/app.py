"""Joins the intake: an ASGI app from the concrete parts that the composition root gives.

The way of a request: address and method -> key and scope -> handler -> answer; a refusal anywhere becomes a problem
document. Nothing leaves here as a bare 500: an unexpected error is logged without content, under an instance id.
"""

from __future__ import annotations

import logging
import time
import traceback
from collections.abc import Callable, Sequence
from random import Random, SystemRandom
from secrets import token_hex

import trio
from starlette.routing import Route, Router

from engine.intake import openapi
from engine.intake.asking import AskingCalls, Withdraw
from engine.intake.desk import Desk, DeskBroken
from engine.intake.events import EventCalls, FindAdmitted
from engine.intake.exchange import Answer, Call, ClientGone, Receive, Scope, Send, write, write_problem
from engine.intake.health import HealthCalls
from engine.intake.imports import ImportCalls, NextLine, TakeChunk
from engine.intake.keys import Keys, Service
from engine.intake.people import MintTicket, PeopleCalls, RegisterDevice
from engine.intake.problems import Problem, retry_after
from engine.intake.routes import Operation, operations
from engine.ports import Directory, Observer, Silent, Work
from engine.records.errors import StoreUnavailable

_log = logging.getLogger("klokke.intake")
_CHALLENGE = ((b"www-authenticate", b'Bearer realm="klokke"'),)
_JSON_RANGES = ("*/*", "application/*", "application/json", "application/problem+json", "application/*+json")


class Intake:
    """The ASGI app. `run` is its background task: start it in a nursery before serving."""

    def __init__(self, router: Router, desk: Desk, health: HealthCalls, document: object) -> None:
        self._router = router
        self._plain = {
            route.path: route.app for route in router.routes if isinstance(route, Route) and "{" not in route.path
        }
        self._desk = desk
        self._health = health
        self.document = document

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            # a path without parameters needs no router: trying its patterns costs 8 us, a tenth of an event
            await self._plain.get(scope["path"], self._router)(scope, receive, send)
        elif scope["type"] == "lifespan":
            await _live(receive, send)
        else:
            await send({"type": "websocket.close", "code": 1008})

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Serve the admission desk until cancelled."""
        await self._desk.run(task_status=task_status)

    def stop_gently(self) -> None:
        """Say not ready from now on; what is in hand is still answered."""
        self._health.is_stopping = True


def make_app(
    *,
    work: Work,
    directory: Directory,
    services: Sequence[Service],
    register_device: RegisterDevice,
    mint_ticket: MintTicket,
    withdraw: Withdraw,
    take_chunk: TakeChunk,
    next_line: NextLine,
    find_admitted: FindAdmitted | None = None,
    observer: Observer | None = None,
    now_ms: Callable[[], int] = lambda: time.time_ns() // 1_000_000,
    random: Random | None = None,
) -> Intake:
    """Make the intake.

    Args:
        services: the API keys; see `keys.Service`.
        register_device: the directory's way to take a device's token.
        mint_ticket: signs an inbox ticket.
        withdraw: takes an event out of every inbox.
        take_chunk, next_line: the directory's import.
        find_admitted: looks an idempotency key up; see `events.FindAdmitted`.
    """
    desk = Desk(work, directory)
    health = HealthCalls(directory)
    table = operations(
        EventCalls(desk, services, observer or Silent(), now_ms, random or SystemRandom(), find_admitted),
        AskingCalls(work, directory, withdraw, now_ms),
        PeopleCalls(directory, register_device, mint_ticket, now_ms),
        ImportCalls(take_chunk, next_line, now_ms),
        health,
    )
    document = openapi.document(table)
    table.append(_show(document))
    keys = Keys(services)
    paths: dict[str, dict[str, Operation]] = {}
    for operation in table:
        paths.setdefault(operation.path, {})[operation.method] = operation
    router = Router(
        routes=[Route(path, _Address(methods, keys)) for path, methods in paths.items()],
        default=_nowhere,
        redirect_slashes=False,
    )
    return Intake(router, desk, health, document)


class _Address:
    """One path: picks the operation, lets in who may, answers. An ASGI app, so that Starlette only routes to it."""

    def __init__(self, methods: dict[str, Operation], keys: Keys) -> None:
        self._methods = methods | ({"HEAD": methods["GET"]} if "GET" in methods else {})
        allowed = ", ".join(sorted(self._methods))
        self._allow = ((b"allow", allowed.encode()),)
        self._methods_allowed = f"This address takes {allowed}."
        self._keys = keys

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await write(await self._answer(scope, receive), scope, send)
        except Problem as problem:
            await write_problem(problem, scope, send)
        except StoreUnavailable:
            await write_problem(_no_store(), scope, send)
        except ClientGone:
            return
        except Exception as error:
            await write_problem(_unexpected(error), scope, send)

    async def _answer(self, scope: Scope, receive: Receive) -> Answer:
        operation = self._methods.get(scope["method"])
        if operation is None:
            raise Problem("method-not-allowed", self._methods_allowed, headers=self._allow)
        call = Call(scope, receive, None)
        if not _takes_json(call.header(b"accept")):
            raise Problem("not-acceptable", "Accept application/json.")
        if operation.scopes:
            call.service = self._keys.service_of(call.header(b"authorization"))
            _check_scope(call.service, operation)
        return await operation.handler(call)


def _check_scope(service: Service | None, operation: Operation) -> None:
    if service is None:
        raise Problem("unauthorized", "Send Authorization: Bearer <API key>.", headers=_CHALLENGE)
    if not set(operation.scopes) & set(service.scopes):
        raise Problem("forbidden", f"The key needs the scope {' or '.join(operation.scopes)}.")


def _takes_json(accept: bytes | None) -> bool:
    if accept is None or accept == b"*/*":
        return True
    for choice in accept.decode("latin-1").lower().split(","):
        kind, _, parameters = choice.partition(";")
        is_refused = any(part.strip() in ("q=0", "q=0.0", "q=0.00", "q=0.000") for part in parameters.split(";"))
        if kind.strip() in _JSON_RANGES and not is_refused:
            return True
    return False


def _no_store() -> Problem:
    return Problem("store-unavailable", "The same request again is safe.", headers=retry_after(1))


def _unexpected(error: Exception) -> Problem:
    """Log where it happened, never what was in hand: an exception's text may hold a message or a token."""
    cause = error.__cause__ if isinstance(error, DeskBroken) and error.__cause__ else error
    frames = traceback.extract_tb(cause.__traceback__)
    where = f"{frames[-1].filename}:{frames[-1].lineno}" if frames else "?"
    instance = f"urn:klokke:incident:{token_hex(8)}"
    _log.error("unexpected %s at %s, answered as %s", type(cause).__name__, where, instance)
    return Problem("internal", "Tell us the instance.", instance=instance)


async def _nowhere(scope: Scope, receive: Receive, send: Send) -> None:
    await write_problem(Problem("not-found", "There is no such address."), scope, send)


async def _live(receive: Receive, send: Send) -> None:
    """The ASGI lifespan: nothing to do, `run` is started by the process."""
    while True:
        message = await receive()
        await send({"type": f"{message['type']}.complete"})
        if message["type"] == "lifespan.shutdown":
            return


def _show(document: object) -> Operation:
    async def show(call: Call) -> Answer:
        return Answer(200, document)

    return Operation(method="GET", path="/openapi.json", summary="This document", handler=show, status=200)
