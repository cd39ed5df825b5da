"""One line of an NDJSON file to a `Line`, or a sentence that names the field and the fault.

Sentences never repeat a value: a token or an address may stand in the wrong field. Names of unknown fields are shown
when they look like names.
"""

from __future__ import annotations

import json
import re

import msgspec

from engine.records.forms import sentence_in
from engine.records.person import Line, Person

LINE_BYTES_MAX = 64 * 1024

_decode = msgspec.json.Decoder(Line).decode
_PLACE = re.compile(r" - at `(\$[^`]*)`$")
_UNKNOWN = re.compile(r"unknown field `([A-Za-z0-9_.\-]{1,40})`")
_MISSING = re.compile(r"missing required field `([a-z_]+)`")
_FAULTS = (  # what msgspec says -> what we say; the first that fits
    (re.compile(r"^Invalid enum value"), "not one of the allowed values"),
    (re.compile(r"^Invalid value"), "not one of the allowed values"),
    (re.compile(r"of length (>=|<=) (\d+)"), None),
    (re.compile(r"^Expected `int` (>=|<=) (-?\d+)"), None),
    (re.compile(r"^Expected `[a-z |]+`, got `[a-z]+`"), None),
)


def read_line(raw: bytes) -> Line | str:
    """Decode one line; a `str` says why it is refused."""
    if len(raw) > LINE_BYTES_MAX:
        return f"line: longer than {LINE_BYTES_MAX} bytes"
    try:
        line: Line = _decode(raw)
    except msgspec.ValidationError as error:
        return _fault(str(error))
    except UnicodeDecodeError:
        return "line: not valid UTF-8"
    except msgspec.DecodeError:
        if raw.startswith(b"\xef\xbb\xbf"):
            return "line: starts with a byte order mark; save the file as UTF-8 without one"
        return "line: not a JSON object (cut off, NaN, a lone surrogate or trailing characters)"
    except RecursionError:
        return "line: nested too deeply"
    if _may_repeat_a_key(raw, line) and _repeats_a_key(raw):
        return "line: a field stands twice"
    return line


def _fault(text: str) -> str:
    unknown, missing, place = _UNKNOWN.search(text), _MISSING.search(text), _PLACE.search(text)
    field = (place[1].removeprefix("$").removeprefix(".") if place else "").replace("[...]", "") or "line"
    if unknown:
        return f"{unknown[1] if field == 'line' else field + '.' + unknown[1]}: unknown field"
    if "unknown field" in text:
        return f"{field}: unknown field"
    if missing:
        return f"{missing[1] if field == 'line' else field + '.' + missing[1]}: missing"
    if form := sentence_in(text):
        return f"{field}: must be {form}"
    for pattern, sentence in _FAULTS:
        found = pattern.search(text)
        if found:
            return f"{field}: {sentence or found[0].replace('`', '').lower()}"
    return f"{field}: not valid"


def _may_repeat_a_key(raw: bytes, line: Line) -> bool:
    """Cheap and never wrong about a repetition: counts the keys that the line must have if none stands twice.

    No string of a person can hold a quotation mark, so what looks like a key is one. Hot: about 1.5 us a line.
    """
    if not isinstance(line, Person) or b'" ' in raw or b'"\t' in raw:
        return True  # few lines: look closely
    expected = 3 + (line.email is not None) + (line.name is not None) + (b'"language":' in raw)
    if line.profiles:
        expected += 1 + sum([3 if profile.groups else 2 for profile in line.profiles])
    if line.guardians:
        expected += 1
    if line.devices:
        expected += 1 + 3 * len(line.devices)
        if (
            b'"subscription"' in raw
        ):  # four keys more than a token has; where `expirationTime` stands: looked at closely
            expected += 4 * sum([device.subscription is not None for device in line.devices])
    if line.off:
        expected += 1 + len(line.off)
    if line.quiet:
        expected += 1 + 3 * len(line.quiet)
    return raw.count(b'":') != expected  # also where an empty list is spelled out: looked at closely, found good


def _repeats_a_key(raw: bytes) -> bool:
    repeated = False

    def note(pairs: list[tuple[str, object]]) -> None:
        nonlocal repeated
        repeated = repeated or len({name for name, _ in pairs}) < len(pairs)

    json.loads(raw, object_pairs_hook=note)
    return repeated
