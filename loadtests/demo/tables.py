"""What the reader sees: the table while it runs, and the tables at the end."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich.table import Table

from loadtests.demo.school_day import Played
from loadtests.demo.verdict import CHANNELS, Check, Report

_COLUMNS = (
    ("people", "people"),
    ("planned", "planned"),
    ("accepted", "accepted"),
    ("rejected", "rejected"),
    ("expired", "expired"),
    ("cancelled", "cancelled"),
    ("superseded", "superseded"),
    ("dead", "dead"),
    ("live", "live"),
    ("retries", "retried"),
    ("received", "received"),
    ("duplicates", "twice"),
    ("lost", "lost"),
)
_NAME_WIDTH = 8


def progress_table(played: Sequence[Played], reports: Mapping[str, Report], seconds: float) -> Table:
    """Where every event stands now: accepted of planned by channel."""
    table = Table(title=f"{seconds:.0f} s", title_justify="left")
    table.add_column("event")
    table.add_column("state")
    for heading in ("audience", *CHANNELS, "live"):
        table.add_column(heading, justify="right")
    for one in played:
        report = reports.get(one.posted.id)
        if report is not None:
            table.add_row(one.scene.title, _state(report), f"{report['audience']:,}", *_progress(report))
    return table


def progress_line(one: Played, report: Report, seconds: float) -> str:
    """The same for one event that has come to rest, where there is no terminal."""
    push, email, inapp, _ = _progress(report)
    waiting = [f"{channel} {counts['held']:,}" for channel, counts in report["channels"].items() if counts["held"]]
    held = f", people held by quiet hours: {', '.join(waiting)}" if waiting else ""
    return f"{seconds:6.1f} s  {one.scene.title}: {_state(report)}, push {push}, e-mail {email}, inbox {inapp}{held}"


def _progress(report: Report) -> list[str]:
    cells, live = [], 0
    for channel in CHANNELS:
        counts = report["channels"].get(channel)
        cells.append(f"{counts['ends'].get('accepted', 0):,}/{counts['planned']:,}" if counts else "-")
        live += counts["live"] if counts else 0
    return [*cells, f"{live:,}"]


def _state(report: Report) -> str:
    return str(report["stop"] or report["state"])


def event_lines(summary: Mapping[str, Any]) -> list[str]:
    """The end of every event, by channel, as aligned text."""
    rows = [counts for event in summary["events"] for counts in event["channels"].values()]
    widths = [max(len(heading), *(len(_cell(counts, key)) for counts in rows)) + 1 for key, heading in _COLUMNS]
    lines = [
        " " * _NAME_WIDTH + "".join(heading.rjust(width) for (_, heading), width in zip(_COLUMNS, widths, strict=True))
    ]
    for event in summary["events"]:
        stop = f", {event['stop']}" if event["stop"] else ""
        most = event["seconds_to_99_percent"]
        within = f" (99 % within {most:.1f} s)" if most is not None else ""
        lines += ["", f"{event['title']}: {event['audience']:,} people, {event['seconds']:.1f} s{within}{stop}"]
        for name, counts in event["channels"].items():
            cells = (_cell(counts, key).rjust(width) for (key, _), width in zip(_COLUMNS, widths, strict=True))
            lines.append(f"  {name:{_NAME_WIDTH - 2}}" + "".join(cells).rstrip())
            if reasons := _reasons(counts):
                lines.append(" " * (_NAME_WIDTH + 2) + f"suppressed: {reasons}")
            if counts["held"]:
                lines.append(" " * (_NAME_WIDTH + 2) + f"people held until quiet hours end: {counts['held']:,}")
    return lines


def _cell(counts: Mapping[str, Any], key: str) -> str:
    return f"{counts[key]:,}" if key in counts else ""


def _reasons(counts: Mapping[str, Any]) -> str:
    reasons = [f"{reason} {count:,}" for reason, count in sorted(counts["suppressed_by_reason"].items())]
    if counts["suppressed_at_send"]:
        reasons.append(f"when it was to be sent {counts['suppressed_at_send']:,}")
    return ", ".join(reasons)


def simulators_table(summary: Mapping[str, Any]) -> Table:
    """What the simulated providers say themselves."""
    table = Table(title="The simulated providers' own ledgers", title_justify="left")
    table.add_column("provider")
    table.add_column("received", justify="right")
    table.add_column("refused, by reason")
    for provider, counts in summary["simulators"].items():
        refused = ", ".join(f"{reason} {count:,}" for reason, count in counts["refused"].items())
        table.add_row(provider, f"{counts['received']:,}", refused)
    return table


def closing_lines(summary: Mapping[str, Any], checks: Sequence[Check]) -> list[str]:
    """The end in words: figures, then each check with what speaks against it."""
    rate = summary["deliveries_per_second"]
    lines = [
        f"{summary['deliveries']:,} deliveries to {summary['recipients']:,} people in {summary['seconds']:.1f} s"
        + (f": {rate:,.0f} a second" if rate is not None else ""),
        f"people made in {summary['generated_seconds']:.1f} s, imported in {summary['imported_seconds']:.1f} s; "
        f"the oracle looked at {summary['people_looked_at']:,} of them",
        f"lost {summary['lost']:,}, duplicates {summary['duplicates']:,}",
    ]
    for check in checks:
        lines.append(f"{'agrees' if not check.faults else 'FAILED'}: {check.name}")
        lines += [f"    {fault}" for fault in check.faults[:10]]
        if len(check.faults) > 10:
            lines.append(f"    and {len(check.faults) - 10} more")
    return lines
