"""Holds the table of rooms: who may import whom, and which library lives in exactly one place."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
ROOMS = ("engine", "channels", "queueing", "metrics", "loadtests")

NOUNS = ("engine.records", "engine.outcomes", "engine.ports")
"""What every room may import: records, outcomes and the doors between rooms."""

MAY_IMPORT: dict[str, tuple[str, ...]] = {
    # the longest matching prefix decides
    "engine/records/": ("engine.records",),
    "engine/outcomes.py": (),
    "engine/ports.py": ("engine.records", "engine.outcomes"),
    "engine/rules/": ("engine.records", "engine.outcomes", "engine.rules"),
    "engine/__main__.py": ("engine", "queueing.embedded"),
    "engine/start_checks.py": ("engine", "queueing.embedded"),
    "engine/composition.py": ("engine", "channels", "queueing", "metrics"),
    "engine/ways_out.py": ("engine", "channels", "queueing.lanes"),
    "engine/": ("engine",),
    "channels/http2/": ("channels.http2",),
    "channels/simulator/": ("channels.simulator",),
    # tickets are signed by one room and checked by another: one pure file holds both directions
    "channels/email/": (*NOUNS, "channels", "engine.rules.tickets", "engine.rules.children"),
    "channels/inapp/": (
        *NOUNS,
        "channels",
        "engine.rules.tickets",
        "engine.rules.children",
    ),  # items are worded when read
    "channels/": (*NOUNS, "channels"),
    "queueing/": (*NOUNS, "queueing"),
    "queueing/directory/": (*NOUNS, "queueing", "engine.rules"),  # planes and rosters are derived by rule when written
    "queueing/work/": (*NOUNS, "queueing", "engine.rules.numbering"),  # an idempotency key names its shard by rule
    "metrics/": (*NOUNS, "metrics"),
    "loadtests/": ("loadtests",),
    "loadtests/bench/push/": ("loadtests", "channels", *NOUNS),  # the sender is measured by itself
    "loadtests/bench/intake/": ("loadtests", "queueing.embedded"),  # it starts, kills and counts the CPU of the store
}

ONE_PLACE = {  # library -> the files or folders that may import it
    "redis": ("queueing/link.py",),
    "asyncio": ("loadtests/bench/push/",),
    "trio_asyncio": (),
    "aioapns": ("loadtests/bench/push/",),  # peers run in processes of their own
    "pyfcm": (),
    "prometheus_client": ("metrics/",),
    "starlette": ("engine/intake/", "metrics/", "loadtests/bench/intake/"),
    "hypercorn": ("engine/intake/", "loadtests/bench/intake/"),  # a peer
    "h2": ("channels/simulator/",),
}

IMPURE = {"trio", "time", "random", "secrets", "os", "socket", "httpx", "redis", "threading", "subprocess"}
FORBIDDEN_NAMES = ("utils", "common", "manager", "helper", "helpers", "misc")
LINES_MAX = 400


def sources() -> list[Path]:
    return sorted(path for room in ROOMS for path in (ROOT / room).rglob("*.py"))


def imported(path: Path) -> set[str]:
    modules: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            modules.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            modules.add(node.module or "")
    return modules


def place(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


@pytest.mark.parametrize("path", sources(), ids=place)
def test_a_room_imports_only_what_its_row_allows(path: Path) -> None:
    row = max((prefix for prefix in MAY_IMPORT if place(path).startswith(prefix)), key=len)
    ours = {module for module in imported(path) if module.split(".")[0] in (*ROOMS, "tests")}
    wrong = {m for m in ours if not any(m == ok or m.startswith(ok + ".") for ok in MAY_IMPORT[row])}
    assert not wrong, f"{place(path)} may not import {sorted(wrong)}"


@pytest.mark.parametrize("path", sources(), ids=place)
def test_a_library_lives_in_one_place(path: Path) -> None:
    for module in imported(path):
        allowed = ONE_PLACE.get(module.split(".")[0])
        if allowed is not None:
            assert any(place(path).startswith(spot) for spot in allowed), f"{place(path)} imports {module}"


@pytest.mark.parametrize("path", sorted((ROOT / "engine" / "rules").glob("*.py")), ids=place)
def test_rules_are_pure(path: Path) -> None:
    assert not {module.split(".")[0] for module in imported(path)} & IMPURE
    assert not [node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Await)]


@pytest.mark.parametrize("path", sources(), ids=place)
def test_files_are_small_and_well_named(path: Path) -> None:
    assert path.stem not in FORBIDDEN_NAMES
    assert len(path.read_text().splitlines()) <= LINES_MAX, "split it by role"


@pytest.mark.parametrize("path", [p for p in sources() if p.name == "__init__.py"], ids=place)
def test_the_map_stands_at_the_door(path: Path) -> None:
    assert ast.get_docstring(ast.parse(path.read_text())), f"{place(path)} needs a docstring: what, files, who imports"
