"""Which words a person must get on a channel, and their digest as the simulators write it into their ledgers."""

from __future__ import annotations

import hashlib

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


def expected_digest(event: Posted, channel: str, language: str) -> str:
    """Digest the words for one channel and language; who reads English gets Danish where English is missing."""
    if event.data.get("sensitive"):
        title, body = NEUTRAL[channel][language]
    else:
        texts = event.data["texts"]
        words = texts.get(language) or texts["da"]
        title, body = words["title"], words["body"]
    return digest(title if channel == "email" else f"{title}\n{body}")
