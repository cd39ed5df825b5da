"""Events and settings for the e-mail tests, and how a receiver reads a letter."""

from __future__ import annotations

import email
from email import policy
from email.message import EmailMessage
from typing import Any

from channels.email.letter import Letter
from channels.email.named import NamedLetter
from channels.email.payload import letter
from channels.email.settings import EmailSettings
from engine.records.event import Audience, CalendarEntry, Content, Event, Term, Text
from engine.records.words import Category, Kind, Language, Urgency

SETTINGS = EmailSettings(host="127.0.0.1", tls="none", from_address="notify@skole.example")
DELIVERY = bytes(range(16))
ADMITTED_MS = 1_772_000_000_000  # 2026-02-25 06:13:20 UTC

ENTRY = CalendarEntry(
    uid="meeting-7@kalender.example",
    sequence=3,
    start_ms=1_772_438_400_000,  # 2026-03-02 09:00 in Copenhagen
    end_ms=1_772_442_000_000,
    timezone="Europe/Copenhagen",
    summary="Skole-hjem-samtale; 3.B, æøå",
    location="Lokale 12",
)


def event(
    title: str = "Skovtur på fredag",
    body: str = "Husk madpakke.\n\nVi ses kl. 8!",
    *,
    texts: dict[Language, Text] | None = None,
    sender: str | None = "Åse Sørensen",
    thread: str | None = "thread-9",
    link: str | None = "https://skole.example/besked/9",
    calendar: CalendarEntry | None = None,
    **fields: Any,
) -> Event:
    content = Content(
        texts=texts or {Language.DA: Text(title, body)}, sender=sender, thread=thread, link=link, calendar=calendar
    )
    given: dict[str, Any] = {
        "number": 77_777,
        "id": "a1",
        "source": "/beskeder",
        "kind": Kind.MESSAGE,
        "tenant": "0101",
        "service": "messages",
        "admitted_ms": ADMITTED_MS,
        "expires_ms": ADMITTED_MS + 7_200_000,
        "category": Category.MESSAGE,
        "urgency": Urgency.NORMAL,
        "audience": Audience(include=(Term(group="3b"),)),
        "content": content,
    }
    return Event(**(given | fields))


def built(
    event: Event, language: Language = Language.DA, settings: EmailSettings = SETTINGS, children: str = ""
) -> Letter:
    """The letter for a reader of whom `{children}` are these."""
    made = letter(event, language, settings)
    return made.for_reader(children) if isinstance(made, NamedLetter) else made


def written(
    event: Event,
    language: Language = Language.DA,
    *,
    address: str = "ole@hjem.example",
    settings: EmailSettings = SETTINGS,
    token: bytes = b"",
    children: str = "",
) -> bytes:
    """The message as a relay stores it: without the final dot, and unstuffed (RFC 5321, 4.5.2)."""
    data = built(event, language, settings, children).data(address.encode(), DELIVERY, token)
    assert data.endswith(b"\r\n.\r\n")
    assert data.count(b"\r\n.\r\n") == 1
    rows = data[:-3].split(b"\r\n")
    return b"\r\n".join(row[1:] if row.startswith(b".") else row for row in rows)


def read(message: bytes) -> EmailMessage:
    """Parse a message as a mail program would."""
    parsed = email.message_from_bytes(message, policy=policy.default)
    assert isinstance(parsed, EmailMessage)
    return parsed


def parts(message: EmailMessage) -> dict[str, str]:
    """The alternatives of a message by content type."""
    return {part.get_content_type(): part.get_content().replace("\r\n", "\n") for part in message.iter_parts()}
