"""A lane with a quota a minute and a ramp, on the real store, with time as an argument."""

from __future__ import annotations

import bisect
import itertools

import pytest
import trio
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from engine.rules.quota import within_quota
from queueing.lanes import LaneLimit, StoreLanes
from queueing.link import Link

NOW_MS = 1_800_000_000_000
LANE = "fcm.parent"
QUOTA = 6_000
MINUTE_MS = 60_000


def quota_lanes(link: Link, quota: int = QUOTA, ramp_seconds: float = 0.0) -> StoreLanes:
    rate, burst = within_quota(quota, None, None)
    return StoreLanes(link, {LANE: LaneLimit(rate_per_second=rate, burst=burst, ramp_seconds=ramp_seconds)})


def fullest_minute(grants: list[tuple[int, int]]) -> int:
    """The most that fell into any sixty seconds, wherever they begin."""
    ordered = sorted(grants)
    times = [at for at, _ in ordered]
    sums = [0, *itertools.accumulate(count for _, count in ordered)]
    return max(sums[bisect.bisect_right(times, at + MINUTE_MS - 1)] - sums[first] for first, at in enumerate(times))


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    ramp_seconds=st.sampled_from([0.0, 10.0, 60.0]),
    asks=st.lists(
        st.tuples(st.integers(0, 9_000), st.integers(1, 4_000), st.integers(0, 100)), min_size=5, max_size=40
    ),
)
def test_four_dispatchers_at_once_never_exceed_the_quota_in_any_minute(
    link: Link, ramp_seconds: float, asks: list[tuple[int, int, int]]
) -> None:
    link.run_now([("FLUSHALL",)])
    one = quota_lanes(link, ramp_seconds=ramp_seconds)
    grants: list[tuple[int, int]] = []

    async def dispatcher(clock_lag_ms: int) -> None:
        now = NOW_MS - clock_lag_ms
        for step, want, unused_percent in asks:
            now += step
            granted = (await one.take(LANE, want, now)).granted
            unused = granted * unused_percent // 100
            if unused:
                await one.give_back(LANE, unused, now)
            grants.append((now, granted - unused))

    async def all_four() -> None:
        async with trio.open_nursery() as nursery:
            for lag in (0, 3, 11, 40):
                nursery.start_soon(dispatcher, lag)

    trio.run(all_four)
    assert fullest_minute(grants) <= QUOTA


async def test_a_hungry_lane_uses_nearly_all_of_its_quota_and_spreads_it(link: Link) -> None:
    one = quota_lanes(link)
    grants = [(NOW_MS + at, (await one.take(LANE, 10_000, NOW_MS + at)).granted) for at in range(0, 3 * MINUTE_MS, 250)]
    assert fullest_minute(grants) <= QUOTA
    assert fullest_minute(grants[4:]) >= 0.9 * QUOTA
    assert max(count for _, count in grants[1:]) <= QUOTA / 200  # a quarter of a second's worth, not the minute's


async def hungry(one: StoreLanes, from_ms: int, seconds: int) -> list[int]:
    """What a lane grants in each second to somebody who takes all there is, four times a second."""
    return [
        sum([(await one.take(LANE, 10**6, from_ms + second * 1000 + quarter * 250)).granted for quarter in range(4)])
        for second in range(seconds)
    ]


async def test_from_idle_the_rate_climbs_to_its_height_in_a_minute(link: Link) -> None:
    one = quota_lanes(link, quota=600_000, ramp_seconds=60.0)
    rate, burst = within_quota(600_000, None, None)
    granted = await hungry(one, NOW_MS, 90)
    table = {second: granted[second] / rate for second in (1, 15, 30, 45, 59, 70, 89)}
    wanted = {1: 1 / 60, 15: 0.25, 30: 0.5, 45: 0.75, 59: 1.0, 70: 1.0, 89: 1.0}
    assert granted[0] <= burst + rate / 60  # a class message does not wait for the ramp
    assert {second: pytest.approx(share, abs=0.035) for second, share in wanted.items()} == table
    assert all(later >= earlier - 2 for earlier, later in itertools.pairwise(granted[1:]))


async def test_a_pause_sinks_the_rate_and_a_long_one_starts_the_ramp_again(link: Link) -> None:
    one = quota_lanes(link, quota=600_000, ramp_seconds=60.0)
    rate, burst = within_quota(600_000, None, None)
    await hungry(one, NOW_MS, 70)
    after_short = await hungry(one, NOW_MS + 85_000, 3)
    assert after_short[2] / rate == pytest.approx(0.78, abs=0.05)
    after_long = await hungry(one, NOW_MS + 300_000, 3)
    assert after_long[0] <= burst + 0.9 * rate / 15
    assert after_long[2] / rate <= 0.07


async def test_a_trickle_of_small_events_is_never_held_up_and_never_raises_the_rate_far_above_itself(
    link: Link,
) -> None:
    one = quota_lanes(link, quota=600_000, ramp_seconds=60.0)
    rate, burst = within_quota(600_000, None, None)
    for second in range(120):  # as a dispatcher does: takes what there is, uses 46, gives back the rest
        permits = await one.take(LANE, 17_000, NOW_MS + second * 1000)
        assert permits.granted >= 46
        await one.give_back(LANE, permits.granted - 46, NOW_MS + second * 1000)
    blast = await hungry(one, NOW_MS + 120_000, 3)
    assert blast[0] <= burst + 3 * rate / 60
    assert blast[2] / rate <= 0.07


async def test_without_a_ramp_the_full_rate_is_there_at_once(link: Link) -> None:
    one = quota_lanes(link, quota=600_000)
    rate, _ = within_quota(600_000, None, None)
    granted = await hungry(one, NOW_MS, 3)
    assert granted[1] == pytest.approx(rate, abs=2)


async def test_a_clock_set_back_does_not_stop_the_ramp(link: Link) -> None:
    one = quota_lanes(link, quota=600_000, ramp_seconds=10.0)
    rate, _ = within_quota(600_000, None, None)
    await hungry(one, NOW_MS, 5)
    back = await hungry(one, NOW_MS - 10**7, 12)
    assert back[11] == pytest.approx(rate, rel=0.05)


@pytest.mark.parametrize("ramp_seconds", [-1.0, float("inf"), float("nan")])
def test_a_senseless_ramp_is_refused(ramp_seconds: float) -> None:
    with pytest.raises(ValueError, match="ramp_seconds"):
        LaneLimit(rate_per_second=1, burst=1, ramp_seconds=ramp_seconds)
