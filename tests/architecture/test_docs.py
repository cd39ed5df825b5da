"""Pages that name tests name tests that exist."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "push-correctness.md"
NAMED = re.findall(r"`([a-z0-9_/]+\.py)::(\w+)`", PAGE.read_text("utf-8"))


@cache
def defined_in(path: Path) -> frozenset[str]:
    tree = ast.parse(path.read_text("utf-8"))
    made = (node for node in tree.body if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))
    return frozenset(node.name for node in made)


def test_there_are_promises() -> None:
    assert len(NAMED) > 80


@pytest.mark.parametrize(("path", "name"), sorted(set(NAMED)))
def test_a_promise_names_a_test_that_exists(path: str, name: str) -> None:
    assert name.startswith("test_")
    assert name in defined_in(ROOT / "tests" / path)
