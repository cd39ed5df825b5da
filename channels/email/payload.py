"""The letter: built once per event and language, then spliced per recipient.

Building costs about a millisecond (templates, MIME, iCalendar); a splice is a join of a few byte strings. Everything
personal stands in the first lines (To, Message-ID, List-Unsubscribe), and in one line of the calendar part. Bodies are
quoted-printable, so a letter is 7-bit and needs no extension of the relay; it is dot-stuffed (RFC 5321, 4.5.2) once.

A sensitive letter is built without looking at title, body, sender, thread, link or calendar (decision 12).
"""

from __future__ import annotations

from collections.abc import Callable
from email import policy
from email.message import EmailMessage
from functools import lru_cache
from hashlib import blake2b
from pathlib import Path
from typing import Any

import jinja2

from channels.email import headers, words
from channels.email.invitation import invitation, method
from channels.email.letter import Letter
from channels.email.named import NamedLetter, marks_for, neutral, with_text
from channels.email.phrases import PHRASES, notice, span
from channels.email.settings import EmailSettings
from engine.records.event import Event, Text
from engine.records.placeholder import filled
from engine.records.words import Language
from engine.rules.children import NOBODYS

_TEMPLATES = jinja2.Environment(
    loader=jinja2.FileSystemLoader(Path(__file__).parent / "templates"),
    autoescape=jinja2.select_autoescape(["html"]),
    undefined=jinja2.StrictUndefined,
    trim_blocks=False,
    keep_trailing_newline=True,
)
_MIME = policy.SMTP.clone(max_line_length=76, cte_type="7bit")
_LINK_SCHEMES = ("https://", "http://")


def letter(event: Event, language: Language, settings: EmailSettings) -> Letter | NamedLetter:
    """Build the letter of an event in one language. Costs about a millisecond; keep it for all recipients.

    Raises:
        headers.UnsafeHeaders: a header came out with foreign lines; a fault of ours, nothing may be sent.
    """
    if event.names_children and not event.sensitive:
        return _named_letter(event, language, settings)
    written = None if event.sensitive else invitation(event, language, settings.from_address)
    bodies = _bodies(*_texts(event, language, settings), written, method(event))
    head = headers.block(_fields(event, language, settings, subject(event, language)))
    return _finished(written, settings)(_stuffed(head + bodies))


def _named_letter(event: Event, language: Language, settings: EmailSettings) -> NamedLetter:
    for_text, for_html = marks_for(event)
    written = invitation(neutral(event, language, NOBODYS[language]), language, settings.from_address)
    text, _ = _texts(for_text.written_into(event, language), language, settings)
    _, html = _texts(for_html.written_into(event, language), language, settings)
    title = event.text(language).title

    def subject_line(children: str) -> bytes:
        named = with_text(event, language, Text(filled(title, children), ""))
        return headers.block([("Subject", headers.encoded(subject(named, language)))])

    return NamedLetter(
        headers.block(_fields(event, language, settings, None)) + _bodies(text, html, written, method(event)),
        (for_text, for_html),
        subject_line,
        _stuffed,
        _finished(written, settings),
    )


def _finished(written: tuple[str, bytes] | None, settings: EmailSettings) -> Callable[[bytes], Letter]:
    gap = written[1] if written is not None else None
    return lambda common: Letter(common, gap, settings.domain, settings.unsubscribe_url)


def _bodies(text: str, html: str, written: tuple[str, bytes] | None, calendar_method: str) -> bytes:
    """The MIME headers and the parts."""
    message = EmailMessage(policy=_MIME)
    message.set_content(text, charset="utf-8", cte="quoted-printable")
    message.add_alternative(html, subtype="html", charset="utf-8", cte="quoted-printable")
    if written is not None:
        message.add_alternative(
            written[0],
            subtype="calendar",
            charset="utf-8",
            cte="quoted-printable",
            params={"method": calendar_method},
        )
    # The boundary would be drawn at random, but every attempt is to send the same bytes; no text holds its own hash
    message.set_boundary("klokke-" + blake2b((text + html).encode(), digest_size=15).hexdigest())
    mime_head, empty_line, bodies = message.as_bytes().partition(b"\r\n\r\n")
    headers.scanned(mime_head + b"\r\n", ["MIME-Version", "Content-Type"])
    return mime_head + empty_line + bodies


def subject(event: Event, language: Language) -> str:
    """The subject as a reader sees it: the title on one line; of a sensitive event, a neutral sentence."""
    if event.sensitive:
        return PHRASES[language].neutral_subject
    return words.line(event.text(language).title) or PHRASES[language].neutral_subject


def _fields(event: Event, language: Language, settings: EmailSettings, subject: str | None) -> list[tuple[str, str]]:
    """The headers that all readers share; a subject that names children is not among them."""
    fields = [
        ("From", headers.mailbox(settings.from_name, settings.from_address)),
        *([("Subject", headers.encoded(subject))] if subject is not None else ()),
        ("Date", headers.date(event.admitted_ms)),
        ("Auto-Submitted", "auto-generated"),  # RFC 3834: keeps answering machines quiet
        ("X-Auto-Response-Suppress", "All"),  # the same for Microsoft
        ("X-Klokke-Event", event.public_id),
        ("Content-Language", language.value),
    ]
    if event.content.thread and not event.sensitive:
        conversation = f"{event.tenant}\0{event.service}\0{event.content.thread}".encode(errors="replace")
        thread = blake2b(conversation, digest_size=16).hexdigest()
        fields.append(("References", f"<thread.{thread}@{settings.domain}>"))
    return fields


def _texts(event: Event, language: Language, settings: EmailSettings) -> tuple[str, str]:
    if event.sensitive:
        facts: dict[str, Any] = {"link": settings.portal_url}
    else:
        facts = _facts(event, language, settings)
    facts |= {"language": language.value, "phrases": PHRASES[language]}
    name = "neutral" if event.sensitive else "letter"
    return _template(f"{name}.txt").render(facts), _template(f"{name}.html").render(facts)


def _facts(event: Event, language: Language, settings: EmailSettings) -> dict[str, Any]:
    phrases = PHRASES[language]
    body = words.lines(event.text(language).body)
    entry = event.content.calendar
    return {
        "title": subject(event, language),
        "body": body,
        "paragraphs": words.paragraphs(body),
        "sender": words.line(event.content.sender or ""),
        "notice": notice(event.kind, language),
        "when": span(entry, language) if entry else "",
        "where": words.line(entry.location or "") if entry else "",
        "repeats": bool(entry and entry.recurrence_rule and not entry.recurrence_id),
        "link": _link(event.content.link) or settings.portal_url,
        "why": phrases.why.format(category=phrases.categories[event.category]),
    }


def _link(link: str | None) -> str | None:
    """A link that a mail may carry: never `javascript:` or `data:`, which escaping does not stop."""
    cleaned = words.line(link or "")
    return cleaned if cleaned.startswith(_LINK_SCHEMES) and " " not in cleaned else None


@lru_cache(maxsize=16)
def _template(name: str) -> jinja2.Template:
    return _TEMPLATES.get_template(name)


def _stuffed(common: bytes) -> bytes:
    if not common.endswith(b"\r\n"):
        common += b"\r\n"
    return common.replace(b"\r\n.", b"\r\n..")
