"""How many connections a pool opens: enough for the distance, no more than help, none to a silent provider."""

from __future__ import annotations

from pathlib import Path

import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st

from channels.http2.connection import Origin
from channels.http2.growth import FREELY, Growth, Look
from channels.http2.jobs import OK
from channels.http2.pool import Pool, PoolSettings
from channels.http2.tls import client_context
from channels.simulator.starting import start
from tests.channels.sending import batch

TICK = 0.05


def stand_after(
    seconds: float, *, streams: int, round_trip: float, capacity: float, connections_max: int, waiting: int
) -> tuple[int, list[float]]:
    """A provider that carries `capacity` a second at most: connections then, and when each growth was asked for.

    A new connection is warm after four round trips, as on the wire: TCP, TLS, SETTINGS, the first answer.
    """
    growth = Growth(connections_max)
    warm_at = [4 * round_trip]
    answered, now, grown = 0.0, 0.0, []
    while now < seconds:
        now += TICK
        warm = sum(at <= now for at in warm_at)
        answered += TICK * min(capacity, warm * streams / round_trip)
        looks = [
            Look(at <= now, at <= now, streams if at <= now else 1, int(answered / len(warm_at)), round_trip)
            for at in warm_at
        ]
        more = growth.wanted(looks, waiting, now)
        if more:
            grown.append(now)
            warm_at += [now + 4 * round_trip] * more
    return len(warm_at), grown


def test_sixty_milliseconds_away_sixteen_connections_are_asked_for_within_a_second() -> None:
    connections, grown = stand_after(
        5, streams=1_000, round_trip=0.06, capacity=1e9, connections_max=16, waiting=30_000
    )
    assert connections == 16
    assert grown[-1] < 1.0


def test_a_provider_or_core_that_is_busy_gets_no_more_than_the_first_few() -> None:
    connections, _ = stand_after(
        20, streams=1_000, round_trip=0.001, capacity=100_000, connections_max=64, waiting=30_000
    )
    assert connections == FREELY


def test_where_the_provider_becomes_the_limit_growth_ends_within_a_step_of_it() -> None:
    connections, _ = stand_after(
        20, streams=100, round_trip=0.06, capacity=20_000, connections_max=1_000, waiting=100_000
    )
    needed = 20_000 * 0.06 / 100
    assert needed <= connections <= 6 * needed


def test_a_silent_provider_gets_no_more_than_the_first_few() -> None:
    connections, _ = stand_after(20, streams=1_000, round_trip=0.06, capacity=0, connections_max=64, waiting=30_000)
    assert connections == FREELY


def test_little_waiting_work_opens_few_connections() -> None:
    connections, _ = stand_after(0.35, streams=1_000, round_trip=0.06, capacity=1e9, connections_max=16, waiting=46)
    assert connections == 2


@given(
    st.lists(
        st.builds(Look, st.booleans(), st.booleans(), st.integers(0, 1_000), st.integers(0, 10**6),
                  st.none() | st.floats(0, 10)),
        min_size=1, max_size=20,
    ),
    st.integers(0, 10**6),
    st.integers(1, 64),
)  # fmt: skip
def test_never_more_than_the_maximum_and_nothing_unless_all_are_full(
    looks: list[Look], waiting: int, connections_max: int
) -> None:
    growth = Growth(connections_max)
    for now in (0.0, 60.0, 120.0):
        more = growth.wanted(looks, waiting, now)
        assert 0 <= more <= max(0, connections_max - len(looks))
        if not waiting or not all(look.is_warm and look.is_full for look in looks):
            assert more == 0


@pytest.mark.parametrize("latency_ms", [40])
async def test_against_a_distant_provider_connections_are_added_until_work_flows(
    tmp_path: Path, latency_ms: int
) -> None:
    script = tmp_path / "far.toml"
    script.write_text(f"[[step]]\nat_seconds = 0\nlatency_ms = {latency_ms}\n")
    with start("apns", tmp_path, mode="accept-all", script=script, streams=50) as apns:
        settings = PoolSettings(Origin("localhost", apns.port), connections_max=12, starts_with_one=True)
        pool = Pool(settings, client_context(str(apns.ca_file)))
        async with trio.open_nursery() as nursery:
            await nursery.start(pool.run)
            assert await pool.submit(batch(6_000), 30) == [OK] * 6_000
            assert FREELY < pool.connections <= 12
            nursery.cancel_scope.cancel()
