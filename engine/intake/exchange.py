"""One request and its answer over ASGI: reads bodies within limits and deadlines, writes answers and problems.

ASGI is spoken here directly and not through Starlette's Request and Response: they cost 60 us a call, the whole of an
event's validation.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, MutableMapping, Sequence
from typing import Any
from urllib.parse import parse_qsl

import msgspec
import trio

from engine.intake import strict_json
from engine.intake.faults import faults_in
from engine.intake.keys import Service
from engine.intake.limits import BODY_SECONDS_MAX, CHANGE_BYTES_MAX
from engine.intake.problems import MEDIA_TYPE, Problem, invalid
from engine.intake.strict_json import Malformed

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
Headers = Sequence[tuple[bytes, bytes]]

JSON = b"application/json"
WHOLE_BODY = "klokke.body"
"""Where our own server leaves, in the ASGI scope, a body of declared length that came with its head."""

_NO_STORE = (b"cache-control", b"no-store")
_CLOSE = (b"connection", b"close")


class ClientGone(Exception):
    """The caller hung up before the request was whole: there is nobody to answer."""


class Answer(msgspec.Struct, frozen=True):
    """What a handler returns: a struct or plain data, sent as JSON; None for no body."""

    status: int
    content: Any = None
    headers: Headers = ()


class Call:
    """One request in the hand of a handler."""

    __slots__ = ("_headers", "_receive", "path", "scope", "service")

    def __init__(self, scope: Scope, receive: Receive, service: Service | None) -> None:
        self.scope = scope
        self.path: Mapping[str, str] = scope.get("path_params", {})
        self._headers = dict(reversed(scope["headers"]))
        self._receive = receive
        self.service = service

    @property
    def caller(self) -> Service:
        """The service that calls; only for operations that need a key."""
        if self.service is None:
            raise Problem("unauthorized")
        return self.service

    def header(self, name: bytes) -> bytes | None:
        """The first header of that name (lower case)."""
        return self._headers.get(name)

    def query(self) -> dict[str, str]:
        """The query parameters; a repeated one is refused."""
        pairs = parse_qsl(self.scope["query_string"].decode("latin-1"), keep_blank_values=True)
        if len(dict(pairs)) != len(pairs):
            raise Problem("malformed-request", "a query parameter stands twice")
        return dict(pairs)

    def media_type(self) -> str:
        """The body's type without parameters; a charset other than UTF-8 is refused."""
        given = (self.header(b"content-type") or b"").decode("latin-1").lower()
        kind, _, parameters = given.partition(";")
        for name, _, value in (part.strip().partition("=") for part in parameters.split(";")):
            if name == "charset" and value.strip('"') != "utf-8":
                raise Problem("unsupported-media-type", "the charset is utf-8")
        return kind.strip()

    async def body(self, bytes_max: int, seconds_max: float = BODY_SECONDS_MAX) -> bytes:
        """Read the body, at most so many bytes, within so many seconds."""
        if (self.header(b"content-encoding") or b"identity").lower() != b"identity":
            raise Problem("unsupported-media-type", "send the body uncompressed", close=True)
        length = self.header(b"content-length")
        if length is not None and int(length) > bytes_max:
            raise _too_large(bytes_max)
        whole: bytes | None = self.scope.get(WHOLE_BODY)
        if whole is not None:  # it came with the head, as nearly all do: no need to watch the time
            return whole
        with trio.move_on_after(seconds_max):
            return await self._read(bytes_max)
        raise Problem("too-slow", f"the body must arrive within {seconds_max:.0f} seconds", close=True)

    async def _read(self, bytes_max: int) -> bytes:
        pieces: list[bytes] = []
        size = 0
        while True:
            message = await self._receive()
            if message["type"] == "http.disconnect":
                raise ClientGone
            piece = message.get("body", b"")
            size += len(piece)
            if size > bytes_max:
                raise _too_large(bytes_max)
            pieces.append(piece)
            if not message.get("more_body", False):
                return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    async def json(self, expected: Any, bytes_max: int = CHANGE_BYTES_MAX) -> Any:
        """Read a JSON body as that type; every fault is listed where it does not fit."""
        raw = await self.raw_json(bytes_max)
        return fitted(raw, expected)

    async def raw_json(self, bytes_max: int = CHANGE_BYTES_MAX) -> Any:
        """Read a JSON body as plain data."""
        if self.media_type() != "application/json":
            raise Problem("unsupported-media-type", "send Content-Type: application/json")
        try:
            return strict_json.read(await self.body(bytes_max))
        except Malformed as error:
            raise Problem("malformed-json", str(error)) from None


def fitted(raw: Any, expected: Any) -> Any:
    """Plain data as that type, or a problem that lists every fault."""
    try:
        return msgspec.convert(raw, expected)
    except msgspec.ValidationError:
        pass
    try:
        strict_json.check_sizes(raw)
    except Malformed as error:
        raise Problem("malformed-json", str(error)) from None
    raise invalid(faults_in(raw, expected))


async def write(answer: Answer, scope: Scope, send: Send) -> None:
    """Send an answer as JSON."""
    body = b"" if answer.content is None else msgspec.json.encode(answer.content)
    headers = [(b"content-type", JSON), *answer.headers] if body else list(answer.headers)
    await _send(answer.status, body, headers, scope, send)


async def write_problem(problem: Problem, scope: Scope, send: Send) -> None:
    """Send a problem document. The server closes the connection where the rest of the request is not wanted."""
    headers = [(b"content-type", MEDIA_TYPE), *problem.headers, *([_CLOSE] if problem.close else [])]
    await _send(problem.status, problem.body(), headers, scope, send)


async def _send(status: int, body: bytes, headers: list[tuple[bytes, bytes]], scope: Scope, send: Send) -> None:
    if status != 204:
        headers.append((b"content-length", b"%d" % len(body)))
    headers.append(_NO_STORE)
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else body})


def _too_large(bytes_max: int) -> Problem:
    return Problem("body-too-large", f"at most {bytes_max} bytes are taken here", close=True)
