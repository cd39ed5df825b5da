"""What each path of the gateway does (docs/decisions/0001, "Gateway")."""

from __future__ import annotations

import math
import re
from collections.abc import Awaitable, Callable
from typing import Annotated
from urllib.parse import parse_qs

import msgspec
import trio
from msgspec import Meta

from channels.inapp.bodies import Bodies
from channels.inapp.exchange import Exchange, Request
from channels.inapp.payload import STREAM_BEGIN, ListDocument, arrival_of, cursor, document, item_frame
from channels.inapp.problems import Pointed, Problem, unauthorized
from channels.inapp.streams import Stream, Streams
from channels.inapp.turnstile import Turnstile
from channels.inapp.wording import Wording
from engine.ports import Inbox
from engine.records.event import event_number
from engine.records.inbox import InboxItem, ItemState
from engine.records.words import Language
from engine.rules.tickets import Ticket, check

_LIMIT_MAX = 100
_LIMIT_USUAL = 30
_MARKS_MAX = 500
_JSON = "application/json"
_STATES = {"seen": ItemState.SEEN, "read": ItemState.READ, "archived": ItemState.ARCHIVED}
_PATHS = {
    "/v1/inbox": "GET",
    "/v1/inbox/unread": "GET",
    "/v1/inbox/marks": "POST",
    "/v1/inbox/stream": "GET",
    "/healthz": "GET",
}
_STEP = re.compile(r"\]?[.\[]")

Lives = Callable[[int], Awaitable[bool]]
"""Recipient number -> whether the person is still on the platform."""


class Marks(msgspec.Struct, forbid_unknown_fields=True):
    """The body of `POST /v1/inbox/marks`; `backwards` lets an item go back, from archived to read for example."""

    events: Annotated[list[str], Meta(min_length=1, max_length=_MARKS_MAX)]
    state: str
    backwards: bool = False


class Routes:
    """Answers requests. `Problem`s that it raises are answered by the caller."""

    def __init__(
        self,
        inbox: Inbox,
        bodies: Bodies,
        wording: Wording,
        streams: Streams,
        turnstile: Turnstile,
        secret: bytes,
        lives: Lives,
        now_ms: Callable[[], int],
        heard_ms: Callable[[int], int],
    ) -> None:
        self._inbox = inbox
        self._bodies = bodies
        self._wording = wording
        self._streams = streams
        self._turnstile = turnstile
        self._secret = secret
        self._lives = lives
        self._now_ms = now_ms
        self._heard_ms = heard_ms

    async def serve(self, request: Request, exchange: Exchange) -> bool:
        """Answer one request; True when the connection can take another."""
        allowed = _PATHS.get(request.path)
        if allowed is None:
            raise Problem("not-found", "There is nothing here; see docs/api.md for the paths.")
        if request.method != allowed:
            raise Problem("method-not-allowed", f"This path takes {allowed} only.", Allow=allowed)
        if request.path == "/healthz":
            await exchange.body()
            return await exchange.answer(200, b'{"status":"ok"}', _JSON)
        ticket = await self._admitted(request)
        if allowed == "POST":
            _check_media_type(request)
        body = await exchange.body()
        match request.path:
            case "/v1/inbox":
                answer = await self._list(request, ticket)
            case "/v1/inbox/unread":
                items = await self._inbox.items(ticket.number)
                answer = msgspec.json.encode({"unread": await self._unread(items)})
            case "/v1/inbox/marks":
                answer = await self._mark(body, ticket)
            case _:
                await self._stream(request, ticket, exchange)
                return False
        return await exchange.answer(200, answer, _JSON)

    async def _admitted(self, request: Request) -> Ticket:
        scheme, _, spelled = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not spelled:
            raise unauthorized("Send the header Authorization: Bearer <ticket>.")
        ticket = check(self._secret, spelled.strip(), self._now_ms())
        if ticket is None:
            raise _ended()
        wait_seconds = self._turnstile.wait_seconds(ticket.number, trio.current_time())
        if wait_seconds:
            raise Problem("rate-limit", "Too many requests; wait a little.", Retry_After=str(math.ceil(wait_seconds)))
        if not await self._lives(ticket.number):
            raise _ended()
        return ticket

    # --- lists and marks ---------------------------------------------------------------------------------------

    async def _list(self, request: Request, ticket: Ticket) -> bytes:
        query = _query(request.query, ("limit", "before"))
        limit = _limit(query.get("limit"))
        before = _arrival(query["before"], "before") if "before" in query else None
        items = await self._inbox.items(ticket.number)
        language = language_of(request.headers.get("accept-language", ""))
        page: list[InboxItem] = []
        rest = [item for item in items if before is None or item.arrival_ms < before]
        while rest and len(page) <= limit:  # one more than the page, to know whether there is a next one
            ahead, rest = rest[: limit + 1], rest[limit + 1 :]
            shown = await self._bodies.get([item.event for item in ahead])
            page += [item for item in ahead if item.event in shown]
        bodies = await self._bodies.get([item.event for item in page[:limit]])
        family = (await self._wording.families(bodies.values(), [ticket.number])).get(ticket.number)
        return msgspec.json.encode(
            ListDocument(
                items=[
                    document(bodies[item.event], language, item, family)
                    for item in page[:limit]
                    if item.event in bodies
                ],
                unread=await self._unread(items),
                next=cursor(page[limit - 1]) if len(page) > limit else None,
            )
        )

    async def _unread(self, items: list[InboxItem]) -> int:
        """How many items are new or seen; those of withdrawn events do not count."""
        unread = [item.event for item in items if item.state < ItemState.READ]
        return len(await self._bodies.get(unread))

    async def _mark(self, body: bytes, ticket: Ticket) -> bytes:
        marks = _marks(body)
        numbers = [event_number(spelled) for spelled in marks.events]
        for at, number in enumerate(numbers):
            if number is None:
                raise invalid(f"/events/{at}", f"events[{at}]: give an event's id as the inbox lists it.")
        known = list(dict.fromkeys(number for number in numbers if number is not None))
        changed = await self._inbox.mark(ticket.number, known, _STATES[marks.state], marks.backwards)
        return msgspec.json.encode({"changed": changed})

    # --- live --------------------------------------------------------------------------------------------------

    async def _stream(self, request: Request, ticket: Ticket, exchange: Exchange) -> None:
        """Open a live stream: first what came after Last-Event-ID, then the socket is given to the writers."""
        spelled = request.headers.get("last-event-id", "")
        last_ms = _arrival(spelled, "Last-Event-ID") if spelled else None
        stream = Stream(ticket.number, language_of(request.headers.get("accept-language", "")), ticket.expires_ms)
        self._streams.add(stream)
        try:
            # Without an id the stream begins now, which is where the hints are; the store need not be asked.
            stream.last_ms = self._heard_ms(ticket.number) if last_ms is None else last_ms
            stream.missed = last_ms is not None
            await exchange.begin_stream()
            await exchange.send_raw(STREAM_BEGIN)
            await self._read_up(stream, exchange)
            if stream.is_open:
                self._streams.attach(stream, exchange.release())
        except BaseException:
            self._streams.close(stream)
            raise

    async def _read_up(self, stream: Stream, exchange: Exchange) -> None:
        """Write what is in the inbox already. A hint that comes meanwhile means: look once more."""
        while stream.is_open and stream.missed:
            stream.missed = False
            (items,) = await self._inbox.since([(stream.number, stream.last_ms)])
            bodies = await self._bodies.get([item.event for item in items])
            family = (await self._wording.families(bodies.values(), [stream.number])).get(stream.number)
            for item in items:
                if item.event in bodies:
                    await exchange.send_raw(item_frame(bodies[item.event], stream.language, item, family))
                stream.last_ms = item.arrival_ms


def _ended() -> Problem:
    """Forged, expired, or its person has left: which of these it is, only the intake says, to who may know."""
    return unauthorized("The ticket is not valid, or no longer; get a new one.")


def _check_media_type(request: Request) -> None:
    """A form on another site can send text/plain without asking; JSON it cannot (Fetch, CORS-safelisted types)."""
    kind, _, parameters = request.headers.get("content-type", "").lower().partition(";")
    if kind.strip() != _JSON or parameters.replace('"', "").strip() not in ("", "charset=utf-8"):
        raise Problem("unsupported-media-type", f"Send Content-Type: {_JSON}.")
    if request.headers.get("content-encoding", "identity").lower() != "identity":
        raise Problem("unsupported-media-type", "Send the body uncompressed.")


def language_of(accept: str) -> Language:
    """The language an app asks for (RFC 9110, 12.5.4); Danish unless English is wanted more."""
    best, chosen = 0.0, Language.DA
    for part in accept.lower().split(","):
        name, _, parameters = part.strip().partition(";")
        try:
            weight = float(parameters.strip().removeprefix("q=") or 1.0)
        except ValueError:
            continue
        for language in Language:
            if name.split("-")[0] == language and weight > best:
                best, chosen = weight, language
    return chosen


def _query(spelled: str, known: tuple[str, ...]) -> dict[str, str]:
    try:
        given = parse_qs(spelled, keep_blank_values=True, max_num_fields=20)
    except ValueError as error:
        raise Problem("malformed-request", "Too many query parameters.") from error
    for name, values in given.items():
        if name not in known or len(values) != 1:
            raise Problem("malformed-request", f"Query parameters are {' and '.join(known)}, each once.")
    return {name: values[0] for name, values in given.items()}


def _limit(spelled: str | None) -> int:
    if spelled is None:
        return _LIMIT_USUAL
    if not re.fullmatch(r"[0-9]{1,3}", spelled) or not 1 <= int(spelled) <= _LIMIT_MAX:
        raise Problem("malformed-request", f"limit: give a number from 1 to {_LIMIT_MAX}.")
    return int(spelled)


def _arrival(spelled: str, name: str) -> int:
    arrival = arrival_of(spelled)
    if arrival is None:
        raise Problem("malformed-request", f"{name}: give the id of an item as it was sent, or leave it out.")
    return arrival


def invalid(pointer: str, detail: str, said: str | None = None) -> Problem:
    """422 with the place in the body."""
    return Problem("invalid", detail, (Pointed(pointer, said or detail.partition(": ")[2]),))


def _marks(body: bytes) -> Marks:
    try:
        marks = msgspec.json.decode(body, type=Marks)
    except msgspec.ValidationError as error:
        said, _, place = str(error).partition(" - at `$")
        raise invalid("/".join(_STEP.split(place.rstrip("`]"))), f"{error}.", said) from error
    except msgspec.DecodeError as error:
        raise Problem("malformed-json", "The body is not JSON.") from error
    if marks.state not in _STATES:
        raise invalid("/state", f"state: choose one of {', '.join(_STATES)}.")
    return marks
