"""Tickets: what was signed reads back, everything else is refused."""

from __future__ import annotations

import string
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.records.words import Category
from engine.rules.tickets import Ticket, check, check_unsubscribe, mint, mint_unsubscribe

SECRET, OTHER = b"a" * 32, b"b" * 32
ALPHABET = string.ascii_letters + string.digits + "-_"
numbers = st.integers(0, 2**32 - 1)
moments = st.integers(1, 2**50)


@given(numbers, st.sampled_from(["dk", "0101", "0860"]), moments)
def test_a_ticket_reads_back_until_it_expires(number: int, tenant: str, expires_ms: int) -> None:
    ticket = mint(SECRET, number, tenant, expires_ms)

    assert check(SECRET, ticket, expires_ms - 1) == Ticket(number, tenant, expires_ms)
    assert check(SECRET, ticket, expires_ms) is None
    assert check(OTHER, ticket, 0) is None


@given(numbers, st.sampled_from(Category))
def test_an_unsubscribe_token_reads_back(number: int, category: Category) -> None:
    token = mint_unsubscribe(SECRET, number, category)

    assert check_unsubscribe(SECRET, token) == (number, category)
    assert check_unsubscribe(OTHER, token) is None


@given(st.data())
def test_a_ticket_with_one_character_changed_is_refused(data: st.DataObject) -> None:
    ticket = mint(SECRET, 7, "0101", 1_000)
    at = data.draw(st.integers(0, len(ticket) - 1))
    letter = data.draw(st.sampled_from("ABCabc012-_").filter(lambda letter: letter != ticket[at]))

    assert check(SECRET, ticket[:at] + letter + ticket[at + 1 :], 0) is None


@pytest.mark.parametrize(
    "make",
    [
        lambda t: t + "=",
        lambda t: t + "==",
        lambda t: t + "\n",
        lambda t: t[:20] + "!" + t[20:],
        lambda t: t + "A",
        lambda t: t.replace("-", "+").replace("_", "/"),
    ],
)
def test_a_ticket_has_one_spelling(make: Callable[[str], str]) -> None:
    tickets = (mint(SECRET, number, "0101", 1_000) for number in range(100))
    ticket = next(ticket for ticket in tickets if "-" in ticket and "_" in ticket)
    token = mint_unsubscribe(SECRET, 7, Category.POST)  # 37 bytes: its last character has bits to spare

    assert check(SECRET, ticket, 0) is not None
    assert check(SECRET, make(ticket), 0) is None
    assert check_unsubscribe(SECRET, token + "=") is None
    assert [check_unsubscribe(SECRET, token[:-1] + letter) for letter in ALPHABET].count((7, Category.POST)) == 1


@given(st.text(max_size=200))
def test_any_text_is_refused_without_an_error(text: str) -> None:
    assert check(SECRET, text, 0) is None
    assert check_unsubscribe(SECRET, text) is None


def test_a_token_of_one_purpose_is_no_ticket_of_another() -> None:
    assert check(SECRET, mint_unsubscribe(SECRET, 7, Category.POST), 0) is None
    assert check_unsubscribe(SECRET, mint(SECRET, 7, "0101", 1_000)) is None


def test_a_short_secret_signs_nothing_and_opens_nothing() -> None:
    with pytest.raises(ValueError, match="32"):
        mint(b"short", 7, "0101", 1)
    assert check(b"", mint(SECRET, 7, "0101", 10), 0) is None


def test_a_tenant_that_does_not_fit_is_refused() -> None:
    with pytest.raises(ValueError, match="tenant"):
        mint(SECRET, 7, "København", 1)
