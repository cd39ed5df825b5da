"""What only sockets show: peers that stop reading, records that break, addresses that move, connections replaced."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import h2.config
import h2.connection
import pytest
import trio
import trio.testing

from channels.http2 import frames
from channels.http2.connection import FAREWELL_SECONDS, Origin, open_connection
from channels.http2.frames import ErrorCode
from channels.http2.jobs import OK, Failure, Job, Queue, Result
from channels.http2.pool import Pool, PoolSettings
from channels.http2.session import Limits
from channels.http2.tls import TlsPump, client_context
from tests.channels.peer import Line, Peer, Request, certificates
from tests.channels.sending import batch, sending_to, unknown


async def hold_the_line(stream: trio.SocketStream) -> None:
    """A server that shakes hands, opens every window, and never reads again."""
    tls = trio.SSLStream(stream, certificates()[0], server_side=True)
    await tls.do_handshake()
    server = h2.connection.H2Connection(h2.config.H2Configuration(client_side=False))
    server.initiate_connection()
    server.update_settings({3: 100_000, 4: 1 << 30})
    server.increment_flow_control_window(1 << 30)
    await tls.send_all(server.data_to_send())
    await trio.sleep_forever()


async def test_a_peer_that_reads_nothing_any_more_costs_its_deadline_and_the_connection_is_closed() -> None:
    now = 0.0
    async with trio.open_nursery() as nursery:
        listeners = await nursery.start(partial(trio.serve_tcp, hold_the_line, 0, host="127.0.0.1"))
        origin = Origin("localhost", listeners[0].socket.getsockname()[1])
        queue, done, ended = Queue(), trio.Event(), trio.Event()
        connection = await open_connection(origin, client_context(certificates()[1]), Limits(), queue, lambda: now)
        job = Job(batch(4_000, bytes(16_000)), queue, 5.0, 10.0, done.set)
        queue.join(job)

        async def run() -> None:
            await connection.run()
            ended.set()

        nursery.start_soon(run)
        await trio.testing.wait_all_tasks_blocked(0.05)
        assert connection.session.in_flight  # the writer hangs with the rest of a write
        now = 10.0
        await connection.watch()
        queue.expire(now)
        assert done.is_set()
        assert {type(result) for result in job.results} == {Failure}
        assert not ended.is_set()
        now += FAREWELL_SECONDS + 0.1
        await connection.watch()
        with trio.fail_after(5):
            await ended.wait()
        nursery.cancel_scope.cancel()


async def test_a_record_that_breaks_does_not_take_those_before_it_along() -> None:
    ours, theirs = socket.socketpair()
    server_in, server_out = ssl.MemoryBIO(), ssl.MemoryBIO()
    server = certificates()[0].wrap_bio(server_in, server_out, server_side=True)
    pump = TlsPump(
        trio.SocketStream(trio.socket.from_stdlib_socket(ours)), client_context(certificates()[1]), "localhost"
    )
    other = trio.SocketStream(trio.socket.from_stdlib_socket(theirs))

    async def serve() -> None:
        while True:
            try:
                server.do_handshake()
                break
            except ssl.SSLWantReadError:
                await other.send_all(server_out.read())
                server_in.write(await other.receive_some())
        server.write(b"first")
        whole = server_out.read()
        server.write(b"second")
        broken = bytearray(server_out.read())
        broken[-1] ^= 1
        await other.send_all(whole + broken)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(serve)
        await pump.handshake()
        assert await pump.receive() == b"first"
        with pytest.raises(ssl.SSLError):
            await pump.receive()
    await pump.close()
    await other.aclose()


async def test_a_half_closed_socket_keeps_the_answers_that_came_and_leaves_the_rest_unknown() -> None:
    peer = Peer(lambda line, request: None)
    results: list[Result] = []
    async with sending_to(peer) as pool, trio.open_nursery() as nursery:

        async def submit() -> None:
            results.extend(await pool.submit(batch(4), 30))

        nursery.start_soon(submit)
        await peer.wait_until(lambda: len(peer.requests) == 4)
        line = peer.lines[0]
        for request in sorted(line.requests, key=lambda one: one.stream)[:2]:
            line.answer(request)
        await line.flush()
        await line.tls.transport_stream.send_eof()
    assert results == [OK, OK, *[unknown("connection_closed")] * 2]
    assert len(peer.lines) == 1  # nothing is sent again behind our back


async def test_a_connection_cut_while_bodies_wait_sends_those_again_and_no_other() -> None:
    """A request whose body did not leave is acted upon by nobody; one that left whole may have been."""

    def on_open(line: Line) -> None:
        line.holds_windows = line is peer.lines[0]

    peer = Peer(lambda line, request: line.answer(request) if line is not peer.lines[0] else None, {4: 30}, on_open)
    results: list[Result] = []
    async with sending_to(peer, PoolSettings(Origin("x"), connections_max=1)) as pool, trio.open_nursery() as nursery:

        async def submit(name: str, body: bytes) -> None:
            results.extend(await pool.submit(batch(2, body, name), 10))

        nursery.start_soon(submit, "long", bytes(60))
        await peer.wait_until(lambda: len(peer.lines) == 1 and len(peer.lines[0].open) == 2)
        nursery.start_soon(submit, "short", bytes(20))
        await peer.wait_until(lambda: len(peer.lines[0].requests) == 2)
        await peer.lines[0].tls.transport_stream.aclose()
    assert sorted(map(str, results)) == sorted(map(str, [OK, OK, *[unknown("connection_closed")] * 2]))
    assert {request.token[:4] for request in peer.lines[1].requests} == {"long"}


class Resolver(trio.abc.HostnameResolver):
    """Names the addresses that it is told, and counts how often it is asked."""

    def __init__(self, *addresses: str) -> None:
        self.addresses = list(addresses)
        self.asked: list[object] = []

    async def getaddrinfo(
        self, host: bytes | None, port: object, family: int = 0, type: int = 0, proto: int = 0, flags: int = 0
    ) -> Any:
        self.asked.append(host)
        port_number = int(str(port))
        return [
            (socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP, "", (address, port_number))
            for address in self.addresses
        ]

    async def getnameinfo(self, sockaddr: object, flags: int) -> tuple[str, str]:
        raise NotImplementedError


@contextmanager
def resolving(*addresses: str) -> Iterator[Resolver]:
    resolver = Resolver(*addresses)
    before = trio.socket.set_custom_hostname_resolver(resolver)
    try:
        yield resolver
    finally:
        trio.socket.set_custom_hostname_resolver(before)


async def serve_on(peer: Peer, address: str, port: int, nursery: trio.Nursery) -> int:
    """Listen on one loopback address of several, on the same port."""
    listeners = await nursery.start(partial(trio.serve_tcp, peer._serve, port, host=address))
    found: int = listeners[0].socket.getsockname()[1]
    return found


async def test_the_name_is_resolved_anew_for_each_connection() -> None:
    old, new = Peer(), Peer()
    async with trio.open_nursery() as nursery:
        port = await serve_on(old, "127.0.0.1", 0, nursery)
        await serve_on(new, "127.0.0.2", port, nursery)
        with resolving("127.0.0.1") as resolver:
            pool = Pool(PoolSettings(Origin("localhost", port)), client_context(certificates()[1]))
            await nursery.start(pool.run)
            assert await pool.submit(batch(3), 5) == [OK] * 3
            resolver.addresses = ["127.0.0.2"]
            assert await pool.submit(batch(3), 5) == [OK] * 3
            assert len(resolver.asked) == 1
            pool.renew()
            await new.wait_until(lambda: len(new.lines) == 1)
            assert await pool.submit(batch(5), 5) == [OK] * 5
            assert (len(old.requests), len(new.requests), len(resolver.asked)) == (6, 5, 2)
        nursery.cancel_scope.cancel()


async def test_an_address_that_nobody_listens_on_is_passed_over() -> None:
    peer = Peer()
    async with trio.open_nursery() as nursery:
        port = await serve_on(peer, "127.0.0.2", 0, nursery)
        with resolving("127.0.0.3", "127.0.0.2"):
            pool = Pool(PoolSettings(Origin("localhost", port)), client_context(certificates()[1]))
            await nursery.start(pool.run)
            assert await pool.submit(batch(2), 5) == [OK] * 2
        nursery.cancel_scope.cancel()


async def test_a_connection_of_age_is_replaced_again_and_again_and_no_push_notices() -> None:
    peer = Peer()
    settings = PoolSettings(Origin("x"), connections_max=1, age_seconds_max=0.1)
    async with sending_to(peer, settings) as pool:
        sent = 0
        while len(peer.lines) < 4:
            assert await pool.submit(batch(20), 5) == [OK] * 20
            sent += 20
        with trio.fail_after(5):
            while pool.connections > 2:  # old ones leave as soon as the peer has closed them too
                await trio.sleep(0.01)
    assert len(peer.requests) == sent


async def test_renewing_while_nobody_listens_keeps_what_there_is() -> None:
    peer = Peer()
    async with trio.open_nursery() as nursery:
        port = await serve_on(peer, "127.0.0.1", 0, nursery)
        with resolving("127.0.0.1") as resolver:
            pool = Pool(PoolSettings(Origin("localhost", port)), client_context(certificates()[1]))
            await nursery.start(pool.run)
            assert await pool.submit(batch(1), 5) == [OK]
            resolver.addresses = ["127.0.0.9"]  # nobody listens there
            pool.renew()
            for _ in range(5):
                assert await pool.submit(batch(10), 5) == [OK] * 10
            while len(resolver.asked) < 4:  # it goes on trying
                await trio.sleep(0.01)
            resolver.addresses = ["127.0.0.1"]
            await peer.wait_until(lambda: len(peer.lines) == 2)
            assert await pool.submit(batch(10), 5) == [OK] * 10
        nursery.cancel_scope.cancel()


async def test_goaway_with_an_error_loses_only_what_it_does_not_name() -> None:
    def script(line: Line, request: Request) -> None:
        if line is not peer.lines[0]:
            line.answer(request)
        elif len(line.requests) == 6:
            streams = sorted(one.stream for one in line.requests)
            line.raw.append(frames.goaway(streams[2], ErrorCode.ENHANCE_YOUR_CALM))
            line.raw += [frames.frame(frames.HEADERS, 5, stream, b"\x88") for stream in streams[:3]]

    peer = Peer(script)
    async with sending_to(peer) as pool:
        assert await pool.submit(batch(6), 5) == [OK] * 6
    assert sorted(request.token for request in peer.lines[1].requests) == ["t0003", "t0004", "t0005"]


async def test_a_flooding_peer_is_told_to_calm_down_and_left() -> None:
    def script(line: Line, request: Request) -> None:
        if line is peer.lines[0]:
            line.raw.append(frames.frame(frames.PING, 0, 0, bytes(8)) * 20_000)
        else:
            line.answer(request)

    peer = Peer(script)
    async with sending_to(peer) as pool:
        assert await pool.submit(batch(1), 5) == [unknown("protocol_enhance_your_calm")]
        assert await pool.submit(batch(1), 5) == [OK]
