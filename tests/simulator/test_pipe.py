"""The pipe keeps bytes in order and waits for a client that does not read."""

from __future__ import annotations

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from channels.simulator.pipe import Pipe

MUCH = 3 << 20


async def joined() -> tuple[Pipe, trio.SocketStream]:
    ours, theirs = trio.socket.socketpair()
    return Pipe(trio.SocketStream(ours)), trio.SocketStream(theirs)


async def test_two_senders_to_a_client_that_does_not_read_wait_and_keep_their_order() -> None:
    pipe, client = await joined()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(pipe.send, b"a" * MUCH)
        await wait_all_tasks_blocked()
        nursery.start_soon(pipe.send, b"b" * MUCH)
        await wait_all_tasks_blocked()
        heard = b""
        while len(heard) < 2 * MUCH:
            heard += await client.receive_some(1 << 20)
    assert heard == b"a" * MUCH + b"b" * MUCH
    await pipe.close()
    assert await client.receive_some(1) == b""


async def test_a_read_gives_what_came_and_then_the_end() -> None:
    pipe, client = await joined()
    await client.send_all(b"one")
    first = await pipe.read()
    await client.send_all(b"two")
    assert (first, await pipe.read()) == (b"one", b"two"), "a later read does not touch what was given"
    await client.aclose()
    assert await pipe.read() == b""
    with pytest.raises(trio.BrokenResourceError):
        await pipe.send(b"x")
    await pipe.close()
