"""The run as numbers: what `--json` writes. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from loadtests.demo.school_day import Played
from loadtests.demo.verdict import CHANNELS, Check, Report, duplicate_bound, duplicates, lost
from loadtests.oracle.comparison import Comparison, Fault
from loadtests.oracle.ledger import CHANNEL_OF_PROVIDER
from loadtests.stage.filling import Filled

ENDS = ("accepted", "rejected", "expired", "cancelled", "superseded", "dead")
RATE_SECONDS_MIN = 2.0
"""Of less, starting and the last retry are the most: a rate would say how long those take."""
_NOTHING: Mapping[str, Any] = {
    **dict.fromkeys(("people", "planned", "retries", "unknown", "live", "held"), 0),
    **{name: {} for name in ("suppressed", "ends", "rejected_reasons")},
}


def summary(
    filled: Filled,
    played: Sequence[Played],
    reports: Mapping[str, Report],
    comparison: Comparison,
    checks: Sequence[Check],
    *,
    people_looked_at: int,
) -> dict[str, Any]:
    """Put everything together; `checks` is balance first."""
    events = [event(one, reports[one.posted.id], comparison) for one in played]
    first_ms = min(one.posted.posted_ms for one in played)
    last_ms = max((_last_ms(one, reports[one.posted.id], comparison) for one in played), default=first_ms)
    seconds = max(0.001, (last_ms - first_ms) / 1000)
    accepted = sum(channel["accepted"] for one in events for channel in one["channels"].values())
    return {
        "recipients": filled.people,
        "events": events,
        "simulators": simulators(comparison),
        "conserved": not checks[0].faults,
        "lost": lost(comparison),
        "duplicates": duplicates(comparison),
        "duplicate_bound": duplicate_bound(reports),
        "unexpected": comparison.count(Fault.UNEXPECTED),
        "wrong_text": comparison.count(Fault.WRONG_TEXT),
        "wrong_tenant": comparison.count(Fault.WRONG_TENANT),
        "late": comparison.count(Fault.LATE),
        "seconds": round(seconds, 3),
        "deliveries": accepted,
        "deliveries_per_second": rate(accepted, seconds),
        "people_looked_at": people_looked_at,
        "generated_seconds": round(filled.generated_seconds, 3),
        "imported_seconds": round(filled.imported_seconds, 3),
        "checks": [{"name": check.name, "agrees": not check.faults, "faults": list(check.faults)} for check in checks],
        "agreed": not any(check.faults for check in checks),
    }


def event(one: Played, report: Report, comparison: Comparison) -> dict[str, Any]:
    """One event: counts by channel, and how long it took from the post to the last answer."""
    seconds = max(0.0, (_last_ms(one, report, comparison) - one.posted.posted_ms) / 1000)
    channels = {name: channel(report["channels"].get(name, _NOTHING)) for name in CHANNELS}
    for name, counts in channels.items():
        if name != "inapp":
            counts["received"] = comparison.received[one.posted.id, name]
            counts["duplicates"] = comparison.repeated_lines()[one.posted.id, name]
            counts["lost"] = comparison.count(Fault.LOST, one.posted.id, name)
    accepted = sum(counts["accepted"] for counts in channels.values())
    return {
        "id": one.posted.id,
        "kind": one.scene.kind,
        "title": one.scene.title,
        "audience": report["audience"],
        "state": report["state"],
        "stop": report["stop"],
        "seconds": round(seconds, 3),
        "seconds_to_99_percent": _seconds_to_99_percent(one, comparison),
        "deliveries_per_second": rate(accepted, seconds),
        "channels": channels,
    }


def rate(deliveries: int, seconds: float) -> float | None:
    """Deliveries a second; None where it was over too soon for a rate to mean anything."""
    return round(deliveries / seconds, 1) if seconds >= RATE_SECONDS_MIN else None


def channel(counts: Mapping[str, Any]) -> dict[str, Any]:
    """One channel of one event; `suppressed` counts people before planning, `suppressed_at_send` deliveries after."""
    ends = counts["ends"]
    return {
        "people": counts["people"],
        "planned": counts["planned"],
        "suppressed": sum(counts["suppressed"].values()),
        "suppressed_by_reason": dict(counts["suppressed"]),
        **{end: ends.get(end, 0) for end in ENDS},
        "suppressed_at_send": ends.get("suppressed", 0),
        "rejected_by_reason": dict(counts["rejected_reasons"]),
        "live": counts["live"],
        "held": counts["held"],
        "retries": counts["retries"],
        "unknown": counts["unknown"],
    }


def simulators(comparison: Comparison) -> dict[str, Any]:
    """What each simulated provider received and refused, from its own ledger."""
    shown: dict[str, Any] = {provider: {"received": 0, "refused": {}} for provider in CHANNEL_OF_PROVIDER}
    for (provider, what), count in sorted(comparison.of_provider.items()):
        if what == "accepted":
            shown[provider]["received"] = count
        else:
            shown[provider]["refused"][what] = count
    return shown


def _seconds_to_99_percent(one: Played, comparison: Comparison) -> float | None:
    """By the providers' ledgers: a retry of a few makes the last answer late, and says little about the others."""
    arrived_ms = comparison.arrived_ms(one.posted.id, 0.99)
    return None if arrived_ms is None else max(0.0, (arrived_ms - one.posted.posted_ms) / 1000)


def _last_ms(one: Played, report: Report, comparison: Comparison) -> int:
    """When the last answer came: by the providers' ledgers, or the engine's word where it is later (the inbox)."""
    said = report.get("last_settled")
    settled_ms = int(datetime.fromisoformat(said).timestamp() * 1000) if said else 0
    return max(settled_ms, comparison.last_ms.get(one.posted.id, 0), one.posted.posted_ms)
