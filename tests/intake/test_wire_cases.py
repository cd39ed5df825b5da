"""Raw bytes in, status lines out, against the real server: what a socket sees."""

from __future__ import annotations

import json
import re
from typing import NamedTuple

import msgspec
import pytest
import trio

from engine.intake.serving import ServingLimits
from tests.intake.conftest import Town, message
from tests.intake.test_serving import answer, everything, request, served

EVENT = msgspec.json.encode(message())
POST = (
    b"POST /v1/events HTTP/1.1\r\nHost: k\r\nAuthorization: Bearer KEY\r\n"
    b"Content-Type: application/cloudevents+json\r\n"
)
ALIVE = b"GET /healthz HTTP/1.1\r\nHost: k\r\n"
END = b"Connection: close\r\n\r\n"
LENGTH = b"Content-Length: %d\r\n" % len(EVENT)


class Case(NamedTuple):
    """`KEY` in the bytes stands for an API key. `lines`: every status line that comes until the server closes."""

    sent: bytes
    lines: list[str]


OK, ADMITTED, MALFORMED = "200 OK", "202 Accepted", "400 Bad Request"
CASES = {
    "an event": Case(POST + LENGTH + END + EVENT, [ADMITTED]),
    "an event in chunks": Case(
        POST + b"Transfer-Encoding: chunked\r\n" + END + b"%x\r\n%b\r\n0\r\n\r\n" % (len(EVENT), EVENT), [ADMITTED]
    ),
    "one event, then another request in the same bytes": Case(
        POST + LENGTH + b"\r\n" + EVENT + ALIVE + END, [ADMITTED, OK]
    ),
    "chunks, then another request in the same bytes": Case(
        POST + b"Transfer-Encoding: chunked\r\n\r\n%x\r\n%b\r\n0\r\n\r\n" % (len(EVENT), EVENT) + ALIVE + END,
        [ADMITTED, OK],
    ),
    "an empty line before a request": Case(b"\r\n" + ALIVE + END, [OK]),
    "HTTP/1.0": Case(b"GET /healthz HTTP/1.0\r\n\r\n", [OK]),
    "absolute form": Case(b"GET http://k/healthz HTTP/1.1\r\nHost: k\r\n" + END, [OK]),
    "a wrong key, body unread, connection kept": Case(
        POST.replace(b"KEY", b"wrong") + LENGTH + b"\r\n" + EVENT + ALIVE + END, ["401 Unauthorized", OK]
    ),
    "a wrong type, body unread, connection kept": Case(
        POST.replace(b"cloudevents+json", b"xml") + LENGTH + b"\r\n" + EVENT + ALIVE + END,
        ["415 Unsupported Media Type", OK],
    ),
    "an unknown method": Case(b"BREW /healthz HTTP/1.1\r\nHost: k\r\n" + END, ["405 Method Not Allowed"]),
    "a lower-case method": Case(b"get /healthz HTTP/1.1\r\nHost: k\r\n" + END, ["405 Method Not Allowed"]),
    "no such address": Case(b"GET /x HTTP/1.1\r\nHost: k\r\n" + END, ["404 Not Found"]),
    "every address at once": Case(b"OPTIONS * HTTP/1.1\r\nHost: k\r\n" + END, ["404 Not Found"]),
    "length and chunks": Case(POST + LENGTH + b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n", [MALFORMED]),
    "length and chunks at an address that is not there": Case(
        b"POST /x HTTP/1.1\r\nHost: k\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", [MALFORMED]
    ),
    "two lengths": Case(POST + LENGTH + LENGTH + b"\r\n" + EVENT, [MALFORMED]),
    "a bare line feed in the head": Case(b"GET /healthz HTTP/1.1\nHost: k\n\n", [MALFORMED]),
    "a bare carriage return in the head": Case(b"GET /healthz HTTP/1.1\r\nHost: k\rX: y\r\n\r\n", [MALFORMED]),
    "TLS to a plain port": Case(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", [MALFORMED]),
    "HTTP/2": Case(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", [MALFORMED]),
    "broken chunks": Case(POST + b"Transfer-Encoding: chunked\r\n\r\n5\nabcde", [MALFORMED]),
    "a length too large": Case(POST + b"Content-Length: 300000\r\n\r\n", ["413 Request Entity Too Large"]),
    "a length too large, asking first": Case(
        POST + b"Content-Length: 300000\r\nExpect: 100-continue\r\n\r\n", ["413 Request Entity Too Large"]
    ),
    "a head too large": Case(
        b"GET /healthz HTTP/1.1\r\nHost: k\r\nX: " + b"x" * 17_000 + b"\r\n\r\n",
        ["431 Request Header Fields Too Large"],
    ),
    "a head of exactly the limit": Case(
        b"GET /healthz HTTP/1.1\r\nHost: k\r\nConnection: close\r\nX: ".ljust(16_384, b"x") + b"\r\n\r\n", [OK]
    ),
}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
@pytest.mark.parametrize("step", [1_000_000, 7])
async def test_status_lines(town: Town, case: Case, step: int) -> None:
    """Whether the bytes come at once or a few at a time."""
    sent = case.sent.replace(b"KEY", town.secrets["school"].encode())
    if step < 100 and len(sent) > 3_000:
        step = 1_500
    async with served(town) as port, await trio.open_tcp_stream("127.0.0.1", port) as stream:
        try:
            for at in range(0, len(sent), step):
                await stream.send_all(sent[at : at + step])
        except trio.BrokenResourceError:
            pass  # it was refused before it was whole
        data = await everything(stream)
    assert re.findall(r"HTTP/1.1 (\d{3} [^\r]*)\r\n", data.decode("latin-1")) == case.lines
    assert data.count(b"\r\ndate: ") == len(case.lines)


async def test_who_asks_first_is_told_to_go_on(town: Town) -> None:
    async with served(town) as port, await trio.open_tcp_stream("127.0.0.1", port) as stream:
        head, _, body = request(town, EVENT, "Expect: 100-continue").partition(b"\r\n\r\n")
        await stream.send_all(head + b"\r\n\r\n")
        with trio.fail_after(5):
            assert await stream.receive_some(100) == b"HTTP/1.1 100 Continue\r\n\r\n"
        await stream.send_all(body)
        assert (await answer(stream)).startswith(b"HTTP/1.1 202 Accepted\r\n")


async def test_head_has_the_head_of_get_and_nothing_else(town: Town) -> None:
    async with served(town) as port, await trio.open_tcp_stream("127.0.0.1", port) as stream:
        await stream.send_all(b"HEAD /healthz HTTP/1.1\r\nHost: k\r\nConnection: close\r\n\r\n")
        head, _, body = (await everything(stream)).partition(b"\r\n\r\n")
    assert (b"content-length: 15" in head, body) == (True, b"")


async def test_a_method_that_is_not_taken_is_told_which_are(town: Town) -> None:
    async with served(town) as port, await trio.open_tcp_stream("127.0.0.1", port) as stream:
        await stream.send_all(b"PUT /v1/events HTTP/1.1\r\nHost: k\r\nConnection: close\r\n\r\n")
        head, _, body = (await everything(stream)).partition(b"\r\n\r\n")
    assert b"\r\nallow: POST" in head
    assert json.loads(body)["detail"] == "This address takes POST."


async def test_a_connection_that_says_nothing_has_as_long_as_a_head(town: Town) -> None:
    limits = ServingLimits(head_seconds=0.2, idle_seconds=60.0)
    async with served(town, limits) as port, await trio.open_tcp_stream("127.0.0.1", port) as stream:
        assert await everything(stream) == b""


async def test_a_body_that_nobody_wants_may_not_drip_for_ever(town: Town) -> None:
    limits = ServingLimits(head_seconds=0.2, linger_seconds=0.2)
    async with served(town, limits) as port, await trio.open_tcp_stream("127.0.0.1", port) as stream:
        await stream.send_all(b"POST /nowhere HTTP/1.1\r\nHost: k\r\nContent-Length: 1000\r\n\r\nx")
        assert (await everything(stream)).startswith(b"HTTP/1.1 404 Not Found\r\n")


async def test_who_does_not_read_answers_is_dropped(town: Town) -> None:
    limits = ServingLimits(send_seconds=0.2)
    async with served(town, limits) as port, await trio.open_tcp_stream("127.0.0.1", port) as stream:
        asked = b"GET /openapi.json HTTP/1.1\r\nHost: k\r\n\r\n" * 1_000

        async def ask_on() -> None:
            while True:
                await stream.send_all(asked)

        with trio.fail_after(10), pytest.raises(trio.BrokenResourceError):
            await ask_on()
