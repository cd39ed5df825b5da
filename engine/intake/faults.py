"""Finds every fault of a decoded JSON value against a msgspec type, each with a JSON pointer (RFC 6901).

msgspec stops at the first fault. A caller who mends one field after another needs a round trip a field, so where
msgspec has refused a value, this walker goes over it once more and lists all. A value itself is never repeated:
it may be a token, an address or a message. `tests/intake/test_faults.py` holds walker and msgspec to the same verdict.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Iterable
from functools import lru_cache
from typing import Any

import msgspec
from msgspec import inspect

from engine.records.forms import END, sentence_of

NAME_LETTERS_MAX = 64  # an unknown field's name is shown, but not a novel of it


class Fault(msgspec.Struct, frozen=True):
    """One thing that is wrong: where (a JSON pointer into the request body), which code, and how to mend it."""

    pointer: str
    code: str
    detail: str


def faults_in(value: Any, expected: Any, pointer: str = "") -> list[Fault]:
    """List every fault of `value` against the msgspec type `expected`; empty exactly where msgspec would take it."""
    found: list[Fault] = []
    _walk(value, _shape(expected), pointer, found)
    return found


def converted(value: Any, expected: Any) -> Any | None:
    """The value as that type, or None where it does not fit (ask `faults_in` why)."""
    try:
        return msgspec.convert(value, expected)
    except msgspec.ValidationError:
        return None


def at(pointer: str, step: str | int) -> str:
    """One step down from a pointer."""
    return f"{pointer}/{str(step)[:NAME_LETTERS_MAX].replace('~', '~0').replace('/', '~1')}"


@lru_cache(maxsize=256)
def _shape(expected: Any) -> inspect.Type:
    return inspect.type_info(expected)


def _walk(value: Any, shape: inspect.Type, pointer: str, found: list[Fault]) -> None:
    walk = _WALKS.get(type(shape))
    if walk is None:
        raise TypeError(f"no walk for {type(shape).__name__}: add one to faults.py")
    walk(value, shape, pointer, found)


def _wrong_type(pointer: str, wanted: str, value: Any) -> Fault:
    return Fault(pointer, "wrong-type", f"must be {wanted}, not {_JSON_NAMES.get(type(value), 'that')}")


def _struct(value: Any, shape: Any, pointer: str, found: list[Fault]) -> None:
    if not isinstance(value, dict):
        found.append(_wrong_type(pointer, "an object", value))
        return
    known = {field.encode_name: field for field in shape.fields}
    for name, field in known.items():
        if name in value:
            _walk(value[name], field.type, at(pointer, name), found)
        elif field.required:
            found.append(Fault(at(pointer, name), "missing", "this field is required"))
    for name in value:
        if name == shape.tag_field:
            if value[name] != shape.tag:
                found.append(Fault(at(pointer, name), "not-allowed", f"must be {shape.tag}, or left out"))
        elif name not in known and shape.forbid_unknown_fields:
            found.append(Fault(at(pointer, name), "unknown-field", _unknown(name, known)))


def _unknown(name: str, known: Iterable[str]) -> str:
    near = difflib.get_close_matches(name[:NAME_LETTERS_MAX], list(known), n=1)
    hint = f"did you mean {near[0]}?" if near else f"known here: {', '.join(sorted(known))}"
    return f"there is no such field; {hint}"


def _text(value: Any, shape: Any, pointer: str, found: list[Fault]) -> None:
    if not isinstance(value, str):
        found.append(_wrong_type(pointer, "a string", value))
        return
    _length(len(value), shape, pointer, "characters", found)
    if not value and shape.min_length:
        return  # too short says it all
    if shape.pattern is not None and not re.search(shape.pattern, value):
        found.append(Fault(pointer, "pattern", f"must be {sentence_of(shape.pattern)}"))


def shown_pattern(pattern: str) -> str:
    """A pattern as ECMA 262 spells it: there `$` never matches before a last line feed, in Python it does."""
    return pattern.replace(END, "$")


def _length(length: int, shape: Any, pointer: str, unit: str, found: list[Fault]) -> None:
    if shape.min_length == 1 and not length:
        found.append(Fault(pointer, "too-short", "must not be empty"))
    elif shape.min_length is not None and length < shape.min_length:
        found.append(Fault(pointer, "too-short", f"must have at least {shape.min_length} {unit}"))
    if shape.max_length is not None and length > shape.max_length:
        found.append(Fault(pointer, "too-long", f"must have at most {shape.max_length} {unit}"))


def _number(value: Any, shape: Any, pointer: str, found: list[Fault]) -> None:
    is_whole = isinstance(shape, inspect.IntType)
    if isinstance(value, bool) or not isinstance(value, int if is_whole else int | float):
        found.append(_wrong_type(pointer, "a whole number" if is_whole else "a number", value))
        return
    if value != value or value in (float("inf"), float("-inf")):  # TOML can spell nan and inf
        found.append(Fault(pointer, "not-allowed", "must be a finite number"))
        return
    if shape.gt is not None and value <= shape.gt:
        found.append(Fault(pointer, "too-small", f"must be more than {shape.gt}"))
    if shape.ge is not None and value < shape.ge:
        found.append(Fault(pointer, "too-small", f"must be at least {shape.ge}"))
    if shape.le is not None and value > shape.le:
        found.append(Fault(pointer, "too-big", f"must be at most {shape.le}"))


def _flag(value: Any, shape: Any, pointer: str, found: list[Fault]) -> None:
    if not isinstance(value, bool):
        found.append(_wrong_type(pointer, "true or false", value))


def _nothing(value: Any, shape: Any, pointer: str, found: list[Fault]) -> None:
    if value is not None:
        found.append(_wrong_type(pointer, "null", value))


def _anything(value: Any, shape: Any, pointer: str, found: list[Fault]) -> None:
    return


def _word(value: Any, shape: Any, pointer: str, found: list[Fault]) -> None:
    words = [str(member) for member in (shape.cls if isinstance(shape, inspect.EnumType) else shape.values)]
    if not isinstance(value, str):
        found.append(_wrong_type(pointer, "a string", value))
    elif value not in words:
        found.append(Fault(pointer, "not-allowed", f"must be {'one of ' * (len(words) > 1)}{', '.join(words)}"))


def _list(value: Any, shape: Any, pointer: str, found: list[Fault]) -> None:
    if not isinstance(value, list):
        found.append(_wrong_type(pointer, "a list", value))
        return
    _length(len(value), shape, pointer, "items", found)
    for place, item in enumerate(value):
        _walk(item, shape.item_type, at(pointer, place), found)


def _map(value: Any, shape: Any, pointer: str, found: list[Fault]) -> None:
    if not isinstance(value, dict):
        found.append(_wrong_type(pointer, "an object", value))
        return
    _length(len(value), shape, pointer, "members", found)
    for name, item in value.items():
        _walk(name, shape.key_type, at(pointer, name), found)
        _walk(item, shape.value_type, at(pointer, name), found)


def _union(value: Any, shape: Any, pointer: str, found: list[Fault]) -> None:
    """Only `X | None` is used here: what is not null is held to X."""
    rest = [option for option in shape.types if not isinstance(option, inspect.NoneType)]
    if value is None and len(rest) < len(shape.types):
        return
    _walk(value, rest[0], pointer, found)


def _wrapped(value: Any, shape: Any, pointer: str, found: list[Fault]) -> None:
    _walk(value, shape.type, pointer, found)


_JSON_NAMES: dict[type, str] = {
    dict: "an object",
    list: "a list",
    str: "a string",
    bool: "true or false",
    int: "a number",
    float: "a decimal number",
    type(None): "null",
}

_WALKS: dict[type[inspect.Type], Callable[[Any, Any, str, list[Fault]], None]] = {
    inspect.StructType: _struct,
    inspect.StrType: _text,
    inspect.IntType: _number,
    inspect.FloatType: _number,
    inspect.BoolType: _flag,
    inspect.NoneType: _nothing,
    inspect.AnyType: _anything,
    inspect.EnumType: _word,
    inspect.LiteralType: _word,
    inspect.ListType: _list,
    inspect.VarTupleType: _list,
    inspect.DictType: _map,
    inspect.UnionType: _union,
    inspect.Metadata: _wrapped,
}
