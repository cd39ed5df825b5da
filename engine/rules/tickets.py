"""Tickets: short signed texts that say who somebody is, without asking the store.

The intake mints them for a person's app, the inbox gateway checks them; e-mail mints unsubscribe tokens, the intake
checks those. Signed with HMAC-SHA256 (RFC 2104), each purpose under its own first byte, compared in constant time.
A ticket is not secret from its holder: it holds a number, a tenant and an expiry, nothing about a person.
Give every purpose a secret of at least 32 random bytes; all processes share it.
"""

from __future__ import annotations

import hmac
from base64 import urlsafe_b64decode, urlsafe_b64encode
from struct import Struct
from typing import NamedTuple

from engine.records.words import Category

SECRET_BYTES_MIN = 32
_INBOX = b"\x01"
_UNSUBSCRIBE = b"\x02"
_MAC_BYTES = 32
_INBOX_FORM = Struct("<IQ4s")
_UNSUBSCRIBE_FORM = Struct("<IB")
_CATEGORIES = tuple(Category)


class Ticket(NamedTuple):
    """Whom an inbox ticket speaks for, and until when (wall clock, milliseconds)."""

    number: int
    tenant: str
    expires_ms: int


def mint(secret: bytes, number: int, tenant: str, expires_ms: int) -> str:
    """Sign an inbox ticket: 64 URL-safe characters.

    Raises:
        ValueError: the secret is too short, or the tenant longer than four ASCII characters.
    """
    code = tenant.encode()
    if not tenant.isascii() or len(code) > 4:
        raise ValueError("tenant: give a municipality code of four digits, or dk")
    return _sealed(secret, _INBOX, _INBOX_FORM.pack(number, expires_ms, code))


def check(secret: bytes, ticket: str, now_ms: int) -> Ticket | None:
    """Read an inbox ticket; None when it is forged, damaged, of another purpose or expired."""
    content = _opened(secret, _INBOX, ticket)
    if content is None or len(content) != _INBOX_FORM.size:
        return None
    number, expires_ms, code = _INBOX_FORM.unpack(content)
    if expires_ms <= now_ms:
        return None
    return Ticket(number, code.rstrip(b"\0").decode(), expires_ms)


def mint_unsubscribe(secret: bytes, number: int, category: Category) -> str:
    """Sign the token of a List-Unsubscribe link (RFC 8058). It never expires: old mails must keep working."""
    return _sealed(secret, _UNSUBSCRIBE, _UNSUBSCRIBE_FORM.pack(number, _CATEGORIES.index(category)))


def check_unsubscribe(secret: bytes, token: str) -> tuple[int, Category] | None:
    """Read an unsubscribe token: the person's number, and the category to switch off for e-mail; None when forged."""
    content = _opened(secret, _UNSUBSCRIBE, token)
    if content is None or len(content) != _UNSUBSCRIBE_FORM.size:
        return None
    number, category = _UNSUBSCRIBE_FORM.unpack(content)
    return (number, _CATEGORIES[category]) if category < len(_CATEGORIES) else None


def _sealed(secret: bytes, purpose: bytes, content: bytes) -> str:
    if len(secret) < SECRET_BYTES_MIN:
        raise ValueError(f"secret: give at least {SECRET_BYTES_MIN} random bytes")
    mac = hmac.digest(secret, purpose + content, "sha256")
    return _spelled(content + mac)


def _spelled(sealed: bytes) -> str:
    return urlsafe_b64encode(sealed).rstrip(b"=").decode()


def _opened(secret: bytes, purpose: bytes, spelled: str) -> bytes | None:
    if len(secret) < SECRET_BYTES_MIN or not spelled.isascii() or len(spelled) > 128:
        return None
    try:
        sealed = urlsafe_b64decode(spelled + "=" * (-len(spelled) % 4))
    except ValueError:
        return None
    if _spelled(sealed) != spelled:
        return None  # base64 can be spelled in several ways (RFC 4648, 3.5); a ticket has one
    content, mac = sealed[:-_MAC_BYTES], sealed[-_MAC_BYTES:]
    return content if hmac.compare_digest(mac, hmac.digest(secret, purpose + content, "sha256")) else None
