"""How a benchmark reports: a table on the terminal, plain where there is none, and a JSON file."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.measure import Measurement
from rich.table import Table

_WIDTH_MAX = 1_000


def show(console: Console, title: str, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print a table; the first column is text, the others are figures.

    Where the terminal is too narrow for it, each row becomes a paragraph: a figure that is cut off is none.
    """
    table = Table(title=title, title_justify="left")
    for place, column in enumerate(columns):
        table.add_column(column, justify="left" if place == 0 else "right")
    for row in rows:
        table.add_row(*row)
    if Measurement.get(console, console.options.update(max_width=_WIDTH_MAX), table).maximum <= console.width:
        console.print(table)
        return
    console.print(title, style="italic", markup=False)
    for name, *values in rows:
        figures = ", ".join(f"{column} {value}" for column, value in zip(columns[1:], values, strict=True) if value)
        console.print(f"  {name}: {figures}", markup=False, highlight=False)


def json_fault(path: Path | None) -> str | None:
    """Say why figures cannot be written there, or None. Asked before anything is measured."""
    if path is None:
        return None
    if path.is_dir():
        return f"--json: {path} is a folder; name a file"
    if not path.parent.is_dir() or not os.access(path if path.exists() else path.parent, os.W_OK):
        return f"--json: {path} cannot be written; name a file in a folder that exists and is yours"
    return None


def write_json(path: Path, figures: Mapping[str, Any]) -> None:
    """Write the figures, two blanks deep, with a line feed at the end."""
    path.write_text(json.dumps(figures, indent=2, ensure_ascii=False) + "\n", "utf-8")
