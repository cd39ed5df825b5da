"""What the samples of several rounds come to: medians, ratios, and whether targets were met. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from loadtests.bench.measuring import median
from loadtests.bench.push.task import Sample


class Figures(NamedTuple):
    """The medians of one row."""

    rate: float
    cpu_us: float
    server_cpu_us: float
    peak_rss_mb: float
    connections: int
    full_rate_after_seconds: float
    full_rate: float
    accepted_share: float
    rounds: int


def of(samples: Sequence[Sample]) -> Figures:
    """Medians over rounds, each figure for itself."""
    return Figures(
        rate=median([one.rate for one in samples]),
        cpu_us=median([one.cpu_us for one in samples]),
        server_cpu_us=median([one.server_cpu_us for one in samples]),
        peak_rss_mb=median([one.peak_rss_mb for one in samples]),
        connections=max((one.connections for one in samples), default=0),
        full_rate_after_seconds=median([one.full_rate_after_seconds for one in samples]),
        full_rate=median([one.full_rate for one in samples]),
        accepted_share=median([one.accepted / one.pushes for one in samples if one.pushes]),
        rounds=len(samples),
    )


class Target(NamedTuple):
    """A wanted figure: at least or at most `limit`. `value` None: it was not measured here."""

    name: str
    limit: float
    at_least: bool
    unit: str
    value: float | None

    @property
    def is_met(self) -> bool | None:
        if self.value is None:
            return None
        return self.value >= self.limit if self.at_least else self.value <= self.limit

    def sentence(self) -> str:
        """For example: APNs shape, CPU a push: target <= 9 us: 6.2, met."""
        sign = ">=" if self.at_least else "<="
        unit = f" {self.unit}" if self.unit else ""
        wanted = f"{self.name}: target {sign} {_plain(self.limit)}{unit}"
        if self.value is None:
            return f"{wanted}: not measured"
        return f"{wanted}: {_plain(self.value)}, {'met' if self.is_met else 'not met'}"


def _plain(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def ratio(theirs: Figures | None, ours: Figures | None) -> float | None:
    """Their CPU per push over ours: above 1 we are cheaper."""
    return theirs.cpu_us / ours.cpu_us if theirs and ours and ours.cpu_us else None


def ratios(rows: Mapping[str, Figures]) -> dict[str, float | None]:
    """Each peer is compared with us at the same server; h2load at its best one."""
    found: dict[str, float | None] = {}
    for peer in ("aioapns", "httpx", "h2load"):
        pairs = [
            ratio(rows[name], rows.get(f"ours apns {name.partition(' ')[2]}"))
            for name in rows
            if name.partition(" ")[0] == peer
        ]
        known = [pair for pair in pairs if pair is not None]
        found[peer] = min(known, default=None)  # where several servers were measured, the least kind one counts
    return found


def growth_mb(long_run: Sample | None) -> float | None:
    """How much memory grew over the last nine tenths of the long run."""
    return long_run.rss_mb[2] - long_run.rss_mb[1] if long_run else None


def targets(rows: Mapping[str, Figures], long_run: Sample | None) -> list[Target]:
    """Issue 3's targets, with what was measured."""
    best = next((rows[name] for name in ("ours apns nghttpd", "ours apns simulator") if name in rows), None)
    proxied, refused, far = rows.get("ours apns haproxy"), _first(rows, "ours refused"), _first(rows, "ours latency")
    compared = ratios(rows)
    fcm = _fcm_over_apns(rows)
    return [
        Target("APNs shape, CPU a push", 9, False, "us", best and best.cpu_us),
        Target("APNs shape, rate", 100_000, True, "a second", best and best.rate),
        Target("APNs shape at HAProxy, rate", 50_000, True, "a second", proxied and proxied.rate),
        Target("aioapns' CPU over ours", 60, True, "", compared["aioapns"]),
        Target("h2load's CPU over ours", 0.6, True, "", compared["h2load"]),
        Target("FCM shape's CPU over the APNs shape's, same server", 1.5, False, "", fcm),
        Target("5 % refused and 1 % 503, rate", 60_000, True, "a second", refused and refused.rate),
        Target("60 ms of latency, rate once connections stand", 100_000, True, "a second", far and far.full_rate),
        Target("memory growth over the last nine tenths of the long run", 5, False, "MB", growth_mb(long_run)),
    ]


def _first(rows: Mapping[str, Figures], beginning: str) -> Figures | None:
    return next((figures for name, figures in rows.items() if name.startswith(beginning)), None)


def _fcm_over_apns(rows: Mapping[str, Figures]) -> float | None:
    found = [
        ratio(figures, rows.get(name.replace(" fcm ", " apns ")))
        for name, figures in rows.items()
        if name.startswith("ours fcm ")
    ]
    return max((one for one in found if one is not None), default=None)


def as_json(samples: Mapping[str, Sequence[Sample]], long_run: Sample | None) -> dict[str, Any]:
    """The figures for the JSON file; the first keys are those of the APNs shape at the fastest server."""
    rows = {name: of(some) for name, some in samples.items() if some}
    best = next((rows[name] for name in ("ours apns nghttpd", "ours apns simulator") if name in rows), None)
    return {
        "ratios": ratios(rows),
        "pushes_per_second": best and best.rate,
        "cpu_us_per_push": best and best.cpu_us,
        "peak_rss_mb": best and best.peak_rss_mb,
        "targets": [{**target._asdict(), "is_met": target.is_met} for target in targets(rows, long_run)],
        "scenarios": {name: figures._asdict() for name, figures in rows.items()},
        "outcomes": {name: some[-1].outcomes for name, some in samples.items() if some and some[-1].outcomes},
        "long_run": long_run
        and {
            "pushes": long_run.pushes,
            "rate": long_run.rate,
            "cpu_us": long_run.cpu_us,
            "rss_mb_at_start_tenth_end": long_run.rss_mb,
        },
    }
