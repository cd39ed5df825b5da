"""Errors as problem documents (RFC 9457): what was wrong, and the remedy."""

from __future__ import annotations

from http import HTTPStatus

import msgspec


class Problem(Exception):
    """An answer that is an error. Raise it anywhere while a request is answered.

    Args:
        detail: one sentence for the caller's developer; names the field or header, never a secret.
        headers: what the status asks for: Allow, Retry-After, WWW-Authenticate.
    """

    def __init__(self, status: int, detail: str, **headers: str) -> None:
        super().__init__(detail)
        self.status = status
        self.headers = {name.replace("_", "-"): value for name, value in headers.items()}

    def document(self) -> bytes:
        title = HTTPStatus(self.status).phrase
        return msgspec.json.encode({"type": "about:blank", "title": title, "status": self.status, "detail": str(self)})


def unauthorized(detail: str) -> Problem:
    return Problem(401, detail, WWW_Authenticate='Bearer realm="inbox"')
