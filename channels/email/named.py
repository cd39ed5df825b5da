"""A letter whose text holds `{children}`: built once, then cut where names go and joined per reader.

While it is built, each placeholder is a *mark*, a word of letters and digits that no text of the event can hold. In the
finished quoted-printable bytes a mark is found even where a soft line break went through it, and gives way to a gap on
lines of its own between soft breaks, which no reader sees (RFC 2045, 6.7). Names are quoted-printable too, and escaped
in HTML. The subject is spelled per reader, since an encoded one cannot be cut.

An invitation is kept by calendars and shown to whomever they are shared with: its text says `børnene`.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from hashlib import blake2b
from typing import NamedTuple

import msgspec
from markupsafe import escape

from channels.email.letter import Letter
from engine.records.event import Event, Text
from engine.records.placeholder import capital, filled, parts
from engine.records.words import Language

_SOFT_BREAK = b"=\r\n"
_LINE_BYTES_MAX = 72  # with the soft break and a last `=C3` it stays under the 76 of RFC 2045


class Marks(NamedTuple):
    """What stands for the names while a letter is built: within a sentence, and where they open one."""

    plain: str
    opening: str

    def written_into(self, event: Event, language: Language) -> Event:
        """The event with marks in the text that is read in this language."""
        text = event.text(language)
        return with_text(event, language, Text(self._in(text.title), self._in(text.body)))

    def _in(self, text: str) -> str:
        pieces, opens = parts(text)
        marks = [self.opening if is_opening else self.plain for is_opening in opens]
        return "".join(part for pair in zip(pieces, [*marks, ""], strict=True) for part in pair)


def marks_for(event: Event) -> tuple[Marks, Marks]:
    """The marks of the plain text and of the HTML. No text holds its own hash."""
    digest = blake2b(msgspec.json.encode(event.content), digest_size=12).hexdigest()
    return Marks(f"KLOKKEa{digest}", f"KLOKKEb{digest}"), Marks(f"KLOKKEc{digest}", f"KLOKKEd{digest}")


def with_text(event: Event, language: Language, text: Text) -> Event:
    """The event as if it said this in a language."""
    texts = {**event.content.texts, language: text}
    return msgspec.structs.replace(event, content=msgspec.structs.replace(event.content, texts=texts))


def neutral(event: Event, language: Language, children: str) -> Event:
    """The event, its calendar entry too, with these words for everybody."""
    text = event.text(language)
    event = with_text(event, language, Text(filled(text.title, children), filled(text.body, children)))
    entry = event.content.calendar
    if entry is None:
        return event
    entry = msgspec.structs.replace(
        entry, summary=filled(entry.summary, children), location=entry.location and filled(entry.location, children)
    )
    return msgspec.structs.replace(event, content=msgspec.structs.replace(event.content, calendar=entry))


class NamedLetter:
    """One event in one language, ready for the names of any reader's children.

    Args:
        common: as of `Letter`, without the subject, not yet dot-stuffed, with marks in it.
        marks: of the plain text and of the HTML.
        subject: spells the subject's header line for the words that stand for the names.
        finished: makes the letter of its dot-stuffed bytes.
    """

    def __init__(
        self,
        common: bytes,
        marks: tuple[Marks, Marks],
        subject: Callable[[str], bytes],
        stuffed: Callable[[bytes], bytes],
        finished: Callable[[bytes], Letter],
    ) -> None:
        self._subject = subject
        self._finished = finished
        kinds = {mark.encode(): kind for kind, mark in enumerate((*marks[0], *marks[1]))}
        for mark in kinds:
            found = _SOFT_BREAK.join((b"", mark, b""))
            common = re.sub(rb"(?:=\r\n)?".join(re.escape(bytes([letter])) for letter in mark), found, common)
        # Stuffed before it is cut: what follows a gap begins a line
        pieces = re.split(b"(%b)" % b"|".join(kinds), stuffed(common))
        self._pieces = [b"" if piece in kinds else piece for piece in pieces]
        self._gaps = [(at, kinds[piece]) for at, piece in enumerate(pieces) if piece in kinds]

    def for_reader(self, children: str) -> Letter:
        """The letter that names these children; costs a join and a subject, some 20 us."""
        opening = capital(children)
        fillings = [quoted(text) for text in (children, opening, escape(children), escape(opening))]
        pieces = list(self._pieces)
        for at, kind in self._gaps:
            pieces[at] = fillings[kind]
        return self._finished(self._subject(children) + b"".join(pieces))


def quoted(text: str) -> bytes:
    """Spell a text in quoted-printable, folded, with everything but letters and digits of ASCII encoded."""
    lines = [b""]
    for byte in text.encode():
        letter = bytes([byte])
        if len(lines[-1]) >= _LINE_BYTES_MAX:
            lines.append(b"")
        lines[-1] += letter if letter.isalnum() else b"=%02X" % byte
    return _SOFT_BREAK.join(lines)
