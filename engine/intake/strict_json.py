r"""Reads JSON that means the same to every reader: RFC 8259 as narrowed by I-JSON (RFC 7493).

Refused as malformed: invalid UTF-8, a byte order mark, anything after the value, a repeated key, NaN and Infinity,
numbers beyond 64 bit, nesting deeper than 32, a lone surrogate, control characters (C0, DEL, C1) other than tab, line
feed and carriage return. Python's reader lets most of these through: a repeated key would silently hide half of a
message, a lone surrogate breaks much later, when a worker encodes it.

Depth and number sizes are only looked at by `check_sizes`, when a value did not fit its type: no type here nests
deeper than 32 or takes a wider number, so what fits needs no second look (the hot path saves 4 us an event).
"""

from __future__ import annotations

import json
import re
from typing import Any, NoReturn

DEPTH_MAX = 32
_WIDEST = 1 << 64
_NARROWEST = -(1 << 63)
_ESCAPES = re.compile(rb"\\[ubf]")
_UNWANTED = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff]")


class Malformed(Exception):
    """Not JSON, or JSON that readers understand differently. Says which rule was broken; never the content."""


def read(body: bytes | memoryview) -> Any:
    """Decode one JSON value.

    Raises:
        Malformed: with a sentence that names the rule and, where known, the place.
    """
    raw = bytes(body)
    try:
        text = raw.decode()
    except UnicodeDecodeError as error:
        raise Malformed(f"the body is not UTF-8 at byte {error.start}") from None
    if text.startswith("\ufeff"):
        raise Malformed("the body starts with a byte order mark; leave it out")
    try:
        value = _DECODER.decode(text)
    except json.JSONDecodeError as error:
        raise Malformed(f"not JSON at line {error.lineno}, column {error.colno}") from None
    except RecursionError:
        raise Malformed(_TOO_DEEP) from None
    except ValueError:  # Python refuses integers of more than 4,300 digits
        raise Malformed(_TOO_WIDE) from None
    if b"\x7f" in raw or b"\xc2" in raw or _ESCAPES.search(raw):  # C2 begins U+0080 to U+00BF
        _check_texts(value)
    return value


def check_sizes(value: Any) -> None:
    """Refuse nesting deeper than 32 and numbers beyond 64 bit.

    Raises:
        Malformed: see `read`.
    """
    level = [value]
    for _ in range(DEPTH_MAX + 1):
        for item in level:
            if type(item) is int and not _NARROWEST <= item < _WIDEST:
                raise Malformed(_TOO_WIDE)
            if type(item) is float and item in (float("inf"), float("-inf")):
                raise Malformed(_TOO_WIDE)
        level = [inner for item in level for inner in _inner(item)]
        if not level:
            return
    raise Malformed(_TOO_DEEP)


def _inner(value: Any) -> list[Any]:
    if isinstance(value, dict):
        return list(value.values())
    return value if isinstance(value, list) else []


def _check_texts(value: Any) -> None:
    waiting = [value]
    while waiting:
        item = waiting.pop()
        if isinstance(item, str):
            _check_text(item)
        elif isinstance(item, dict):
            waiting.extend(item.keys())
            waiting.extend(item.values())
        elif isinstance(item, list):
            waiting.extend(item)


def _check_text(text: str) -> None:
    found = _UNWANTED.search(text)
    if found is None:
        return
    if found[0] >= "\ud800":
        raise Malformed("a string holds half of a surrogate pair (\\ud800 to \\udfff)")
    raise Malformed("a string holds a control character other than tab, line feed and carriage return")


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise Malformed("an object has the same key twice")
    return members


def _no_constant(name: str) -> NoReturn:
    raise Malformed("NaN and Infinity are not JSON")


_TOO_DEEP = f"nested deeper than {DEPTH_MAX} levels"
_TOO_WIDE = "a number does not fit 64 bit"
_DECODER = json.JSONDecoder(object_pairs_hook=_unique, parse_constant=_no_constant)
