"""Two reads at the same time."""

from __future__ import annotations

import pytest
import trio

from engine.records.errors import StoreUnavailable
from engine.side_by_side import side_by_side


async def test_both_are_under_way_at_the_same_time_and_both_answers_come_back() -> None:
    met = trio.Event()

    async def first() -> int:
        with trio.fail_after(5):
            await met.wait()
        return 1

    async def second() -> str:
        met.set()
        return "two"

    assert await side_by_side(first, second) == (1, "two")


@pytest.mark.parametrize("failing", ["first", "second", "both"])
async def test_a_store_that_is_away_is_said_as_itself_and_not_in_a_group(failing: str) -> None:
    async def read(name: str) -> str:
        await trio.lowlevel.checkpoint()
        if failing in (name, "both"):
            raise StoreUnavailable("away")
        return name

    with pytest.raises(StoreUnavailable, match=r"^away$"):
        await side_by_side(lambda: read("first"), lambda: read("second"))
