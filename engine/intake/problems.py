"""Answers that say no: problem documents (RFC 9457), one stable `type` a cause, every fault with a JSON pointer.

A client switches on `type`; `title` is for people; `errors` lists what to mend. What a caller sent is never repeated.
`docs/api.md` shows the same table; a test holds them together.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from engine.intake.faults import Fault

MEDIA_TYPE = b"application/problem+json"
TYPE_PREFIX = "urn:klokke:problem:"
FAULTS_SHOWN_MAX = 200  # a batch of 1,000 with the same slip would answer megabytes

PROBLEMS: dict[str, tuple[int, str]] = {
    "malformed-json": (400, "The body is not JSON that every reader understands alike"),
    "malformed-request": (400, "The request is not one that this address can read"),
    "invalid-key": (400, "The event's id or source cannot serve as its idempotency key"),
    "unauthorized": (401, "An API key is needed"),
    "forbidden": (403, "This API key may not do that"),
    "not-found": (404, "There is no such thing, or not for this API key"),
    "method-not-allowed": (405, "This address does not know that method"),
    "not-acceptable": (406, "Answers are JSON"),
    "too-slow": (408, "The request did not arrive in time"),
    "body-too-large": (413, "The body is too large"),
    "unsupported-media-type": (415, "The body has a type or an encoding that is not taken here"),
    "invalid": (422, "The request does not fit its schema"),
    "idempotency-mismatch": (422, "This source and id were used before for other content"),
    "rate-limit": (429, "Too many events a second"),
    "quota": (429, "The day's events are used up"),
    "headers-too-large": (431, "The request headers are too large"),
    "internal": (500, "Something is wrong in the engine"),
    "overloaded": (503, "The engine is busy; less urgent events wait first"),
    "store-unavailable": (503, "The store does not answer; nothing was confirmed"),
    "stopping": (503, "The engine is stopping"),
}


class ProblemBody(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A problem document. `errors` holds at most 200 faults; `errors_left_out` counts the others."""

    type: str
    title: str
    status: int
    detail: str | None = None
    instance: str | None = None
    errors: tuple[Fault, ...] = ()
    errors_left_out: int = 0
    results: tuple[dict[str, str] | None, ...] = ()


class Problem(Exception):
    """Raised by a handler to answer with a problem document.

    Args:
        name: a key of `PROBLEMS`.
        detail: one sentence with the remedy; it must hold nothing that the caller sent.
        headers: further headers of the answer, such as `Retry-After`.
    """

    def __init__(
        self,
        name: str,
        detail: str | None = None,
        *,
        errors: Sequence[Fault] = (),
        headers: Sequence[tuple[bytes, bytes]] = (),
        instance: str | None = None,
        results: Sequence[dict[str, str] | None] = (),
        close: bool = False,
    ) -> None:
        super().__init__(name)
        self.name = name
        self.status, self.title = PROBLEMS[name]
        self.detail = detail
        self.errors = tuple(errors)
        self.headers = tuple(headers)
        self.instance = instance
        self.results = tuple(results)
        self.close = close  # the rest of the request is not read: the connection ends with the answer

    def body(self) -> bytes:
        """The document as JSON."""
        return msgspec.json.encode(
            ProblemBody(
                type=TYPE_PREFIX + self.name,
                title=self.title,
                status=self.status,
                detail=self.detail,
                instance=self.instance,
                errors=self.errors[:FAULTS_SHOWN_MAX],
                errors_left_out=max(0, len(self.errors) - FAULTS_SHOWN_MAX),
                results=self.results,
            )
        )


def invalid(errors: Sequence[Fault]) -> Problem:
    """422 with every fault."""
    return Problem("invalid", "Mend every entry of errors.", errors=errors)


def retry_after(seconds: int) -> tuple[tuple[bytes, bytes], ...]:
    """The header that says when to come back."""
    return ((b"retry-after", str(seconds).encode()),)
