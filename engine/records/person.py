"""People, groups, institutions, strategies: the lines of the directory's NDJSON, which are also its HTTP bodies."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

from engine.records.words import Category, Channel, Language, Platform, Role

# `$(?!\n)`: Python's `$` alone also matches before a last line feed, which would end up in a header or a key.
Id = Annotated[str, Meta(min_length=1, max_length=64, pattern=r"^[A-Za-z0-9][A-Za-z0-9._\-]*$(?!\n)")]
Tenant = Annotated[str, Meta(pattern=r"^(dk|[0-9]{4})$(?!\n)")]
Clock = Annotated[str, Meta(pattern=r"^([01][0-9]|2[0-3]):(00|30)$(?!\n)")]
Token = Annotated[str, Meta(min_length=8, max_length=1024, pattern=r"^[A-Za-z0-9:_\-]+$(?!\n)")]
Email = Annotated[str, Meta(max_length=254, pattern=r"^[^@\s<>,;:\"\\\x00-\x20\x7f]+@[A-Za-z0-9.\-]+$(?!\n)")]

_NAME_LETTERS = r'[^\s\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069"\\]+'
GivenName = Annotated[str, Meta(max_length=60, pattern=rf"^{_NAME_LETTERS}( {_NAME_LETTERS})*$(?!\n)")]
"""Words with single blanks between them; no quotation marks, backslashes, controls, invisible changes of direction."""

SLOT_MAX = 8
"""A person has at most this many devices on one lane; one more replaces the one registered longest ago."""


class Wire(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True, gc=False):
    """Base of everything that comes from outside: unknown fields are refused by name."""


class Profile(Wire, frozen=True):
    """What a person is at one institution. Guardians have no profiles: they follow from their children."""

    institution: Id
    role: Role
    groups: tuple[Id, ...] = ()


class SubscriptionKeys(Wire, frozen=True):
    """A browser's public key (P-256, 65 bytes) and its 16-byte secret, base64url as RFC 8291 spells them."""

    p256dh: Annotated[str, Meta(pattern=r"^[A-Za-z0-9_\-]{87}=?$(?!\n)")]
    auth: Annotated[str, Meta(pattern=r"^[A-Za-z0-9_\-]{22}(==)?$(?!\n)")]


class Subscription(Wire, frozen=True):
    """A browser's push subscription, as `PushSubscription.toJSON()` gives it; `expirationTime` is taken and not used.

    The endpoint is visible ASCII without quotation mark and backslash, as browsers write URLs.
    """

    endpoint: Annotated[str, Meta(max_length=2000, pattern=r"^https://[\x21\x23-\x5b\x5d-\x7e]+$(?!\n)")]
    keys: SubscriptionKeys
    expiration_ms: int | None = msgspec.field(name="expirationTime", default=None)


class Device(Wire, frozen=True):
    """Where push reaches a person: a phone by its token, a browser (`web`) by its subscription.

    Which of the two must be there, and which push services are known: `engine.rules.devices`.
    """

    platform: Platform
    app: Annotated[str, Meta(pattern=r"^[a-z]{1,12}$(?!\n)")]
    token: Token = ""
    subscription: Subscription | None = None

    @property
    def name(self) -> str:
        """What tells the device from all others: its token, or its subscription's endpoint."""
        return self.token or (self.subscription.endpoint if self.subscription else "")


class QuietHours(Wire, frozen=True):
    """On these days (0 = Monday), from this local time until that one; `until` <= `from` ends the next day."""

    days: tuple[Annotated[int, Meta(ge=0, le=6)], ...]
    start: Clock = msgspec.field(name="from")
    until: Clock


class Person(Wire, frozen=True, tag_field="kind", tag="person"):
    """One human being. `guardians` stands on the child's line; guardians come before their children in a file."""

    id: Id
    tenant: Tenant
    name: GivenName | None = None  # a child's, for `{children}` in texts; leave it out where it is protected
    language: Language = Language.DA
    email: Email | None = None
    profiles: tuple[Profile, ...] = ()
    guardians: tuple[Id, ...] = ()
    devices: tuple[Device, ...] = ()
    off: dict[Channel, tuple[Category, ...]] = {}  # opted out of these categories on this channel
    quiet: tuple[QuietHours, ...] = ()


class Institution(Wire, frozen=True, tag_field="kind", tag="institution"):
    id: Id
    tenant: Tenant
    name: Annotated[str, Meta(max_length=200)]
    sort: Annotated[str, Meta(pattern=r"^(school|daycare)$(?!\n)")] = "school"


class Group(Wire, frozen=True, tag_field="kind", tag="group"):
    id: Id
    institution: Id
    name: Annotated[str, Meta(max_length=200)]


class Strategy(Wire, frozen=True, tag_field="kind", tag="strategy"):
    """The channels that a municipality uses for a category. Without a strategy all channels are used."""

    tenant: Tenant
    category: Category
    channels: tuple[Channel, ...]


class Gone(Wire, frozen=True, tag_field="kind", tag="gone"):
    """A person leaves the platform: no endpoints, no groups, no preferences; the number is never reused."""

    id: Id


Line = Person | Institution | Group | Strategy | Gone
