"""The oracle on names of children: it finds wrong ones, and says what the engine's rule says without sharing it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from engine.records import placeholder
from engine.records.event import Audience, Term
from engine.records.family import Family, Pupil
from engine.records.words import Language
from engine.rules.children import phrase
from loadtests.oracle.comparison import Fault
from loadtests.oracle.people import Child, Someone
from loadtests.oracle.posted import Posted
from loadtests.oracle.wording import _written, children_words, digest
from tests.loadtests.test_oracle import RIGHT, check, event, row
from tests.rules.people import event as engine_event

NAMED = {"da": {"title": "{children} har fri", "body": "Hej"}, "en": {"title": "{children} is free", "body": "Hi"}}
RIGHTLY_NAMED = [
    row("1" * 64, digest("Dit barn har fri\nHej")),
    row("2" * 64, digest("Your child is free\nHi")),
    row("3android" * 8, digest("Your child is free\nHi")),
    row("father@mail.example", digest("Your child is free")),
    row("4" * 64, digest("Dit barn har fri\nHej")),
    RIGHT[-1],
]


def test_right_names_are_no_fault_and_anybody_elses_are(tmp_path: Path) -> None:
    assert not check(tmp_path, RIGHTLY_NAMED, event(texts=NAMED)).faults
    wrong = [row("1" * 64, digest("Anna har fri\nHej")), *RIGHTLY_NAMED[1:]]
    assert check(tmp_path, wrong, event(texts=NAMED)).count(Fault.WRONG_TEXT) == 1
    unfilled = [row("1" * 64, digest("{children} har fri\nHej")), *RIGHTLY_NAMED[1:]]
    assert check(tmp_path, unfilled, event(texts=NAMED)).count(Fault.WRONG_TEXT) == 1


PLACES = st.frozensets(st.sampled_from(["group/3b", "institution/s1", "municipality/0101", "everyone"]))
PUPILS = st.tuples(st.sampled_from("abcd"), st.sampled_from(["", "Åse", "bo", "Carl"]), PLACES)
TERMS = st.one_of(
    st.builds(lambda role: {"group": "3b"} | role, st.sampled_from([{}, {"role": "staff"}, {"role": "guardian"}])),
    st.sampled_from([{"institution": "s1"}, {"municipality": "0101"}, {"everyone": True}, {"group": "none"}]),
    st.lists(st.sampled_from("abcd"), min_size=1).map(lambda ids: {"people": ids}),
    st.lists(st.sampled_from("abcd"), min_size=1).map(lambda ids: {"guardians_of": ids}),
)


def term_of(raw: dict[str, Any]) -> Term:
    return msgspec.convert(raw, Term)


@given(PUPILS, st.lists(PUPILS, max_size=3), st.lists(TERMS, min_size=1, max_size=3), st.sampled_from(list(Language)))
def test_the_oracle_and_the_rule_say_the_same(
    own: Any, children: list[Any], terms: list[dict[str, Any]], language: Language
) -> None:
    family = Family(_pupils([own])[0], tuple(_pupils(children)))
    of_engine = engine_event(audience=Audience(include=tuple(map(term_of, terms))))
    someone = Someone(
        id=own[0], tenant="0101", language=language.value, email=None, devices=(), off={}, quiet=(),
        belongs=frozenset(), own=_children([own])[0], children=tuple(_children(children)), tenants=frozenset(),
    )  # fmt: skip
    posted = Posted("e", 0, {"data": {"audience": {"include": terms}, "texts": NAMED}})
    assert children_words(posted, someone) == phrase(of_engine, family, language)


def _pupils(found: list[Any]) -> list[Pupil]:
    return [Pupil(id, name, frozenset(f"{place}/pupil" for place in places)) for id, name, places in found]


def _children(found: list[Any]) -> list[Child]:
    return [Child(id, name, frozenset((place, "pupil") for place in places)) for id, name, places in found]


@given(st.lists(st.sampled_from(["{children}", " ", ". ", "!", "?", "\n", "\t", "x", "{"]), max_size=12).map("".join))
def test_both_write_the_words_into_a_text_alike(text: str) -> None:
    assert _written(text, "dit barn") == placeholder.filled(text, "dit barn")
