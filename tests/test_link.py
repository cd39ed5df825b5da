"""The link to the store: pipelines, scripts, refusals."""

from __future__ import annotations

from pathlib import Path

import pytest
import trio

from engine.records.errors import StoreUnavailable
from queueing.link import Link


async def test_a_pipeline_answers_in_order(link: Link) -> None:
    assert await link.run([("SET", "a", b"1"), ("GET", "a"), ("GET", "none")]) == [b"OK", b"1", None]


async def test_a_missing_store_is_unavailable(tmp_path: Path) -> None:
    with pytest.raises(StoreUnavailable):
        await Link(f"unix://{tmp_path}/nothing.sock").ask("PING")


async def test_a_full_store_is_unavailable(link: Link) -> None:
    await link.ask("CONFIG", "SET", "maxmemory", 1)
    try:
        with pytest.raises(StoreUnavailable, match="OutOfMemory"):
            await link.ask("SET", "a", "b")
    finally:
        await link.ask("CONFIG", "SET", "maxmemory", 0)


async def test_published_messages_are_heard(link: Link) -> None:
    send, receive = trio.open_memory_channel[tuple[str, bytes]](8)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(link.listen, ["bell"], send)
        while not await link.ask("PUBLISH", "bell", "x"):
            await trio.lowlevel.checkpoint()
        assert await receive.receive() == ("bell", b"x")
        nursery.cancel_scope.cancel()
