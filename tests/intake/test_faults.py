"""The walker finds every fault, and finds one exactly where msgspec does."""

from __future__ import annotations

import copy
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.intake.faults import Fault, at, faults_in
from engine.intake.wire import CalendarEvent, MessageEvent, PreferencesIn
from engine.records.person import Person
from tests.intake.conftest import calendar, message

PERSON: dict[str, Any] = {
    "kind": "person",
    "id": "p-1",
    "tenant": "0101",
    "email": "a@b.dk",
    "profiles": [{"institution": "s-1", "role": "staff", "groups": ["3b"]}],
    "devices": [{"platform": "ios", "app": "parent", "token": "0123456789abcdef"}],
    "off": {"push": ["message", "post"]},
    "quiet": [{"days": [0, 1], "from": "21:00", "until": "07:00"}],
}
SAMPLES: list[tuple[type[msgspec.Struct], dict[str, Any]]] = [
    (MessageEvent, message(expires="2026-12-01T00:00:00Z", roles=["staff"], sender="Mette", link="/messages/1")),
    (CalendarEvent, calendar(timezone="Europe/Copenhagen", location="Aulaen", sequence=3)),
    (Person, PERSON),
    (PreferencesIn, {"off": {"email": ["survey"]}, "quiet": PERSON["quiet"], "language": "en"}),
]
JUNK = [None, True, 0, -1, 2**31, 1.5, 3.0, "", "x", "x" * 300, "a\n", "0101\n", "\u202e", [], [1], {}, {"x": 1}, "ios"]


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Every place inside a JSON value."""
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path, *(place for step, item in inner for place in places(item, (*path, step)))]


def changed(value: Any, path: tuple[Any, ...], junk: Any, how: str) -> Any:
    """The value with one place replaced, dropped, or given an unknown neighbour."""
    if not path:
        return junk
    made = copy.deepcopy(value)
    spot = made
    for step in path[:-1]:
        spot = spot[step]
    if how == "drop":
        del spot[path[-1]]
    elif how == "add" and isinstance(spot, dict):
        spot["surplus"] = junk
    else:
        spot[path[-1]] = junk
    return made


def is_taken(value: Any, shape: Any) -> bool:
    try:
        msgspec.convert(value, shape)
    except msgspec.ValidationError:
        return False
    return True


@given(st.data())
@settings(max_examples=400)
def test_walker_and_msgspec_reach_the_same_verdict(data: st.DataObject) -> None:
    shape, value = data.draw(st.sampled_from(SAMPLES))
    for _ in range(data.draw(st.integers(1, 3))):
        path = data.draw(st.sampled_from(places(value)))
        value = changed(
            value, path, data.draw(st.sampled_from(JUNK)), data.draw(st.sampled_from(["put", "drop", "add"]))
        )
    assert (faults_in(value, shape) == []) == is_taken(value, shape)


def test_all_faults_are_listed_at_once() -> None:
    event = message(urgent=True, category="gossip", texts={"da": {"title": ""}}, roles=["chief", 7])
    event["data"]["audience"]["include"].append({"people": ["a b", "ok"]})
    found = {fault.pointer: fault.code for fault in faults_in(event, MessageEvent)}
    assert found == {
        "/data/urgent": "unknown-field",
        "/data/category": "not-allowed",
        "/data/texts/da/title": "too-short",
        "/data/texts/da/body": "missing",
        "/data/roles/0": "not-allowed",
        "/data/roles/1": "wrong-type",
        "/data/audience/include/1/people/0": "pattern",
    }


def test_a_typo_is_met_with_the_likely_word() -> None:
    faults = faults_in(message(urgenci="urgent"), MessageEvent)
    assert faults == [Fault("/data/urgenci", "unknown-field", "there is no such field; did you mean urgency?")]


def test_pointers_escape_as_rfc_6901_says() -> None:
    assert at("/a", "b/c~d") == "/a/b~1c~0d"


@pytest.mark.parametrize("canary", ["SECRET-canary-123", ["SECRET-canary-123"], {"a": "SECRET-canary-123"}])
def test_values_are_never_repeated(canary: Any) -> None:
    for shape, value in SAMPLES:
        for path in places(value)[1:]:
            for fault in faults_in(changed(value, path, canary, "put"), shape):
                assert "canary" not in fault.detail + fault.pointer


def test_a_line_feed_at_the_end_does_not_pass_a_pattern() -> None:
    assert faults_in({**PERSON, "id": "p-1\n"}, Person)[0].code == "pattern"
    assert faults_in({**PERSON, "tenant": "0101\n"}, Person)[0].code == "pattern"
