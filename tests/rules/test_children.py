"""What `{children}` says to whom."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.records.event import Audience, Term
from engine.records.family import Family, Pupil
from engine.records.placeholder import CHILDREN, filled, parts
from engine.records.words import Language, Role
from engine.rules.children import joined, phrase
from tests.rules.people import event

IN_3B = frozenset({"group/3b/pupil", "institution/s1/pupil", "municipality/0101/pupil", "everyone/pupil"})
IN_5A = frozenset({"group/5a/pupil", "institution/s1/pupil", "municipality/0101/pupil", "everyone/pupil"})
ANNA, BO, CARL = Pupil("anna", "Anna", IN_3B), Pupil("bo", "Bo", IN_5A), Pupil("carl", "Carl", IN_3B)
NAMELESS = Pupil("nn", "", IN_3B)
MOTHER = Pupil("mother", "Mette", frozenset())
TEACHER = Pupil("teacher", "Tove", frozenset({"group/3b/staff", "institution/s1/staff"}))


def said(family: Family | None, *terms: Term, language: Language = Language.DA, sensitive: bool = False) -> str:
    return phrase(event(audience=Audience(include=terms), sensitive=sensitive), family, language)


GROUP = Term(group="3b", role=Role.GUARDIAN)
SCHOOL = Term(institution="s1")


@pytest.mark.parametrize(
    ("family", "terms", "danish", "english"),
    [
        (Family(MOTHER, (ANNA,)), (GROUP,), "Anna", "Anna"),
        (Family(MOTHER, (ANNA, BO)), (GROUP,), "Anna", "Anna"),
        (Family(MOTHER, (CARL, ANNA)), (GROUP,), "Anna og Carl", "Anna and Carl"),
        (Family(MOTHER, (CARL, BO, ANNA)), (SCHOOL,), "Anna, Bo og Carl", "Anna, Bo and Carl"),
        (Family(MOTHER, (ANNA, BO)), (Term(guardians_of=("bo",)),), "Bo", "Bo"),
        (Family(MOTHER, (ANNA, BO)), (Term(group="9z"), Term(people=("anna",))), "Anna", "Anna"),
        (Family(MOTHER, (ANNA, BO)), (Term(municipality="0101"),), "Anna og Bo", "Anna and Bo"),
        (Family(MOTHER, (ANNA,)), (Term(everyone=True, role=Role.GUARDIAN),), "Anna", "Anna"),
        (Family(MOTHER, (NAMELESS,)), (GROUP,), "dit barn", "your child"),
        (Family(MOTHER, (NAMELESS, ANNA)), (GROUP,), "dine børn", "your children"),
        (Family(MOTHER, (ANNA,)), (Term(people=("mother",)),), "dit barn", "your child"),
        (Family(MOTHER, (ANNA, BO)), (Term(people=("mother",)),), "dine børn", "your children"),
        (Family(MOTHER, (ANNA,)), (Term(group="3b", role=Role.STAFF),), "dit barn", "your child"),
        (Family(ANNA, ()), (Term(group="3b"),), "Anna", "Anna"),
        (Family(NAMELESS, ()), (Term(group="3b"),), "børnene", "the children"),
        (Family(TEACHER, ()), (Term(group="3b"),), "børnene", "the children"),
        (Family(TEACHER._replace(rosters=frozenset()), (ANNA,)), (Term(group="3b"),), "Anna", "Anna"),
        (None, (GROUP,), "børnene", "the children"),
    ],
)  # fmt: skip
def test_what_each_reader_is_told(family: Family | None, terms: tuple[Term, ...], danish: str, english: str) -> None:
    assert said(family, *terms) == danish
    assert said(family, *terms, language=Language.EN) == english


@given(st.lists(st.sampled_from([ANNA, BO, CARL, NAMELESS]), unique=True), st.sampled_from([GROUP, SCHOOL]))
def test_a_sensitive_event_names_nobody(children: list[Pupil], term: Term) -> None:
    told = said(Family(ANNA, tuple(children)), term, sensitive=True)
    assert told in {"dit barn", "dine børn", "børnene"}


def test_exclusions_do_not_change_what_an_event_is_about() -> None:
    audience = Audience(include=(Term(group="3b"),), exclude=(Term(people=("anna",)),))
    assert phrase(event(audience=audience), Family(MOTHER, (ANNA,)), Language.DA) == "Anna"


def test_names_are_joined_as_people_write_them() -> None:
    assert [joined(list("ABCD"[:count]), Language.DA) for count in range(5)] == [
        "", "A", "A og B", "A, B og C", "A, B, C og D"
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("{children} har fri", "Dit barn har fri"),
        ("Husk at {children} har fri", "Husk at dit barn har fri"),
        ("Hej. {children} har fri! {children}?\n{children}", "Hej. Dit barn har fri! Dit barn?\nDit barn"),
        ("{children}{children}", "Dit barndit barn"),
        ("a.{children} {Children} {{children}} {child} {}", "a.dit barn {Children} {dit barn} {child} {}"),
        ("  {children}", "  Dit barn"),
        ("ingen", "ingen"),
    ],
)
def test_where_the_words_are_written_and_every_other_brace_stays(text: str, told: str) -> None:
    assert filled(text, "dit barn") == told


@given(st.lists(st.sampled_from(["{children}", "{", "}", "children", " ", ". ", "x", "\n", "æ"])).map("".join))
def test_cutting_a_text_loses_nothing(text: str) -> None:
    pieces, opens = parts(text)
    assert CHILDREN.join(pieces) == text
    assert len(opens) == len(pieces) - 1
    assert filled(text, "ÆØÅ") == text.replace(CHILDREN, "ÆØÅ")
