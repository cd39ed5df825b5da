"""How fast a lane may be so that its provider never counts more than its quota a minute. Pure.

The limiter is a token bucket: in any T seconds it grants at most `rate * T + burst`. A provider counts what arrives,
in minutes that begin whenever it likes, and what was granted before such a minute may arrive in it. So the minute is
reckoned `USED_WITHIN_SECONDS` longer: with `rate * (60 + 5) + burst = quota` no minute sees more than the quota, as
long as a permit is used within five seconds. (It takes longer only when the provider itself is stuck; should it then
count one minute too many, its 429 makes the lane wait.) Spread over the minute, as Google asks, it is by itself.

The *ramp*: Google asks to go from nothing to the full rate over at least 60 seconds. A lane has a *pace*. It climbs by
`rate / ramp_seconds` each second in which more than half of it was used, and sinks as fast otherwise, so that it is
never far above what the lane really does: a trickle of class messages is no reason to start a national one at full
rate. It never sinks below one second's climb, and a full bucket may be spent at once: a class message never waits.
Sources: Firebase, "Throttling and quotas" and "Scale FCM".
"""

from __future__ import annotations

MINUTE_SECONDS = 60.0
USED_WITHIN_SECONDS = 5.0
BURST_SECONDS = 0.25  # a burst that nobody configured is a quarter of a second's worth
BURST_SHARE_MAX = 0.1  # of the quota


def rate_for(quota_per_minute: int, burst: int) -> float:
    """The highest rate a second that, with this burst, keeps every minute within the quota.

    Raises:
        ValueError: the burst takes more than a tenth of the quota.
    """
    if burst > BURST_SHARE_MAX * quota_per_minute:
        raise ValueError(f"burst: at most a tenth of quota_per_minute ({int(BURST_SHARE_MAX * quota_per_minute)})")
    return (quota_per_minute - burst) / (MINUTE_SECONDS + USED_WITHIN_SECONDS)


def usual_burst(rate_per_second: float) -> int:
    """The burst of a lane that names none."""
    return max(1, round(rate_per_second * BURST_SECONDS))


def within_quota(quota_per_minute: int, rate_per_second: float | None, burst: int | None) -> tuple[float, int]:
    """The rate and burst of a lane with a quota, and perhaps a rate and a burst of its own.

    Raises:
        ValueError: the text names the setting.
    """
    if burst is None:
        fastest = quota_per_minute / (MINUTE_SECONDS + USED_WITHIN_SECONDS)
        burst = min(usual_burst(min(rate_per_second or fastest, fastest)), max(1, quota_per_minute // 10))
    fastest = rate_for(quota_per_minute, burst)
    return min(rate_per_second or fastest, fastest), burst
