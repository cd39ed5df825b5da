"""The pool: first streams, growth, replacement without a gap, turns, and what happens when nobody is there."""

from __future__ import annotations

import ssl

import h2.events
import pytest
import trio
import trio.testing

from channels.http2.connection import PING_AFTER_SECONDS, PONG_SECONDS, Origin, open_connection
from channels.http2.jobs import OK, Failure, FailureKind, Job, Queue, Result
from channels.http2.pool import Pool, PoolSettings
from channels.http2.session import Limits
from channels.http2.tls import client_context
from tests.channels.peer import Line, Peer, Request, accept_all, certificates
from tests.channels.sending import batch, sending_to, unknown


async def test_a_new_connection_has_one_stream_until_the_first_accepted_answer() -> None:
    most_open: list[int] = []

    def script(line: Line, request: Request) -> None:
        most_open.append(line.h2.open_inbound_streams)
        line.answer(request, 200 if len(line.requests) > 3 else 410)

    peer = Peer(script)
    async with sending_to(peer, PoolSettings(Origin("x"), starts_with_one=True, connections_max=1)) as pool:
        results = await pool.submit(batch(50), 5)
    assert [result[0] for result in results[:4]] == [410, 410, 410, 200]
    assert most_open[:4] == [1, 1, 1, 1]
    assert len(results) == 50


async def test_connections_are_added_while_work_waits_for_streams_up_to_the_maximum() -> None:
    held: list[tuple[Line, Request]] = []

    peer = Peer(lambda line, request: held.append((line, request)), settings={3: 5})
    async with sending_to(peer, PoolSettings(Origin("x"), connections_max=4)) as pool, trio.open_nursery() as nursery:

        async def submit() -> None:
            assert await pool.submit(batch(60), 8) == [OK] * 60

        nursery.start_soon(submit)
        await peer.wait_until(lambda: len(held) == 20)
        assert len(peer.lines) == pool.connections == 4
        peer.script = accept_all
        for line, request in held:
            line.answer(request)
        for line in peer.lines:
            await line.flush()


async def test_renewing_replaces_the_connection_without_a_gap() -> None:
    held: list[tuple[Line, Request]] = []
    peer = Peer(lambda line, request: held.append((line, request)))
    async with sending_to(peer) as pool, trio.open_nursery() as nursery:

        async def submit(name: str) -> None:
            assert await pool.submit(batch(3, name=name), 5) == [OK] * 3

        nursery.start_soon(submit, "old")
        await peer.wait_until(lambda: len(held) == 3)
        pool.renew()
        await peer.wait_until(lambda: len(peer.lines) == 2)
        peer.script = accept_all
        await submit("new")
        for line, request in held:
            line.answer(request)
        await peer.lines[0].flush()
    assert [request.token for request in peer.lines[1].requests] == ["new0000", "new0001", "new0002"]
    assert len(peer.lines[0].requests) == 3


async def test_small_batches_take_turns_with_a_large_one() -> None:
    peer = Peer(settings={3: 10})
    order: list[str] = []
    async with sending_to(peer, PoolSettings(Origin("x"), connections_max=1)) as pool, trio.open_nursery() as nursery:

        async def submit(name: str, count: int) -> None:
            assert await pool.submit(batch(count, name=name), 8) == [OK] * count
            order.append(name)

        nursery.start_soon(submit, "national", 2000)
        await peer.wait_until(lambda: len(peer.requests) >= 20)
        await submit("class", 20)
    assert order == ["class", "national"]


async def test_a_peer_that_was_silent_too_long_is_pinged_and_given_up_when_it_does_not_answer() -> None:
    now = 100.0
    peer = Peer(lambda line, request: None)
    async with trio.open_nursery() as nursery:
        await nursery.start(peer.run)
        queue, done = Queue(), trio.Event()
        origin = Origin("localhost", peer.port)
        connection = await open_connection(origin, client_context(certificates()[1]), Limits(), queue, lambda: now)
        job = Job(batch(1), queue, 1e9, 1e9, done.set)
        queue.join(job)
        nursery.start_soon(connection.run)
        await peer.wait_until(lambda: len(peer.requests) == 1)

        def pings() -> int:
            return sum(isinstance(event, h2.events.PingReceived) for event in peer.lines[0].events)

        await connection.watch()
        now += PING_AFTER_SECONDS + 1
        heard = trio.Event()
        connection.on_event = lambda connection: heard.set()
        await connection.watch()
        await peer.wait_until(lambda: pings() == 1)  # h2 answers it by itself
        await heard.wait()
        now += PONG_SECONDS + 1
        await connection.watch()
        assert not done.is_set()
        async with peer.lines[0].sending:  # the peer can say nothing from here on
            now += PING_AFTER_SECONDS
            await connection.watch()
            now += PONG_SECONDS + 1
            await connection.watch()
            with trio.fail_after(5):
                await done.wait()
        nursery.cancel_scope.cancel()
    assert job.results == [unknown("connection_broken")]


async def test_nobody_listening_is_surely_not_sent() -> None:
    with trio.socket.socket() as bound:
        await bound.bind(("127.0.0.1", 0))
        origin = Origin("127.0.0.1", bound.getsockname()[1])
        async with trio.open_nursery() as nursery:
            pool = Pool(PoolSettings(origin), client_context())
            await nursery.start(pool.run)
            assert await pool.submit(batch(2), 5) == [Failure(FailureKind.NOT_SENT, "connect_refused")] * 2
            nursery.cancel_scope.cancel()


async def test_a_certificate_that_nobody_vouches_for_is_refused() -> None:
    peer = Peer()
    async with trio.open_nursery() as nursery:
        await nursery.start(peer.run)
        pool = Pool(PoolSettings(Origin("localhost", peer.port)), client_context())
        await nursery.start(pool.run)
        assert await pool.submit(batch(1), 5) == [Failure(FailureKind.NOT_SENT, "certificate_refused")]
        nursery.cancel_scope.cancel()
    assert not peer.requests


def test_verification_is_on_with_and_without_a_file_of_authorities() -> None:
    for context in (client_context(), client_context(certificates()[1])):
        assert context.verify_mode is ssl.CERT_REQUIRED
        assert context.check_hostname


async def test_stopping_the_sender_settles_what_is_unfinished() -> None:
    peer = Peer(lambda line, request: None, settings={3: 2})
    async with trio.open_nursery() as nursery:
        await nursery.start(peer.run)
        pool = Pool(PoolSettings(Origin("localhost", peer.port), connections_max=1), client_context(certificates()[1]))
        results: list[Result] = []

        async def submit() -> None:
            results.extend(await pool.submit(batch(5), 30))

        async with trio.open_nursery() as running:
            await running.start(pool.run)
            nursery.start_soon(submit)
            await peer.wait_until(lambda: len(peer.requests) == 2)
            running.cancel_scope.cancel()
        await trio.testing.wait_all_tasks_blocked()
        nursery.cancel_scope.cancel()
    assert results == [unknown("closed")] * 2 + [Failure(FailureKind.NOT_SENT, "closed")] * 3
    assert await pool.submit(batch(1), 1) == [Failure(FailureKind.NOT_SENT, "closed")]


async def test_columns_that_do_not_fit_together_are_a_mistake_of_the_caller() -> None:
    pool = Pool(PoolSettings(Origin("localhost", 1)), client_context())
    good = batch(2)
    for wrong in (
        good._replace(total=3),
        good._replace(values=None),
        good._replace(values=[b"1", b"0002"]),
        good._replace(body=bytes(20_000)),
        good._replace(paths=[b"a", b"b" * 20_000]),
    ):
        with pytest.raises(ValueError, match=r"column|value|body|headers"):
            await pool.submit(wrong, 1)


@pytest.mark.parametrize("url", ["http://a.dk", "https://", "https://a.dk/path", "https://u:p@a.dk", "a.dk"])
def test_an_origin_is_https_host_and_port_only(url: str) -> None:
    with pytest.raises(ValueError, match="base_url"):
        Origin.parse(url)


def test_an_origin_spells_its_authority() -> None:
    assert Origin.parse("https://api.push.apple.com").authority == b"api.push.apple.com"
    assert Origin.parse("https://localhost:2197/").authority == b"localhost:2197"
    assert Origin.parse("https://[::1]:2197").authority == b"[::1]:2197"
