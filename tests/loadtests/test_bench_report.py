"""Tables of benchmarks: whole where there is room, and as sentences where there is not."""

from __future__ import annotations

import io

from rich.console import Console

from loadtests.bench import report

COLUMNS = ("sender", "pushes/s", "CPU us a push", "server us a push", "peak RSS MB", "connections")
ROWS = [
    ("ours apns nghttpd", "136,967", "2.65", "7.30", "63", ""),
    ("aioapns haproxy", "4,374", "228.60", "35", "47", "4"),
]


def shown(width: int) -> str:
    out = io.StringIO()
    report.show(Console(file=out, width=width), "push senders", COLUMNS, ROWS)
    return out.getvalue()


def test_every_figure_can_be_read_at_every_width() -> None:
    for width in (40, 60, 80, 100, 200):
        text = " ".join(shown(width).split())
        assert all(value in text for row in ROWS for value in row)
        assert "…" not in text


def test_a_wide_terminal_has_a_table() -> None:
    assert "┃" in shown(200)
    assert "┃" not in shown(60)
