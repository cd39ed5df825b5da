"""Holds the engine's reports, the oracle and the simulators' ledgers against each other. Pure, but for the inboxes.

Four things must be true, and each fault is a sentence:

    balance    per event and channel: people + suppressed = audience; the ends + what lives = planned
    deliveries every provider received what the oracle expects, once, with the right words, and nothing else
    report     the engine counts what the oracle counts, and accepted what the providers received
    inboxes    the inboxes looked into hold the events that the oracle puts there
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from loadtests.demo.school_day import Played
from loadtests.oracle.comparison import Comparison, Fault
from loadtests.oracle.verify import Inbox

Report = Mapping[str, Any]
CHANNELS = ("push", "email", "inapp")
_WIRE_CHANNELS = ("push", "email")


class Check(NamedTuple):
    """One comparison and what speaks against it; no faults means that it agrees."""

    name: str
    faults: tuple[str, ...]


def balance(played: Sequence[Played], reports: Mapping[str, Report], resting: set[str]) -> Check:
    """Check that every event's ledger adds up by itself; `resting` are the events of which nothing more is due."""

    def faults() -> Iterator[str]:
        for one in played:
            report = reports[one.posted.id]
            if not report["balanced"]:
                yield f"{one.scene.title}: the engine itself says that its ledger does not balance"
            if one.posted.id not in resting:
                lives = {channel: counts["live"] for channel, counts in report["channels"].items() if counts["live"]}
                yield f"{one.scene.title}: deliveries still wait that were due ({lives or 'not planned'})"
            for channel, counts in report["channels"].items():
                people = counts["people"] + sum(counts["suppressed"].values())
                if people != report["audience"]:
                    yield f"{one.scene.title}, {channel}: {people} people are accounted for, of {report['audience']}"
                deliveries = sum(counts["ends"].values()) + counts["live"]
                if deliveries != counts["planned"] or counts["live"] < 0:
                    planned = counts["planned"]
                    yield f"{one.scene.title}, {channel}: {deliveries} deliveries are accounted for, of {planned}"

    return Check("every event's ledger balances", tuple(faults()))


def deliveries(comparison: Comparison, titles: Mapping[str, str], reports: Mapping[str, Report]) -> Check:
    """Check that the providers received what the oracle expects.

    A repeat is allowed only where the engine counted the outcome of the first as unknown: somebody was about to be sent
    to when a process was killed. Without a fault there are none.
    """
    found = [
        f"{titles[event]}, {channel}: {count} {fault.value.replace('_', ' ')}"
        + "".join(f" ({example.person})" for example in comparison.examples[fault][:1] if example.event == event)
        for (fault, event, channel), count in sorted(comparison.faults.items())
        if fault is not Fault.DUPLICATE
    ]
    for (event, channel), count in comparison.repeated_lines().items():
        unknown = reports[event]["channels"][channel]["unknown"]
        if count > unknown:
            found.append(f"{titles[event]}, {channel}: {count} accepted again, of {unknown} whose outcome was unknown")
    if comparison.foreign_lines:
        found.append(f"{comparison.foreign_lines} requests belong to no event that was posted")
    return Check("the providers received what the oracle expects", tuple(found))


def agreement(
    played: Sequence[Played],
    reports: Mapping[str, Report],
    comparison: Comparison,
    replaced: set[str],
    *,
    is_complete: bool,
) -> Check:
    """Check the engine's counts against the ledgers, and against the oracle where that looked at everybody."""
    repeated = comparison.repeated_lines()

    def faults() -> Iterator[str]:
        for one in played:
            report = reports[one.posted.id]
            if not report["channels"] and one.posted.id not in replaced:
                yield f"{one.scene.title}: the report names no channel"
            for channel, counts in report["channels"].items():
                where = f"{one.scene.title}, {channel}"
                key = (one.posted.id, channel)
                if channel in _WIRE_CHANNELS:
                    yield from _accepted_faults(where, counts, comparison.received[key] - repeated[key])
                if is_complete and not (one.posted.id in replaced and report["audience"] == 0):
                    yield from _count_faults(where, report, channel, comparison)

    return Check("the engine's report agrees with oracle and ledgers", tuple(faults()))


def _accepted_faults(where: str, counts: Mapping[str, Any], received: int) -> Iterator[str]:
    """An unknown outcome may have been received: it is counted as dead, or still lives."""
    accepted = counts["ends"].get("accepted", 0)
    open_ = counts["ends"].get("dead", 0) + counts["live"] if counts["unknown"] else 0
    if not accepted <= received <= accepted + open_:
        yield f"{where}: the engine says {accepted} accepted, the providers received {received}"


def _count_faults(where: str, report: Report, channel: str, comparison: Comparison) -> Iterator[str]:
    event, counts = report["id"], report["channels"][channel]
    tally = comparison.tally(event, channel)
    if report["audience"] != tally.audience:
        yield f"{where}: the engine's audience has {report['audience']} people, the oracle's {tally.audience}"
    if not tally.people - tally.dead_people <= counts["people"] <= tally.people:
        yield f"{where}: the engine planned {counts['people']} people, the oracle {tally.people}"
    if not tally.deliveries - tally.dead <= counts["planned"] <= tally.deliveries:
        yield f"{where}: the engine planned {counts['planned']} deliveries, the oracle {tally.deliveries}"
    wanted = {
        reason: count
        for (id, where_, reason), count in comparison.suppressed.items()
        if (id, where_) == (event, channel)
    }
    for reason in sorted({*wanted, *counts["suppressed"]}):
        ours, theirs = wanted.get(reason, 0), counts["suppressed"].get(reason, 0)
        retired = tally.dead_people if reason == "no_endpoint" else 0  # their only device was dead and is gone by now
        if not ours <= theirs <= ours + retired:
            yield f"{where}: the engine suppressed {theirs} people for {reason}, the oracle {ours}"


def inboxes(wanted: Sequence[Inbox], found: Mapping[str, Sequence[str]], posted_ids: set[str]) -> Check:
    """Check what lies in the inboxes looked into; `found` maps a person to event ids."""

    def faults() -> Iterator[str]:
        for inbox in wanted:
            there = found[inbox.person]
            ours = {event for event in there if event in posted_ids}
            if len(there) != len(set(there)):
                yield f"the inbox of {inbox.person} shows an event twice"
            if missing := inbox.must - ours:
                yield f"the inbox of {inbox.person} lacks {', '.join(sorted(missing))}"
            if more := ours - inbox.must - inbox.may:
                yield f"the inbox of {inbox.person} shows {', '.join(sorted(more))}, which is not for them"

    return Check(f"{len(wanted)} inboxes hold what they should", tuple(faults()))


def lost(comparison: Comparison) -> int:
    return comparison.count(Fault.LOST)


def duplicate_bound(reports: Mapping[str, Report]) -> int:
    """How many outcomes were unknown: no more than so many may have been accepted twice."""
    return sum(counts["unknown"] for report in reports.values() for counts in report["channels"].values())


def duplicates(comparison: Comparison) -> int:
    """Accepted more than once: over the whole ledger, whoever was looked at."""
    return max(comparison.count(Fault.DUPLICATE), comparison.repeated_lines().total())
