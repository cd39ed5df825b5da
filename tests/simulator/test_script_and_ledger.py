"""Scripts: the table's faults, time, seeded draws; the ledger: its format, its mending."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from channels.simulator.faults import SILENT, Faults
from channels.simulator.ledger import COLUMNS, HEADING, Ledger, digest, line, text_digest
from channels.simulator.script import Script, ScriptFault, check, read
from channels.simulator.service import Fate


@pytest.mark.parametrize(
    ("steps", "said"),
    [
        ([{}], "at_seconds"),
        ([{"at_seconds": -1}], "at_seconds"),
        ([{"at_seconds": "now"}], "at_seconds"),
        ([{"at_seconds": 0, "latency": 5}], "step 1: .*`latency`; known are .*latency_ms"),
        ([{"at_seconds": 0, "garbage": 1.5}], "step 1, garbage: .*<= 1.0"),
        ([{"at_seconds": 0, "window_bytes": -1}], "step 1, window_bytes"),
        ([{"at_seconds": 0, "answers": [{"share": 1, "status": 503, "retry_after": "date+x"}]}], "step 1: .*date.120"),
        ([{"at_seconds": 0, "silent": 2.0}], "silent"),
        ([{"at_seconds": 0, "max_streams": 0}], "max_streams"),
        ([{"at_seconds": 0, "answers": [{"share": 0.5}]}], "status"),
        ([{"at_seconds": 0, "answers": [{"share": 1.5, "status": 503}]}], "share"),
        ([{"at_seconds": 0, "answers": [{"share": 0.6, "status": 503}], "reset": 0.5}], "above 1"),
        ([{"at_seconds": 0, "reset": 0.1, "reset_code": "OOPS"}], "REFUSED_STREAM"),
        ([{"at_seconds": 5}, {"at_seconds": 5}], "step 2"),
        ([{"at_seconds": 0, "for_seconds": 9}, {"at_seconds": 5}], "step 1: it overlaps"),
        ([{"at_seconds": 0, "for_seconds": 0}], "for_seconds"),
        ("x", "step"),
    ],
)
def test_a_wrong_script_is_named_by_field(steps: Any, said: str) -> None:
    with pytest.raises(ScriptFault, match=said):
        check({"step": steps})


def test_an_unknown_table_is_refused() -> None:
    with pytest.raises(ScriptFault, match="steps"):
        check({"steps": []})


def test_a_file_that_is_no_toml_is_named(tmp_path: Path) -> None:
    path = tmp_path / "script.toml"
    path.write_text("[[step]\n")
    with pytest.raises(ScriptFault, match="not TOML"):
        read(path)


def test_the_example_in_the_docstring_is_a_script(tmp_path: Path) -> None:
    from channels.simulator import script

    assert script.__doc__ is not None
    path = tmp_path / "script.toml"
    path.write_text("\n".join(text for text in script.__doc__.splitlines() if text.startswith("    ")))
    step = read(path).step[0]
    assert (step.at_seconds, step.for_seconds, step.latency_ms, step.max_streams) == (10, 5, 60, 1)


@pytest.mark.parametrize(
    ("seconds", "place"), [(0, None), (0.99, None), (1, 0), (2.9, 0), (3, None), (4, 1), (5, 2), (1000, 2)]
)
def test_a_step_holds_from_its_moment_until_its_end_or_the_next(seconds: float, place: int | None) -> None:
    script = check({"step": [{"at_seconds": 1, "for_seconds": 2}, {"at_seconds": 4}, {"at_seconds": 5}]})
    assert script.at(seconds) is (None if place is None else script.step[place])
    assert script.changes() == [1, 3, 4, 5]


def drawn(seed: int, count: int) -> list[Fate | None]:
    answers = [{"share": 0.3, "status": 503, "reason": "ServiceUnavailable", "retry_after": 2}]
    step = {"at_seconds": 0, "answers": answers, "silent": 0.1, "reset": 0.05, "reset_code": "CANCEL"}
    faults = Faults(check({"step": [step]}), seed)
    faults.move_to(0)
    return [faults.draw() for _ in range(count)]


def test_shares_come_true_and_a_seed_repeats_them() -> None:
    fates = drawn(1, 20_000)
    assert fates == drawn(1, 20_000)
    assert fates != drawn(2, 20_000)
    counts = Counter(fates)
    expected = {
        Fate(503, "ServiceUnavailable", "2"): 0.3,
        SILENT: 0.1,
        Fate(0, "Reset.CANCEL"): 0.05,
        None: 0.55,
    }
    assert counts.keys() == expected.keys()
    assert all(abs(counts[fate] / 20_000 - share) < 0.02 for fate, share in expected.items())


def test_without_a_step_nothing_befalls() -> None:
    faults = Faults(Script(), 0)
    assert not faults.move_to(5)
    assert (faults.draw(), faults.latency_seconds()) == (None, 0.0)


def test_a_line_has_the_columns_of_the_heading_whatever_it_holds() -> None:
    made = line(5, b"apns", 200, b"r\te", b"a\nb", b"d", b"\x00", b"", b"t\r")
    assert made == b"5\tapns\t200\tr?e\ta?b\td\t?\t\tt?\n"
    assert made.count(b"\t") == HEADING.count(b"\t") == len(COLUMNS) - 1
    assert HEADING == b"#unix_ms\tprovider\tstatus\treason\taddress\tdelivery\tevent\tcollapse\ttext\n"


def test_the_text_column_is_blake2b_of_title_newline_body() -> None:
    assert text_digest("T", "Æ") == digest("T\nÆ")
    assert digest("") == b"786a02f742015903"  # RFC 7693's algorithm on no bytes


def test_a_ledger_goes_on_where_it_stood_without_its_torn_line(tmp_path: Path) -> None:
    path = tmp_path / "sub" / "ledger.tsv"
    with Ledger(path) as ledger:
        ledger.note(b"one\n")
    path.write_bytes(path.read_bytes() + b"torn")
    with Ledger(path) as ledger:
        ledger.note(b"two\n")
    assert path.read_bytes() == HEADING + b"one\ntwo\n"


def test_a_ledger_without_a_file_forgets() -> None:
    with Ledger(None) as ledger:
        ledger.note(b"x\n")
        ledger.flush()
        assert not ledger.is_kept
