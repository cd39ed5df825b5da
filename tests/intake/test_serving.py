"""Over real sockets: keep-alive, limits, slow and broken callers, an orderly stop, and a kill after the commit."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

import httpx
import msgspec
import pytest
import trio

from engine.intake import serving
from engine.intake.exchange import Call
from engine.intake.problems import Problem
from engine.intake.serving import ServingLimits
from engine.records.event import Admission, Event
from queueing.link import Link
from tests.intake.conftest import STRUCTURED, Town, message, problem

QUICK = ServingLimits(head_seconds=0.3, idle_seconds=0.3, drain_seconds=5.0, linger_seconds=1.0)
ROOT = Path(__file__).parents[2]


@asynccontextmanager
async def served(town: Town, limits: ServingLimits | None = None, stop: trio.Event | None = None) -> AsyncIterator[int]:
    """The town's intake on a port of its own."""
    listeners = await trio.open_tcp_listeners(0, host="127.0.0.1")
    port: int = listeners[0].socket.getsockname()[1]
    stopped = trio.sleep_forever if stop is None else stop.wait
    async with trio.open_nursery() as nursery:
        await nursery.start(partial(serving.serve, town.make(), listeners, stopped, limits))
        yield port
        nursery.cancel_scope.cancel()


def request(town: Town, body: bytes, *headers: str, length: int | None = None) -> bytes:
    lines = [
        "POST /v1/events HTTP/1.1",
        "Host: klokke",
        f"Authorization: Bearer {town.secrets['school']}",
        "Content-Type: application/cloudevents+json",
        f"Content-Length: {len(body) if length is None else length}",
        *headers,
    ]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


async def everything(stream: trio.SocketStream, seconds: float = 5.0) -> bytes:
    """Read until the server closes."""
    data = b""
    with trio.fail_after(seconds):
        while piece := await stream.receive_some(65_536):
            data += piece
    return data


async def answer(stream: trio.SocketStream) -> bytes:
    """Read one answer of a connection that stays open."""
    data = b""
    with trio.fail_after(5):
        while b"\r\n\r\n" not in data or b"content-length" not in data.lower():
            data += await stream.receive_some(65_536)
        head, _, body = data.partition(b"\r\n\r\n")
        length = int(head.lower().partition(b"content-length: ")[2].split(b"\r\n")[0])
        while len(body) < length:
            body += await stream.receive_some(65_536)
    return head + b"\r\n\r\n" + body


async def test_a_connection_serves_many_requests(town: Town) -> None:
    async with served(town) as port, await trio.open_tcp_stream("127.0.0.1", port) as stream:
        for at in range(5):
            await stream.send_all(request(town, msgspec.json.encode(message(f"m-{at}"))))
            assert (await answer(stream)).startswith(b"HTTP/1.1 202")


async def test_pipelined_requests_are_answered_in_order(town: Town) -> None:
    alive, nowhere = b"GET /healthz HTTP/1.1\r\nHost: k\r\n", b"GET /no HTTP/1.1\r\nHost: k\r\nConnection: close\r\n"
    async with served(town) as port, await trio.open_tcp_stream("127.0.0.1", port) as stream:
        await stream.send_all(b"\r\n".join([alive, alive, nowhere, b""]))
        data = await everything(stream)
    assert re.findall(rb"HTTP/1.1 (\d+)", data) == [b"200", b"200", b"404"]


async def test_a_declared_oversize_is_refused_without_reading_it(town: Town) -> None:
    async with served(town) as port, await trio.open_tcp_stream("127.0.0.1", port) as stream:
        await stream.send_all(request(town, b"", length=50_000_000))
        data = await everything(stream)
    assert data.startswith(b"HTTP/1.1 413")
    assert b"connection: close" in data.lower()


async def test_who_sends_too_much_still_reads_the_answer(town: Town) -> None:
    async with served(town) as port, httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}") as client:
        headers = {**STRUCTURED, "authorization": f"Bearer {town.secrets['school']}"}
        response = await client.post("/v1/events", content=b" " * 5_000_000, headers=headers)
        problem(response, 413, "body-too-large")


async def test_an_endless_chunked_body_is_cut_off(town: Town) -> None:
    async with served(town, QUICK) as port, await trio.open_tcp_stream("127.0.0.1", port) as stream:
        head = request(town, b"").replace(b"Content-Length: 0", b"Transfer-Encoding: chunked")
        await stream.send_all(head)

        async def send_on() -> None:
            while True:
                await stream.send_all(b"10000\r\n" + b" " * 65_536 + b"\r\n")

        with trio.fail_after(5), pytest.raises(trio.BrokenResourceError):
            await send_on()


@pytest.mark.parametrize("header", ["X-Long: " + "x" * 70_000, "\r\n".join(f"X-{at}: {at}" for at in range(3_000))])
async def test_headers_that_are_too_large_get_431(town: Town, header: str) -> None:
    async with served(town) as port, await trio.open_tcp_stream("127.0.0.1", port) as stream:
        await stream.send_all(request(town, b"", header))
        data = await everything(stream)
    assert data.startswith(b"HTTP/1.1 431")
    assert b"urn:klokke:problem:headers-too-large" in data


JUNK = [
    b"\x16\x03\x01\x02\x00\x01\r\n\r\n",
    b"GET / HTTP/9.9\r\n\r\n",
    b"GET /a b HTTP/1.1\r\n\r\n",
    b"GET / HTTP/1.1\r\n\r\n",
    b"POST /v1/events HTTP/1.1\r\nHost: k\r\nContent-Length: -5\r\n\r\n",
    b"POST /v1/events HTTP/1.1\r\nHost: k\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n",
    b"POST /v1/events HTTP/1.1\r\nHost: k\r\nTransfer-Encoding: gzip\r\n\r\n",
]


@pytest.mark.parametrize("junk", JUNK)
async def test_a_broken_head_gets_a_problem_and_the_connection_closes(town: Town, junk: bytes) -> None:
    async with served(town) as port, await trio.open_tcp_stream("127.0.0.1", port) as stream:
        await stream.send_all(junk)
        data = await everything(stream)
    assert data.startswith(b"HTTP/1.1 400")
    assert b"urn:klokke:problem:malformed-request" in data


async def test_a_head_that_drips_gets_408_however_steadily_it_drips(town: Town) -> None:
    async with served(town, QUICK) as port, await trio.open_tcp_stream("127.0.0.1", port) as stream:
        with trio.move_on_after(5):
            for byte in request(town, b""):
                try:
                    await stream.send_all(bytes([byte]))
                except trio.BrokenResourceError:
                    break
                await trio.sleep(0.02)
        assert (await everything(stream)).startswith(b"HTTP/1.1 408")


async def test_an_idle_connection_is_closed(town: Town) -> None:
    async with served(town, QUICK) as port, await trio.open_tcp_stream("127.0.0.1", port) as stream:
        assert await everything(stream) == b""


async def test_slow_callers_do_not_hold_up_others(town: Town) -> None:
    async with served(town) as port, trio.open_nursery() as nursery:
        for _ in range(200):
            stream = await trio.open_tcp_stream("127.0.0.1", port)
            await stream.send_all(b"POST /v1/events HTTP/1.1\r\nHost: ")
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}") as client:
            with trio.fail_after(2):
                assert (await client.get("/healthz")).status_code == 200
        nursery.cancel_scope.cancel()


async def test_a_slow_body_gets_408() -> None:
    async def never() -> dict[str, object]:
        await trio.sleep_forever()
        raise AssertionError

    call = Call({"headers": [], "method": "POST"}, never, None)
    with pytest.raises(Problem) as caught:
        await call.body(100, 0.01)
    assert (caught.value.status, caught.value.close) == (408, True)


class HeldWork:
    """A ledger whose writes wait until they are let go; the rest of the port is not used here."""

    def __init__(self) -> None:
        self.came = trio.Event()
        self.go = trio.Event()

    async def admit(self, events: Sequence[Event], fingerprints: Sequence[bytes]) -> list[Admission]:
        self.came.set()
        await self.go.wait()
        return [Admission(event.number, "new") for event in events]


async def test_a_stop_answers_what_is_in_hand_and_takes_nothing_new(town: Town) -> None:
    held, stop = HeldWork(), trio.Event()
    town.work = held  # type: ignore[assignment]
    async with served(town, stop=stop) as port:
        idle = await trio.open_tcp_stream("127.0.0.1", port)
        busy = await trio.open_tcp_stream("127.0.0.1", port)
        await busy.send_all(request(town, msgspec.json.encode(message())))
        await held.came.wait()
        stop.set()
        assert await everything(idle) == b""
        with pytest.raises(OSError, match="127"):
            await trio.open_tcp_stream("127.0.0.1", port)
        held.go.set()
        assert (await everything(busy)).startswith(b"HTTP/1.1 202")


def start(url: str, way: str) -> tuple[subprocess.Popen[str], str, str]:
    command = [sys.executable, "-m", "tests.intake.served", url, way]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    port, key = process.stdout.readline().split()
    return process, f"http://127.0.0.1:{port}", key


def send(url: str, key: str) -> httpx.Response:
    headers = {**STRUCTURED, "authorization": f"Bearer {key}"}
    return httpx.post(f"{url}/v1/events", content=msgspec.json.encode(message()), headers=headers)


def test_a_kill_after_the_commit_is_healed_by_the_same_request(store_url: str, link: Link) -> None:
    process, url, key = start(store_url, "die")
    with pytest.raises(httpx.TransportError):
        send(url, key)
    assert process.wait(10) == -signal.SIGKILL
    process, url, key = start(store_url, "live")
    try:
        response = send(url, key)
        assert response.status_code == 202
        assert response.headers["idempotent-replayed"] == "true"
        assert send(url, key).json() == response.json()
    finally:
        process.terminate()
    assert process.wait(10) == 0
