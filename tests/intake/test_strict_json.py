"""What counts as JSON: the table of malformed bodies, and that everything else reads as Python's reader does."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.intake.strict_json import Malformed, check_sizes, read

MALFORMED = {
    "empty": (b"", "line 1"),
    "truncated": (b'{"a": 1', "line 1"),
    "two values": (b"1 2", "line 1"),
    "trailing comma": (b'{"a": 1,}', "line 1"),
    "invalid UTF-8": (b'"\xff"', "UTF-8"),
    "a surrogate in UTF-8": (b'"\xed\xa0\x80"', "UTF-8"),
    "byte order mark": (b"\xef\xbb\xbf{}", "byte order mark"),
    "UTF-16": ('{"a": 1}'.encode("utf-16"), "UTF-8"),
    "repeated key": (b'{"a": 1, "a": 2}', "twice"),
    "repeated key deep inside": (b'[{"b": {"a": 1, "\\u0061": 2}}]', "twice"),
    "NaN": (b"[NaN]", "NaN"),
    "Infinity": (b"[-Infinity]", "NaN"),
    "lone surrogate": (b'"\\ud800"', "surrogate"),
    "reversed surrogates": (b'"\\udc00\\ud800"', "surrogate"),
    "lone surrogate in a key": (b'{"\\udfff": 1}', "surrogate"),
    "NUL": (b'"\\u0000"', "control"),
    "raw control character": (b'"a\x01"', "line 1"),
    "backspace": (b'"\\b"', "control"),
    "form feed": (b'"\\f"', "control"),
    "escape character": (b'"\\u001b[31m"', "control"),
    "DEL": (b'"\x7f"', "control"),
    "C1": (b'"a\xc2\x85b"', "control"),
    "escaped C1": (b'"\\u009b"', "control"),
    "5,000 digits": (b"1" * 5_000, "64 bit"),
    "100,000 levels": (b"[" * 100_000 + b"]" * 100_000, "levels"),
    "bare word": (b"yes", "line 1"),
    "leading zero": (b"[01]", "line 1"),
}
TOO_BIG = {
    "33 levels": (b"[" * 33 + b"1" + b"]" * 33, "levels"),
    "33 levels of objects": (b'{"a":' * 33 + b"1" + b"}" * 33, "levels"),
    "65 bits": (b"[18446744073709551616]", "64 bit"),
    "-64 bits": (b'{"a": -9223372036854775809}', "64 bit"),
    "1e999": (b"[1e999]", "64 bit"),
}
FINE = [
    b' {"a": [1, -2, 3.5, true, null]} ',
    b'"\\ud83d\\ude00"',
    b'"l\\nt\\tr\\r"',
    b'"\\\\u0000 \\\\b"',
    '["\N{BELL} æøå\xa0§"]'.encode(),
    b"[18446744073709551615, -9223372036854775808]",
    b"[" * 32 + b"]" * 32,
]


@pytest.mark.parametrize(("body", "said"), MALFORMED.values(), ids=MALFORMED)
def test_malformed_text_is_refused_with_its_rule(body: bytes, said: str) -> None:
    with pytest.raises(Malformed, match=said):
        read(body)


@pytest.mark.parametrize(("body", "said"), TOO_BIG.values(), ids=TOO_BIG)
def test_what_is_too_deep_or_too_wide_is_refused(body: bytes, said: str) -> None:
    with pytest.raises(Malformed, match=said):
        check_sizes(read(body))


@pytest.mark.parametrize("body", FINE)
def test_plain_json_is_read(body: bytes) -> None:
    value = read(body)
    check_sizes(value)
    assert value == json.loads(body)


_CHARACTERS = st.characters(
    exclude_categories=["Cs"], exclude_characters=[*map(chr, range(32)), *map(chr, range(0x7F, 0xA0))]
)
_VALUES: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.text(_CHARACTERS),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(_CHARACTERS), inner),
    max_leaves=20,
)


@given(_VALUES, st.booleans())
def test_every_value_comes_back_however_it_is_escaped(value: Any, escaped: bool) -> None:
    assert read(json.dumps(value, ensure_ascii=escaped).encode()) == value


@given(st.binary(max_size=200))
def test_no_bytes_break_the_reader(body: bytes) -> None:
    with suppress(Malformed):
        check_sizes(read(body))
