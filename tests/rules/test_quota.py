"""How fast a lane may be within its provider's quota."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.rules.quota import MINUTE_SECONDS, USED_WITHIN_SECONDS, rate_for, within_quota


@pytest.mark.parametrize(
    ("quota", "rate", "burst", "expected"),
    [
        (600_000, None, None, (9_195, 2_308)),
        (600_000, 5_000.0, None, (5_000, 1_250)),
        (600_000, 20_000.0, None, (9_195, 2_308)),
        (600_000, None, 600, (9_222, 600)),
        (60, None, None, (0.9, 1)),
    ],
)
def test_rate_and_burst_of_a_lane(
    quota: int, rate: float | None, burst: int | None, expected: tuple[float, int]
) -> None:
    found = within_quota(quota, rate, burst)
    assert found[0] == pytest.approx(expected[0], abs=1)
    assert found[1] == expected[1]


@given(
    quota=st.integers(60, 10_000_000), rate=st.none() | st.floats(0.01, 1e6), burst=st.none() | st.integers(1, 10**6)
)
def test_a_minute_and_what_was_granted_just_before_it_never_exceed_the_quota(
    quota: int, rate: float | None, burst: int | None
) -> None:
    if burst is not None and burst > quota / 10:
        with pytest.raises(ValueError, match="burst: at most a tenth"):
            within_quota(quota, rate, burst)
        return
    found_rate, found_burst = within_quota(quota, rate, burst)
    assert found_rate * (MINUTE_SECONDS + USED_WITHIN_SECONDS) + found_burst <= quota * (1 + 1e-9)
    assert found_rate <= (rate or float("inf"))
    assert found_rate > 0
    assert found_burst >= 1


def test_a_burst_that_eats_the_quota_is_refused_with_the_highest_one() -> None:
    with pytest.raises(ValueError, match=r"at most a tenth of quota_per_minute \(60000\)"):
        rate_for(600_000, 60_001)
