"""How a benchmark reports: a table on the terminal, plain where there is none, and a JSON file."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table


def show(console: Console, title: str, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print a table; the first column is text, the others are figures."""
    table = Table(title=title, title_justify="left")
    for place, column in enumerate(columns):
        table.add_column(column, justify="left" if place == 0 else "right")
    for row in rows:
        table.add_row(*row)
    console.print(table)


def write_json(path: Path, figures: Mapping[str, Any]) -> None:
    """Write the figures, two blanks deep, with a line feed at the end."""
    path.write_text(json.dumps(figures, indent=2, ensure_ascii=False) + "\n", "utf-8")
