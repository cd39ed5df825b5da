"""API keys of backend services: who calls, for which tenants, for what.

Only the SHA-256 of a key is kept. Keys are 256 random bits, so a plain digest cannot be guessed back and no slow
password hash is needed. An unknown key and a wrong one take the same time and get the same answer.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Sequence
from enum import StrEnum
from typing import Annotated

import msgspec
from msgspec import Meta

from engine.records.forms import form
from engine.records.municipalities import CODE_SENTENCE, NATIONAL, code_pattern

ANY_TENANT = "*"
_PREFIX = "klokke_"
_KEY_CHARACTERS_MAX = 256


ServiceName = Annotated[
    str, form(r"^[a-z][a-z0-9\-]{0,39}$(?!\n)", "1 to 40 letters from a to z, digits and dashes, a letter first")
]
KeyTenant = Annotated[
    str,
    form(rf"^({NATIONAL}|\*|{code_pattern()})$(?!\n)", f"{CODE_SENTENCE}, {NATIONAL} for the nation, or * for all"),
]


class Scope(StrEnum):
    EVENTS = "events"  # send and cancel events, read their reports
    DIRECTORY = "directory"  # change people, groups, institutions, strategies; import
    INBOX = "inbox"  # make tickets with which apps read an inbox
    ASK = "ask"  # read reports and what became of one person


class Service(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One key of one backend service. A service that changes its key has two of these for a while.

    `tenants`: municipality codes, `dk` for national, or `*` for all. `rate_per_second` and `per_day` bound its events
    (0: no bound), in each intake process on its own.
    """

    name: ServiceName
    key_sha256: Annotated[
        str, form(r"^[0-9a-f]{64}$(?!\n)", "the 64 hexadecimal digits that ./klokke key prints, not the key itself")
    ]
    tenants: Annotated[tuple[KeyTenant, ...], Meta(min_length=1)]
    scopes: Annotated[tuple[Scope, ...], Meta(min_length=1)]
    rate_per_second: Annotated[int, Meta(ge=0)] = 0
    per_day: Annotated[int, Meta(ge=0)] = 0

    @property
    def serves_all(self) -> bool:
        return ANY_TENANT in self.tenants

    def may_see(self, tenant: str) -> bool:
        """Whether things of this tenant exist for the service."""
        return ANY_TENANT in self.tenants or tenant in self.tenants


class Keys:
    """The key ring: finds the service of a presented key."""

    def __init__(self, services: Sequence[Service]) -> None:
        self._services = [(bytes.fromhex(service.key_sha256), service) for service in services]

    def service_of(self, authorization: bytes | None) -> Service | None:
        """The service whose key stands in an `Authorization: Bearer ...` header; None for no or no known key.

        Every stored digest is compared, each in constant time, so that time tells nothing about the others.
        """
        scheme, _, key = (authorization or b"").partition(b" ")
        presented = hashlib.sha256(key.strip()[:_KEY_CHARACTERS_MAX]).digest()
        found: Service | None = None
        for digest, service in self._services:
            if hmac.compare_digest(digest, presented):
                found = service
        return found if scheme.lower() == b"bearer" and len(key) <= _KEY_CHARACTERS_MAX else None


def digest_of(key: str) -> str:
    """What the configuration stores of a key."""
    return hashlib.sha256(key.encode()).hexdigest()


def make_key() -> tuple[str, str]:
    """A fresh key and its digest: the key goes to the service, the digest into the configuration."""
    key = _PREFIX + secrets.token_urlsafe(32)
    return key, digest_of(key)
