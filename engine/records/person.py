"""People, groups, institutions, strategies: the lines of the directory's NDJSON, which are also its HTTP bodies."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

from engine.records.forms import LINE_LETTER, ONE_LINE, VISIBLE, form
from engine.records.municipalities import CODE_SENTENCE, NATIONAL, code_pattern
from engine.records.words import Category, Channel, Language, Platform, Role

Id = Annotated[
    str,
    form(
        r"^[A-Za-z0-9][A-Za-z0-9._\-]*$(?!\n)",
        "letters (A to Z), digits, dots, dashes or underscores, the first a letter or digit",
        min_length=1,
        max_length=64,
    ),
]
MunicipalityCode = Annotated[str, form(rf"^({code_pattern()})$(?!\n)", CODE_SENTENCE)]
Tenant = Annotated[
    str, form(rf"^({NATIONAL}|{code_pattern()})$(?!\n)", f"{CODE_SENTENCE}, or {NATIONAL} for the nation")
]
Clock = Annotated[str, form(r"^([01][0-9]|2[0-3]):(00|30)$(?!\n)", "a time on the half hour, as 21:00 or 06:30")]
Token = Annotated[
    str,
    form(
        r"^[A-Za-z0-9:_\-]+$(?!\n)",
        "the token as the app got it: letters, digits, colons, dashes, underscores",
        min_length=8,
        max_length=1024,
    ),
]
_LABEL = "[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?"  # of a domain name
Email = Annotated[
    str,
    form(
        rf"^[^@\s<>,;:\"\\\x00-\x20\x7f]{{1,64}}@{_LABEL}(\.{_LABEL})*$(?!\n)",
        "a bare e-mail address, as mette@example.org",
        max_length=254,
    ),
]
Name = Annotated[str, form(rf"^{VISIBLE}{LINE_LETTER}*$(?!\n)", ONE_LINE, max_length=200)]
AppName = Annotated[str, form(r"^[a-z]{1,12}$(?!\n)", "the short name of an app: 1 to 12 letters from a to z")]

_NAME_LETTERS = (
    r'[^\s\x00-\x1f\x7f-\x9f\u200b\u2028-\u202e\u2060\u2066-\u2069\ufeff\U000e0000-\U000e007f"\\<>{}\[\]/@]+'
)
GivenName = Annotated[
    str,
    form(
        rf"^(?=.*[^\W\d_]){_NAME_LETTERS}( {_NAME_LETTERS})*$(?!\n)",
        "a given name: words of letters with single blanks between them, no brackets, slashes, quotation marks or "
        "characters that cannot be seen",
        max_length=60,
    ),
]
"""Words with single blanks between them: at least one letter, nothing invisible, nothing that reads as markup."""

SLOT_MAX = 8
"""A person has at most this many devices on one lane; one more replaces the one registered longest ago."""


class Wire(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True, gc=False):
    """Base of everything that comes from outside: unknown fields are refused by name."""


class Profile(Wire, frozen=True):
    """What a person is at one institution. Guardians have no profiles: they follow from their children."""

    institution: Id
    role: Role
    groups: Annotated[tuple[Id, ...], Meta(max_length=500)] = ()


class SubscriptionKeys(Wire, frozen=True):
    """A browser's public key (P-256, 65 bytes) and its 16-byte secret, base64url as RFC 8291 spells them."""

    p256dh: Annotated[str, form(r"^[A-Za-z0-9_\-]{87}=?$(?!\n)", "the browser's public key: 65 bytes in base64url")]
    auth: Annotated[str, form(r"^[A-Za-z0-9_\-]{22}(==)?$(?!\n)", "the browser's secret: 16 bytes in base64url")]


class Subscription(Wire, frozen=True):
    """A browser's push subscription, as `PushSubscription.toJSON()` gives it; `expirationTime` is taken and not used.

    The endpoint is visible ASCII without quotation mark and backslash, as browsers write URLs.
    """

    endpoint: Annotated[
        str,
        form(
            r"^https://[\x21\x23-\x5b\x5d-\x7e]+$(?!\n)",
            "the https address that the browser gave, as it is",
            max_length=2000,
        ),
    ]
    keys: SubscriptionKeys
    expiration_ms: int | None = msgspec.field(name="expirationTime", default=None)


class Device(Wire, frozen=True):
    """Where push reaches a person: a phone by its token, a browser (`web`) by its subscription.

    Which of the two must be there, and which push services are known: `engine.rules.devices`.
    """

    platform: Platform
    app: AppName
    token: Token = ""
    subscription: Subscription | None = None

    @property
    def name(self) -> str:
        """What tells the device from all others: its token, or its subscription's endpoint."""
        return self.token or (self.subscription.endpoint if self.subscription else "")


class QuietHours(Wire, frozen=True):
    """On these days (0 = Monday), from this local time until that one; `until` <= `from` ends the next day."""

    days: Annotated[tuple[Annotated[int, Meta(ge=0, le=6)], ...], Meta(min_length=1, max_length=7)]
    start: Clock = msgspec.field(name="from")
    until: Clock


Profiles = Annotated[tuple[Profile, ...], Meta(max_length=50)]
Guardians = Annotated[tuple[Id, ...], Meta(max_length=20)]
Quiet = Annotated[tuple[QuietHours, ...], Meta(max_length=50)]


class Person(Wire, frozen=True, tag_field="kind", tag="person"):
    """One human being. `guardians` stands on the child's line; guardians come before their children in a file."""

    id: Id
    tenant: Tenant
    name: GivenName | None = None  # a child's, for `{children}` in texts; leave it out where it is protected
    language: Language = Language.DA
    email: Email | None = None
    profiles: Profiles = ()
    guardians: Guardians = ()
    devices: Annotated[tuple[Device, ...], Meta(max_length=200)] = ()
    off: dict[Channel, tuple[Category, ...]] = {}  # opted out of these categories on this channel
    quiet: Quiet = ()


class Institution(Wire, frozen=True, tag_field="kind", tag="institution"):
    id: Id
    tenant: Tenant
    name: Name
    sort: Annotated[str, form(r"^(school|daycare)$(?!\n)", "school or daycare")] = "school"


class Group(Wire, frozen=True, tag_field="kind", tag="group"):
    id: Id
    institution: Id
    name: Name


class Strategy(Wire, frozen=True, tag_field="kind", tag="strategy"):
    """The channels that a municipality uses for a category. Without a strategy all channels are used."""

    tenant: Tenant
    category: Category
    channels: tuple[Channel, ...]


class Gone(Wire, frozen=True, tag_field="kind", tag="gone"):
    """A person leaves the platform: no endpoints, no groups, no preferences; the number is never reused."""

    id: Id


Line = Person | Institution | Group | Strategy | Gone
