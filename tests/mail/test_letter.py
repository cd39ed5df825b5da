"""What a letter looks like to the one who reads it."""

from __future__ import annotations

from html.parser import HTMLParser

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from channels.email import headers, words
from channels.email.payload import subject
from channels.email.settings import EmailSettings
from engine.records.event import Text
from engine.records.words import Category, Language
from engine.rules.tickets import check_unsubscribe, mint_unsubscribe
from tests.mail.letters import DELIVERY, ENTRY, built, event, parts, read, written

HEADERS = [
    "To",
    "Message-ID",
    "From",
    "Subject",
    "Date",
    "Auto-Submitted",
    "X-Auto-Response-Suppress",
    "X-Klokke-Event",
    "Content-Language",
    "References",
    "MIME-Version",
    "Content-Type",
]

ATTACKS = [
    "=?utf-8?q?a=0d=0aBcc:_x@y?=",
    "=?utf-8?b?YQ0KQmNjOiB4QHk=?=",
    "Hej\r\nBcc: x@y",
    "Hej\nBcc: x@y\n\nbody",
    "Hej\rBcc: x@y",
    "Hej\u2028Bcc: x@y",
    "Hej\u2029Bcc: x@y",
    "Hej\x85Bcc: x@y",
    "Hej\x0bBcc: x@y\x0cX: y\x1cZ: w",
    "Hej\x00 null",
    "=?utf-8?q?=0d=0aBcc:_x@y?= " * 8 + "æøå",
    "Hej\r\n.\r\nMAIL FROM:<x@y>\r\n",
    "-" * 200,
    "\ud800 lone surrogate",
]


class Tags(HTMLParser):
    """Collects start tags with attributes, and the text between."""

    def __init__(self, source: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(source)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data


def test_a_letter_has_exactly_its_headers_and_plain_text_stands_before_html() -> None:
    message = read(written(event()))

    assert message.keys() == HEADERS
    assert message.get_content_type() == "multipart/alternative"
    assert [part.get_content_type() for part in message.iter_parts()] == ["text/plain", "text/html"]
    assert not message.defects


def test_the_headers_say_who_what_when_and_that_no_machine_shall_answer() -> None:
    message = read(written(event()))

    assert message["To"] == "ole@hjem.example"
    assert message["Message-ID"] == f"<{DELIVERY.hex()}@skole.example>"
    assert message["From"] == "Klokke <notify@skole.example>"
    assert message["Subject"] == "Skovtur på fredag"
    assert message["Date"] == "Wed, 25 Feb 2026 06:13:20 +0000"
    assert message["Auto-Submitted"] == "auto-generated"
    assert message["X-Auto-Response-Suppress"] == "All"
    assert message["X-Klokke-Event"] == event().public_id
    assert message["Reply-To"] is None


def test_every_attempt_sends_the_same_bytes() -> None:
    assert written(event(calendar=ENTRY)) == written(event(calendar=ENTRY))


def test_events_of_one_thread_refer_to_the_same_conversation_and_other_tenants_do_not() -> None:
    first, second = read(written(event(number=1))), read(written(event(number=2)))
    elsewhere = read(written(event(tenant="0147")))

    assert first["References"] == second["References"] != elsewhere["References"]
    assert "thread-9" not in first["References"]


def test_a_letter_in_english_says_so_and_falls_back_to_danish_words_where_english_is_missing() -> None:
    english = read(
        written(event(texts={Language.DA: Text("Hej", "Farvel"), Language.EN: Text("Hello", "Bye")}), Language.EN)
    )
    fallback = read(written(event(), Language.EN))

    assert english["Subject"] == "Hello"
    assert '<html lang="en">' in parts(english)["text/html"]
    assert fallback["Subject"] == "Skovtur på fredag"
    assert "sent automatically" in parts(fallback)["text/plain"]


def test_html_has_language_title_and_heading_and_escapes_what_people_wrote() -> None:
    page = Tags(parts(read(written(event("<script>alert(1)</script>", '<img src=x onerror="x">&'))))["text/html"])
    names = [tag for tag, _ in page.tags]

    assert ("html", {"lang": "da"}) in page.tags
    assert {"title", "main", "h1", "p", "a", "footer"} <= set(names)
    assert "script" not in names
    assert "img" not in names
    assert '<img src=x onerror="x">&' in page.text


@pytest.mark.parametrize("link", ["javascript:alert(1)", "data:text/html,x", "https://a b", "ftp://x", "/relative"])
def test_a_link_that_is_no_web_address_is_left_out(link: str) -> None:
    alternatives = parts(read(written(event(link=link))))

    assert "href" not in alternatives["text/html"]
    assert link not in alternatives["text/plain"]


def test_paragraphs_and_lines_stay_as_they_were_written() -> None:
    page = parts(read(written(event(body="En\nTo\n\n\nTre"))))["text/html"]

    assert "<p>En<br>\nTo</p>\n<p>Tre</p>" in page


def test_the_unsubscribe_link_is_one_click_and_its_token_reads_back() -> None:
    secret = b"s" * 32
    configured = EmailSettings(
        host="127.0.0.1",
        tls="none",
        from_address="notify@skole.example",
        unsubscribe_url="https://skole.example/u/",
        unsubscribe_secret=secret,
    )
    token = mint_unsubscribe(secret, 1234, Category.POST)
    message = read(written(event(), settings=configured, token=token.encode()))

    assert message["List-Unsubscribe"] == f"<https://skole.example/u/{token}>"
    assert message["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    assert check_unsubscribe(secret, token) == (1234, Category.POST)


# --- hostile and odd texts -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("attack", ATTACKS)
def test_no_text_becomes_a_header_or_a_command(attack: str) -> None:
    hostile = event(attack, attack, sender=attack, thread=attack, calendar=ENTRY, link=attack)
    message = read(written(hostile))

    assert message.keys() == HEADERS
    assert message["Subject"] == words.line(attack)
    assert not {"\r", "\n"} & set(str(message["Subject"]))


@settings(max_examples=150, deadline=None)
@given(title=st.text(max_size=150), body=st.text(max_size=400), sender=st.text(max_size=40))
def test_any_text_reads_back_as_it_was_cleaned(title: str, body: str, sender: str) -> None:
    raw = written(event(title, body, sender=sender))
    message = read(raw)
    alternatives = parts(message)

    assert message.keys() == HEADERS
    assert message["Subject"] == subject(event(title, body), Language.DA)
    assert words.lines(body) in alternatives["text/plain"]
    assert words.line(sender) in alternatives["text/plain"]
    assert raw.isascii()
    assert max(len(row) for row in raw.split(b"\r\n")) <= 998
    assert b"\n" not in raw.replace(b"\r\n", b"")


@settings(max_examples=200)
@given(st.text())
def test_one_line_is_one_line_whatever_it_was(text: str) -> None:
    line = words.line(text)

    assert line.splitlines() in ([], [line])
    assert line == words.line(line)


@pytest.mark.parametrize(
    "written_block",
    [
        b"Subject: a\r\nBcc: x@y\r\n",
        b"Subject: a\nBcc: x@y\r\n",
        b"Subject: a\r\n\r\nbody\r\n",
        b"Subject: \xc3\xa6\r\n",
        b"Subject: a",
        b"Subject: " + b"a" * 1000 + b"\r\n",
        b"Subject: a\r\n \r\n",
    ],
)
def test_the_scan_refuses_a_block_with_more_than_its_headers(written_block: bytes) -> None:
    with pytest.raises(headers.UnsafeHeaders):
        headers.scanned(written_block, ["Subject"])


def test_the_check_at_start_passes_on_this_python() -> None:
    headers.prove()


# --- sensitive -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("language", list(Language))
def test_a_sensitive_letter_holds_nothing_of_the_event(language: Language) -> None:
    canary = "Kanarie7"
    secret = event(
        texts={each: Text(f"{canary} title", f"{canary} body") for each in Language},
        sender=canary,
        thread=canary,
        link=f"https://skole.example/{canary}",
        calendar=ENTRY.__class__(
            uid=canary, sequence=1, start_ms=1, end_ms=2, timezone="UTC", summary=canary, location=canary
        ),
        sensitive=True,
    )
    portal = EmailSettings(
        host="127.0.0.1", tls="none", from_address="notify@skole.example", portal_url="https://skole.example/"
    )
    raw = written(secret, language, settings=portal)
    message = read(raw)
    seen = str(message) + "".join(parts(message).values())

    assert canary.lower() not in (raw.decode() + seen).lower()
    assert message["References"] is None
    assert "text/calendar" not in parts(message)
    assert "https://skole.example/" in parts(message)["text/plain"]
    assert message["Subject"] in ("Du har fået en ny notifikation", "You have a new notification")


def test_two_sensitive_letters_differ_only_in_their_event_and_date() -> None:
    one = built(event("a", "b", sensitive=True)).data(b"x@y.dk", DELIVERY)
    two = built(event("c" * 99, "d", sender="e", sensitive=True)).data(b"x@y.dk", DELIVERY)

    assert one == two


def test_settings_report_every_fault_at_once_and_never_show_the_password() -> None:
    with pytest.raises(ValueError, match="port") as caught:
        EmailSettings(host="", port=0, from_address="æ", username="u", tls="none", portal_url="http://x")
    shown = repr(EmailSettings(host="h", from_address="a@b.dk", username="u", password="hunter2"))

    assert [line.split(":")[0] for line in str(caught.value).splitlines()] == [
        "host",
        "port",
        "username, password",
        "username",
        "from_address",
        "envelope_from",
        "message_id_domain",
        "portal_url",
    ]
    assert "hunter2" not in shown
