"""docs/api.md tells the truth: every problem with its status, every operation with a call."""

from __future__ import annotations

import re
from pathlib import Path

from channels.inapp import problems as gateway
from engine.intake.problems import PROBLEMS, TYPE_PREFIX
from queueing.link import Link
from tests.intake.conftest import Town

PAGE = (Path(__file__).parents[2] / "docs" / "api.md").read_text("utf-8")


def test_the_table_of_problems_is_complete() -> None:
    rows = dict(re.findall(r"^\| `([a-z\-]+)` \| (\d{3}) \|", PAGE, re.MULTILINE))
    assert rows == {name: str(status) for name, (status, _) in PROBLEMS.items()}


def test_the_gateways_problems_are_among_them() -> None:
    rows = dict(re.findall(r"^\| `([a-z\-]+)` \| (\d{3}) \|", PAGE, re.MULTILINE))
    assert {name: rows.get(name) for name in gateway.PROBLEMS} == {
        name: str(status) for name, (status, _) in gateway.PROBLEMS.items()
    }
    assert gateway.TYPE_PREFIX == TYPE_PREFIX


def test_every_operation_has_a_call_to_copy(link: Link) -> None:
    document = Town(link).make().document
    assert isinstance(document, dict)
    for path in document["paths"]:
        spelled = re.sub(r"\\{\w+\\}", r"[\\w\\-$]+", re.escape("$KLOKKE" + path))
        assert re.search(spelled + r"[\s\"?]", PAGE), path
