"""Whatever is done to a valid event: never a 5xx, nothing invalid admitted. The oracle is msgspec's verdict."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
import pytest
import trio
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from engine.intake.wire import CalendarEvent, MessageEvent
from queueing.link import Link
from tests.intake.conftest import Town, calendar, message, post, post_batch
from tests.intake.test_faults import JUNK, changed, is_taken, places
from tests.intake.test_strict_json import MALFORMED, TOO_BIG

_RAW = [row[0] for row in (MALFORMED | TOO_BIG).values() if len(row[0]) < 10_000]
_HOLE = "hole-2f6d"


@st.composite
def mutated(draw: st.DrawFn) -> tuple[Any, type[msgspec.Struct]]:
    """An event with one to four changes, and the struct it must fit."""
    value, shape = draw(st.sampled_from([(message(), MessageEvent), (calendar(), CalendarEvent)]))
    value = {**value, "id": f"x-{draw(st.integers(0, 10**12))}"}
    for _ in range(draw(st.integers(0, 4))):
        path = draw(st.sampled_from(places(value)))
        value = changed(value, path, draw(st.sampled_from(JUNK)), draw(st.sampled_from(["put", "drop", "add"])))
    return value, shape


def test_mutated_events_are_admitted_only_when_valid(link: Link) -> None:
    _with_town(link, _try_mutations)


def _with_town(link: Link, journey: Callable[[Town, Callable[..., Any]], None]) -> None:
    """Run a journey in a thread, so that Hypothesis stays synchronous while one intake serves all its examples."""
    from tests.intake.conftest import settle

    async def main() -> None:
        town = Town(link)
        await settle(town.directory)
        async with trio.open_nursery() as nursery:
            await nursery.start(town.make().run)
            await trio.to_thread.run_sync(journey, town, trio.from_thread.run)
            nursery.cancel_scope.cancel()

    trio.run(main)


def _try_mutations(town: Town, run: Callable[..., Any]) -> None:
    @given(mutated(), st.booleans())
    @settings(max_examples=250, deadline=None, suppress_health_check=list(HealthCheck))
    def each(made: tuple[Any, type[msgspec.Struct]], in_batch: bool) -> None:
        value, shape = made

        async def send() -> int:
            async with town.client() as client:
                response = await (post_batch(client, [value]) if in_batch else post(client, value))
                return response.status_code

        status = run(send)
        assert status in (202, 400, 422)
        assert status != 202 or is_taken(value, shape)

    each()


def test_no_raw_bytes_inside_an_event_break_the_intake(link: Link) -> None:
    _with_town(link, _try_bytes)


def _try_bytes(town: Town, run: Callable[..., Any]) -> None:
    @given(st.data())
    @settings(max_examples=120, deadline=None, suppress_health_check=list(HealthCheck))
    def each(data: st.DataObject) -> None:
        value = message()
        path = data.draw(st.sampled_from(places(value)[1:]))
        body = msgspec.json.encode(changed(value, path, _HOLE, "put"))
        piece = data.draw(st.sampled_from(_RAW) | st.binary(max_size=12))
        body = body.replace(f'"{_HOLE}"'.encode(), piece)

        async def send() -> int:
            async with town.client() as client:
                return (await post(client, body)).status_code

        assert run(send) in (202, 400, 422)

    each()


@pytest.mark.parametrize("depth", [10, 20_000])
async def test_nesting_never_reaches_the_interpreters_limit(api: Town, depth: int) -> None:
    async with api.client() as client:
        for body in (b"[" * depth, b'{"data":' * depth + b"1" + b"}" * depth):
            assert (await post(client, body)).status_code in (400, 422)
            assert (await post_batch(client, body)).status_code in (400, 422)
