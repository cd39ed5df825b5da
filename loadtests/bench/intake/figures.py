"""What a phase came to: rates, percentiles, CPU microseconds by process; and the targets of the issue. Pure."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from loadtests.bench.intake.generator import Result
from loadtests.bench.measuring import percentile

TARGETS: dict[str, int] = {"singles": 3_000, "batches": 30_000}
"""Durable events a second, one a request and in batches."""

_RATE_TOLERANCE = 0.98  # of the rate that was asked for: the rest is the last requests' time on their way
_ACCEPTED = 202


class Phase(msgspec.Struct, frozen=True, kw_only=True):
    """One phase: `errors` are answers other than the wanted status, connections lost and answers that never came.

    `cpu_us_per_event` by process: intake, store, generator. `asked_per_second` 0 for a closed loop.
    """

    name: str
    events: int
    errors: int
    seconds: float
    events_per_second: float
    asked_per_second: float
    p50_ms: float
    p99_ms: float
    worst_ms: float
    cpu_us_per_event: dict[str, float]


def phase(
    name: str,
    result: Result,
    cpu_seconds: Mapping[str, float],
    *,
    batch: int = 1,
    requests_per_second: float = 0.0,
    wanted: int = _ACCEPTED,
) -> Phase:
    """Sum up one phase. `cpu_seconds`: what each process used meanwhile."""
    good = result.statuses.get(wanted, 0)
    events = good * batch
    answered = sum(result.statuses.values())
    return Phase(
        name=name,
        events=events,
        errors=answered - good + result.broken,
        seconds=result.seconds,
        events_per_second=events / result.seconds,
        asked_per_second=requests_per_second * batch,
        p50_ms=1e3 * percentile(result.latencies, 0.5),
        p99_ms=1e3 * percentile(result.latencies, 0.99),
        worst_ms=1e3 * percentile(result.latencies, 1.0),
        cpu_us_per_event={name: 1e6 * used / events for name, used in cpu_seconds.items()} if events else {},
    )


class Statement(msgspec.Struct, frozen=True):
    """One target and what became of it."""

    target: str
    measured: str
    reached: bool


def held(one: Phase) -> bool:
    """Whether a phase of a given rate kept it, without an error."""
    return one.errors == 0 and one.events_per_second >= _RATE_TOLERANCE * one.asked_per_second


def statements(phases: Mapping[str, Phase], durable: Proof) -> list[Statement]:
    """Each target with what was measured."""
    found = []
    for kind, target in TARGETS.items():
        at_rate = phases[f"{kind} at rate"]
        measured = f"{at_rate.events_per_second:,.0f}/s, p50 {at_rate.p50_ms:.1f} ms, p99 {at_rate.p99_ms:.1f} ms"
        most = phases[f"{kind} at most"].events_per_second
        found.append(
            Statement(
                f"{target:,} {kind}/s ({_RATE_TOLERANCE:.0%} of it, no error)",
                f"{measured}; at most {most:,.0f}/s",
                held(at_rate) and at_rate.asked_per_second >= target,
            )
        )
    text = f"{durable.known:,} of {durable.asked:,} known after kill -9 of the store"
    found.append(Statement("every 202 is durable", text, durable.asked > 0 and durable.known == durable.asked))
    return found


class Proof(msgspec.Struct, frozen=True):
    """Events answered 202 that were sent again after the store was killed; how many were known under their old id."""

    asked: int
    known: int
