"""The letter: built once per event and language, then spliced per recipient.

Building costs about a millisecond (templates, MIME, iCalendar); a splice is a join of a few byte strings. Everything
personal stands in the first lines (To, Message-ID, List-Unsubscribe), and in one line of the calendar part. Bodies are
quoted-printable, so a letter is 7-bit and needs no extension of the relay; it is dot-stuffed (RFC 5321, 4.5.2) once.

A sensitive letter is built without looking at title, body, sender, thread, link or calendar (decision 12).
"""

from __future__ import annotations

from email import policy
from email.message import EmailMessage
from functools import lru_cache
from hashlib import blake2b
from pathlib import Path
from typing import Any

import jinja2

from channels.email import headers, words
from channels.email.invitation import attendee, invitation, method
from channels.email.phrases import PHRASES, notice, span
from channels.email.settings import EmailSettings
from engine.records.event import Event
from engine.records.words import Language

_TEMPLATES = jinja2.Environment(
    loader=jinja2.FileSystemLoader(Path(__file__).parent / "templates"),
    autoescape=jinja2.select_autoescape(["html"]),
    undefined=jinja2.StrictUndefined,
    trim_blocks=False,
    keep_trailing_newline=True,
)
_MIME = policy.SMTP.clone(max_line_length=76, cte_type="7bit")
_LINK_SCHEMES = ("https://", "http://")
DATA_END = b".\r\n"


class Letter:
    """One event in one language, ready for any recipient.

    Args:
        common: all bytes after the personal header lines; dot-stuffed, with one gap or none.
        gap: the line of the calendar part that the recipient's ATTENDEE replaces; None without one.
        domain: right-hand side of the Message-ID.
        unsubscribe_url: start of the List-Unsubscribe address; None leaves both headers out.
    """

    __slots__ = ("_after_id", "_calendar_rest", "_common", "_unsubscribe")

    def __init__(self, common: bytes, gap: bytes | None, domain: str, unsubscribe_url: str | None) -> None:
        head, found, rest = common.partition(b"\r\n" + gap + b"\r\n") if gap else (common, b"", b"")
        if gap and not found:
            raise headers.UnsafeHeaders("the calendar part has lost the line of its attendee")
        self._common = head
        self._calendar_rest = rest if gap else None
        self._after_id = f"@{domain}>\r\n".encode()
        self._unsubscribe = f"List-Unsubscribe: <{unsubscribe_url}".encode() if unsubscribe_url else None

    def data(self, address: bytes, delivery: bytes, unsubscribe_token: bytes = b"") -> bytes:
        """What follows the relay's 354: the whole message for one recipient, and the final dot.

        Args:
            address: as `smtp.is_deliverable` lets it through; nothing is checked here.
            delivery: the 16 bytes of `engine.records.work.delivery_id`; the Message-ID comes of it.
            unsubscribe_token: URL-safe text; used only when an unsubscribe address is set.
        """
        # Hot path: one join. An f-string over bytes does not exist, and `%` was slower.
        pieces = [b"To: <", address, b">\r\nMessage-ID: <", delivery.hex().encode(), self._after_id]
        if self._unsubscribe is not None:
            pieces += (self._unsubscribe, unsubscribe_token, _ONE_CLICK)
        pieces.append(self._common)
        if self._calendar_rest is not None:
            pieces += (b"\r\n", attendee(address), b"\r\n", self._calendar_rest)
        pieces.append(DATA_END)
        return b"".join(pieces)


_ONE_CLICK = b">\r\nList-Unsubscribe-Post: List-Unsubscribe=One-Click\r\n"


def letter(event: Event, language: Language, settings: EmailSettings) -> Letter:
    """Build the letter of an event in one language. Costs about a millisecond; keep it for all recipients.

    Raises:
        headers.UnsafeHeaders: a header came out with foreign lines; a fault of ours, nothing may be sent.
    """
    written = None if event.sensitive else invitation(event, language, settings.from_address)
    text, html = _texts(event, language, settings)
    message = EmailMessage(policy=_MIME)
    message.set_content(text, charset="utf-8", cte="quoted-printable")
    message.add_alternative(html, subtype="html", charset="utf-8", cte="quoted-printable")
    if written is not None:
        message.add_alternative(
            written[0], subtype="calendar", charset="utf-8", cte="quoted-printable", params={"method": method(event)}
        )
    # The boundary would be drawn at random, but every attempt is to send the same bytes; no text holds its own hash
    message.set_boundary("klokke-" + blake2b((text + html).encode(), digest_size=15).hexdigest())
    mime_head, empty_line, bodies = message.as_bytes().partition(b"\r\n\r\n")
    headers.scanned(mime_head + b"\r\n", ["MIME-Version", "Content-Type"])
    common = headers.block(_fields(event, language, settings)) + mime_head + empty_line + bodies
    return Letter(
        _stuffed(common), written[1] if written is not None else None, settings.domain, settings.unsubscribe_url
    )


def subject(event: Event, language: Language) -> str:
    """The subject as a reader sees it: the title on one line; of a sensitive event, a neutral sentence."""
    if event.sensitive:
        return PHRASES[language].neutral_subject
    return words.line(event.text(language).title) or PHRASES[language].neutral_subject


def _fields(event: Event, language: Language, settings: EmailSettings) -> list[tuple[str, str]]:
    fields = [
        ("From", headers.mailbox(settings.from_name, settings.from_address)),
        ("Subject", headers.encoded(subject(event, language))),
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
