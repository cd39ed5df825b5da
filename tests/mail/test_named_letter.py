"""A letter that names children: what its reader sees is what a letter written for them alone would say."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from channels.email.named import quoted
from engine.records.event import Text
from engine.records.placeholder import CHILDREN, filled
from engine.records.words import Kind, Language
from tests.mail.letters import ADMITTED_MS, ENTRY, SETTINGS, built, event, parts, read, written

PIECES = st.sampled_from(
    [
        "",
        " ",
        ".",
        "\n",
        "\n.",
        "Husk ",
        "=3D",
        "æøå ",
        "<b>&",
        "🎒",
        "x" * 74,
        "y" * 75,
        "a" * 200,
        ". ",
        "! ",
        "KLOKKEa",
    ]
)
TEXTS = st.lists(PIECES | st.just(CHILDREN), max_size=12).map("".join)
NAMES = st.sampled_from(
    ["Anna", "dit barn", "Åse-Marie og Bo", "D'Arcy & <i>", "Li, " * 30 + "Bo", "👧🏽", ". .", "a.b"]
)


def seen(raw: bytes) -> tuple[str, dict[str, str]]:
    message = read(raw)
    return message["Subject"], parts(message)


@settings(max_examples=150, deadline=None)
@given(title=TEXTS, body=TEXTS, children=NAMES)
def test_a_named_letter_reads_like_one_written_for_its_reader(title: str, body: str, children: str) -> None:
    named = event(f"Tur {title}", body)
    alone = event(filled(f"Tur {title}", children), filled(body, children))
    if not named.names_children:
        return
    raw = written(named, children=children)

    assert seen(raw) == seen(written(alone))
    assert max(map(len, raw.split(b"\r\n"))) <= 998
    assert "KLOKKE" not in "".join(seen(raw)[1].values()).replace("KLOKKEa", "")


def test_each_reader_gets_their_own_names_and_a_capital_where_a_sentence_begins() -> None:
    message = event("{children} har fri", "Husk at {children} har fri. {children} skal hentes kl. 12.")
    for children, title in (("Anna og Bo", "Anna og Bo har fri"), ("dit barn", "Dit barn har fri")):
        subject, texts = seen(written(message, children=children))
        assert subject == title
        for text in (texts["text/plain"], texts["text/html"]):
            assert f"Husk at {children} har fri. {children[:1].upper()}{children[1:]} skal hentes kl. 12." in text


def test_all_readers_get_the_same_headers_in_the_same_order_beside_the_subject() -> None:
    message = event("{children} har fri", "Hej")
    one, two = read(written(message, children="Anna")), read(written(message, children="Bo"))
    assert sorted(one.keys()) == sorted(read(written(event("Anna har fri", "Hej"))).keys())
    assert one.keys() == two.keys()
    assert one["Message-ID"] == two["Message-ID"]


def test_an_invitation_names_nobodys_children() -> None:
    entry = ENTRY
    message = event(
        "Samtale om {children}", "{children} er velkommen", calendar=entry, kind=Kind.CALENDAR_INVITED,
        expires_ms=ADMITTED_MS + 1,
    )  # fmt: skip
    found = parts(read(written(message, children="Anna")))
    assert "Anna" in found["text/plain"]
    assert "Anna" not in found["text/calendar"]
    assert "Børnene er velkommen" in found["text/calendar"].replace("\n ", "")


def test_a_sensitive_letter_has_no_placeholder_and_no_name() -> None:
    raw = written(event("{children} er kommet til skade", "{children}", sensitive=True), children="Anna")
    assert b"Anna" not in raw
    assert b"children" not in raw


@pytest.mark.parametrize("language", list(Language))
def test_danish_stands_in_for_missing_english_with_the_names_in_it(language: Language) -> None:
    message = event(texts={Language.DA: Text("{children} har fri", "Hej")})
    assert seen(written(message, language, children="Anna"))[0] == "Anna har fri"


@given(st.text())
def test_quoted_names_are_short_lines_of_ascii(text: str) -> None:
    spelled = quoted(text.encode(errors="replace").decode())
    assert all(len(line) <= 76 for line in spelled.split(b"\r\n"))
    assert spelled.isascii()


def test_two_builds_give_the_same_bytes() -> None:
    message = event("{children} har fri", "Hej {children}")
    again = [built(message, settings=SETTINGS, children="Bo").data(b"a@b.dk", b"d" * 16) for _ in range(2)]
    assert again[0] == again[1]
