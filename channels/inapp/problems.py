"""Errors as problem documents (RFC 9457): which one, what was wrong, and the remedy.

The types are the intake's, since one developer meets both; `docs/api.md` shows them in one table, and a test holds the
three together.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import msgspec

TYPE_PREFIX = "urn:klokke:problem:"

PROBLEMS: dict[str, tuple[int, str]] = {
    "malformed-json": (400, "The body is not JSON"),
    "malformed-request": (400, "The request is not one that this address can read"),
    "unauthorized": (401, "A valid ticket is needed"),
    "not-found": (404, "There is no such address"),
    "method-not-allowed": (405, "This address does not know that method"),
    "too-slow": (408, "The request did not arrive in time"),
    "body-too-large": (413, "The body is too large"),
    "unsupported-media-type": (415, "The body has a type or an encoding that is not taken here"),
    "invalid": (422, "The body does not fit its schema"),
    "rate-limit": (429, "Too many requests a second"),
    "headers-too-large": (431, "The request headers are too large"),
    "internal": (500, "Something is wrong in the gateway"),
    "overloaded": (503, "Too many connections"),
    "store-unavailable": (503, "The inbox cannot be read right now"),
}


class Pointed(NamedTuple):
    """One thing to mend: a JSON pointer (RFC 6901) into the body, and how."""

    pointer: str
    detail: str


class Problem(Exception):
    """An answer that is an error. Raise it anywhere while a request is answered.

    Args:
        name: a key of `PROBLEMS`.
        detail: one sentence for the caller's developer; names the field or header, never a secret.
        errors: what to mend in a body of the right syntax.
        headers: what the status asks for: Allow, Retry-After, WWW-Authenticate.
    """

    def __init__(self, name: str, detail: str, errors: tuple[Pointed, ...] = (), **headers: str) -> None:
        super().__init__(detail)
        self.name = name
        self.status, self.title = PROBLEMS[name]
        self.errors = errors
        self.headers = {name.replace("_", "-"): value for name, value in headers.items()}

    def document(self) -> bytes:
        shown: dict[str, Any] = {
            "type": TYPE_PREFIX + self.name,
            "title": self.title,
            "status": self.status,
            "detail": str(self),
        }
        if self.errors:
            shown["errors"] = [{**error._asdict(), "code": "invalid"} for error in self.errors]
        return msgspec.json.encode(shown)


def unauthorized(detail: str) -> Problem:
    return Problem("unauthorized", detail, WWW_Authenticate='Bearer realm="inbox"')


def unreadable(status: int) -> Problem:
    """A request that breaks the grammar of HTTP/1.1; `status` is what the parser proposes."""
    name = {413: "body-too-large", 431: "headers-too-large"}.get(status, "malformed-request")
    return Problem(name, "This is not a well-formed HTTP/1.1 request.")
