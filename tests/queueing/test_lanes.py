"""Lanes: permits never exceed the limit, whoever takes them; parked and slowed lanes grant nothing."""

from __future__ import annotations

import pytest
import trio
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from engine.ports import Lanes, Permits
from queueing.lanes import CLOCK_SET_BACK_MS, PARKED_WAIT_MS, LaneLimit, StoreLanes
from queueing.link import Link

NOW_MS = 1_800_000_000_000
LANE = "apns.parent"


def lanes(link: Link, rate: float = 100, burst: int = 50) -> StoreLanes:
    return StoreLanes(link, {LANE: LaneLimit(rate_per_second=rate, burst=burst)})


def test_the_store_satisfies_the_port(link: Link) -> None:
    port: Lanes = lanes(link)
    assert port


async def test_a_full_bucket_grants_its_burst_and_says_when_to_ask_again(link: Link) -> None:
    one = lanes(link)
    assert await one.take(LANE, 30, NOW_MS) == Permits(30, 0)
    assert await one.take(LANE, 30, NOW_MS) == Permits(20, 100)
    assert await one.take(LANE, 10, NOW_MS + 99) == Permits(9, 1)
    assert await one.take(LANE, 10, NOW_MS + 110) == Permits(2, 80)
    assert await one.take(LANE, 500, NOW_MS + 3_600_000) == Permits(50, 250)


async def test_permits_given_back_can_be_taken_again_but_never_exceed_the_burst(link: Link) -> None:
    one = lanes(link)
    await one.give_back(LANE, 10, NOW_MS)
    assert (await one.take(LANE, 50, NOW_MS)).granted == 50
    await one.give_back(LANE, 10, NOW_MS)
    assert (await one.take(LANE, 50, NOW_MS)).granted == 10
    await one.give_back(LANE, 1000, NOW_MS)
    assert (await one.take(LANE, 1000, NOW_MS)).granted == 50


async def test_a_slow_lane_that_is_asked_every_millisecond_still_fills(link: Link) -> None:
    one = lanes(link, rate=5, burst=1)
    granted = [(await one.take(LANE, 1, NOW_MS + at)).granted for at in range(0, 402)]
    assert [at for at, count in enumerate(granted) if count] == [0, 200, 400]


async def test_a_lane_without_a_limit_grants_all_and_can_be_parked_and_slowed(link: Link) -> None:
    one = StoreLanes(link, {})
    assert await one.take("inapp", 100_000, NOW_MS) == Permits(100_000, 0)
    await one.slow("inapp", NOW_MS + 700, "Retry-After")
    assert await one.take("inapp", 5, NOW_MS) == Permits(0, 700)
    assert await one.take("inapp", 5, NOW_MS + 700) == Permits(5, 0)
    await one.park("inapp", "certificate", NOW_MS)
    assert await one.take("inapp", 5, NOW_MS + 700) == Permits(0, PARKED_WAIT_MS, True)


async def test_the_latest_retry_after_holds(link: Link) -> None:
    one = lanes(link)
    await one.slow(LANE, NOW_MS + 900, "503")
    await one.slow(LANE, NOW_MS + 100, "503")
    assert await one.take(LANE, 5, NOW_MS) == Permits(0, 900)


async def test_a_parked_lane_stays_parked_with_its_first_reason_until_it_is_resumed(link: Link) -> None:
    one = lanes(link)
    await one.park(LANE, "403 InvalidProviderToken", NOW_MS)
    await one.park(LANE, "later symptom", NOW_MS)
    await one.park("email", "535", NOW_MS)
    assert await one.parked() == {LANE: "403 InvalidProviderToken", "email": "535"}
    assert (await one.take(LANE, 1, NOW_MS + 10**9)).parked
    await one.resume(LANE)
    await one.resume(LANE)
    assert await one.parked() == {"email": "535"}
    assert await one.take(LANE, 1, NOW_MS) == Permits(1, 0)


async def test_lanes_do_not_touch_each_other(link: Link) -> None:
    limit = LaneLimit(rate_per_second=1, burst=1)
    one = StoreLanes(link, {"a": limit, "b": limit})
    assert (await one.take("a", 1, NOW_MS)).granted == 1
    assert (await one.take("b", 1, NOW_MS)).granted == 1
    assert (await one.take("a", 1, NOW_MS)).granted == 0


async def test_a_clock_that_lags_gets_no_extra_permits_and_one_set_back_is_no_dead_lane(link: Link) -> None:
    one = lanes(link, rate=10, burst=10)
    await one.take(LANE, 10, NOW_MS)
    assert (await one.take(LANE, 10, NOW_MS - 500)).granted == 0
    assert (await one.take(LANE, 10, NOW_MS + 500)).granted == 5
    back = NOW_MS - 2 * CLOCK_SET_BACK_MS
    assert (await one.take(LANE, 10, back)).granted == 0
    assert (await one.take(LANE, 10, back + 1000)).granted == 10


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    rate=st.sampled_from([0.7, 3.0, 250.0, 9000.0]),
    burst=st.integers(1, 300),
    asks=st.lists(st.tuples(st.integers(0, 400), st.integers(1, 200)), min_size=4, max_size=40),
)
def test_four_takers_at_once_never_exceed_rate_times_time_plus_burst(
    link: Link, rate: float, burst: int, asks: list[tuple[int, int]]
) -> None:
    link.run_now([("FLUSHALL",)])
    one = lanes(link, rate, burst)
    grants: list[tuple[int, int]] = []

    async def taker(clock_lag_ms: int) -> None:
        now = NOW_MS - clock_lag_ms
        for step, want in asks:
            now += step
            grants.append((now, (await one.take(LANE, want, now)).granted))

    async def all_four() -> None:
        async with trio.open_nursery() as nursery:
            for lag in (0, 1, 7, 40):
                nursery.start_soon(taker, lag)

    trio.run(all_four)
    seconds = (max(now for now, _ in grants) - NOW_MS) / 1000 + 0.04
    assert sum(granted for _, granted in grants) <= rate * seconds + burst


@pytest.mark.parametrize(("rate", "burst"), [(0, 5), (-1, 5), (float("inf"), 5), (float("nan"), 5), (5, 0)])
def test_a_senseless_limit_is_refused(rate: float, burst: int) -> None:
    with pytest.raises(ValueError, match="must be"):
        LaneLimit(rate_per_second=rate, burst=burst)
