"""What docs/simulators.md shows is true: its scripts are taken, its table names every field and column."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

from channels.simulator.ledger import COLUMNS
from channels.simulator.planned import MAIL_WORDS, PUSH_WORDS
from channels.simulator.script import Step, check

TEXT = (Path(__file__).parents[2] / "docs" / "simulators.md").read_text(encoding="utf-8")


def test_the_scripts_that_are_shown_are_taken() -> None:
    shown = re.findall(r"```toml\n(.*?)```", TEXT, re.DOTALL)
    assert len(shown) >= 2
    assert all(check(tomllib.loads(text)).step for text in shown)


def test_every_field_column_and_word_is_described() -> None:
    rows = "".join(line for line in TEXT.splitlines() if line.startswith("|"))
    wanted = {*Step.__struct_fields__, *COLUMNS, *(word for word, _ in (*PUSH_WORDS, *MAIL_WORDS))}
    missing = {name for name in wanted - {"at_seconds", "for_seconds"} if f"`{name}`" not in rows}
    assert not missing
