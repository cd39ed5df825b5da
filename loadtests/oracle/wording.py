"""Which words a person must get on a channel, and their digest as the simulators write it into their ledgers."""

from __future__ import annotations

import hashlib
import re

from loadtests.oracle.people import EVERYONE, Child, Someone
from loadtests.oracle.posted import Posted

NEUTRAL: dict[str, dict[str, tuple[str, str]]] = {
    # channel -> language -> (title, body) of a sensitive event: that there is something, never what
    "push": {
        "da": ("", "Du har en ny besked. Log ind for at læse den."),
        "en": ("", "You have a new message. Log in to read it."),
    },
    "email": {  # the ledger of mail digests the subject only
        "da": ("Du har fået en ny notifikation", ""),
        "en": ("You have a new notification", ""),
    },
}


def digest(text: str) -> str:
    """The first 16 hex digits of BLAKE2b, as in the column `text` of a ledger."""
    return hashlib.blake2b(text.encode()).hexdigest()[:16]


def expected_digest(event: Posted, channel: str, language: str, children: str) -> str:
    """Digest the words for one channel and language; who reads English gets Danish where English is missing.

    `children`: what `{children}` says to the reader (`children_words`).
    """
    if event.data.get("sensitive"):
        title, body = NEUTRAL[channel][language]
    else:
        texts = event.data["texts"]
        words = texts.get(language) or texts["da"]
        title, body = (_written(words[part], children) for part in ("title", "body"))
    return digest(title if channel == "email" else f"{title}\n{body}")


def names_children(event: Posted) -> bool:
    """Whether readers of an event get different words."""
    texts = event.data.get("texts", {}).values()
    return not event.data.get("sensitive") and any(_CHILDREN in text for words in texts for text in words.values())


def children_words(event: Posted, someone: Someone) -> str:
    """What `{children}` says to a person: names, or the phrase for who has no child that is meant and named."""
    phrases = _PHRASES[someone.language]
    meant = [child for child in someone.children if _is_meant(event, child)]
    if meant and all(child.name for child in meant):
        *first, last = sorted((child.name for child in meant), key=str.casefold)
        return f"{', '.join(first)} {phrases['and']} {last}" if first else last
    if someone.children:
        return phrases["one"] if len(meant or someone.children) == 1 else phrases["several"]
    return someone.own.name if someone.own.name and _is_meant(event, someone.own) else phrases["others"]


_CHILDREN = "{children}"
_PHRASES = {
    "da": {"and": "og", "one": "dit barn", "several": "dine børn", "others": "børnene"},
    "en": {"and": "and", "one": "your child", "several": "your children", "others": "the children"},
}


def _is_meant(event: Posted, child: Child) -> bool:
    for term in event.data["audience"]["include"]:
        if child.id in (*term.get("people", ()), *term.get("guardians_of", ())):
            return True
        scopes = [f"{kind}/{term[kind]}" for kind in ("group", "institution", "municipality") if kind in term]
        scopes += [EVERYONE] if term.get("everyone") else []
        if term.get("role") != "staff" and any((scope, "pupil") in child.belongs for scope in scopes):
            return True
    return False


def _written(text: str, children: str) -> str:
    """Put the words in, with a capital at the beginning of the text, of a line, and behind the end of a sentence."""
    opening = re.compile(r"(\A[ \t]*|\n[ \t]*|[.!?][ \t]+)\{children\}")
    text = opening.sub(lambda found: found[1] + children[:1].upper() + children[1:], text)
    return text.replace(_CHILDREN, children)
