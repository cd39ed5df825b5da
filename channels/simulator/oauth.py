"""The simulated token endpoint of Google OAuth 2.0: `POST /token` with a signed assertion (RFC 7523).

Checks the assertion by Google's rules ("Using OAuth 2.0 for Server to Server Applications"): RS256, issuer, the
messaging scope, the audience, at most an hour long. Gives tokens that live `--token-seconds`.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable
from typing import Any, NamedTuple
from urllib.parse import parse_qs

import msgspec

from channels.simulator.answers import Answer
from channels.simulator.fcm_rules import SCOPE
from channels.simulator.provider_tokens import PublicKey, read_token

GRANT = "urn:ietf:params:oauth:grant-type:jwt-bearer"
ASSERTION_SECONDS_MAX = 3600
SKEW_SECONDS = 300
_JSON = ((b"content-type", b"application/json; charset=utf-8"),)
_TOKENS_KEPT_MAX = 10_000


class OAuthFault(NamedTuple):
    """An RFC 6749 error: its code and a sentence."""

    error: str
    why: str


def judge_form(body: bytes) -> str | OAuthFault:
    """Read the form of a token request; gives the assertion."""
    try:
        form = parse_qs(body.decode("ascii"), strict_parsing=True)
    except ValueError:
        return OAuthFault("invalid_request", "the body is not a form")
    if form.get("grant_type") != [GRANT]:
        return OAuthFault("unsupported_grant_type", f"grant_type must be {GRANT}")
    assertion = form.get("assertion", [])
    return assertion[0] if len(assertion) == 1 else OAuthFault("invalid_request", "exactly one assertion is needed")


def judge_assertion(
    assertion: str, key: PublicKey | None, is_ours: Callable[[str], bool], now: float
) -> OAuthFault | None:
    """Judge a signed assertion; `is_ours` says whether an audience is this endpoint, `now` is unix seconds."""
    opened = read_token(assertion, "RS256", key)
    if opened is None:
        return OAuthFault("invalid_grant", "Invalid JWT Signature.")
    _, claims = opened
    issued, ends = claims.get("iat"), claims.get("exp")
    if not claims.get("iss") or not isinstance(issued, int | float) or not isinstance(ends, int | float):
        return OAuthFault("invalid_grant", "Invalid JWT: iss, iat and exp are needed.")
    if not is_ours(str(claims.get("aud"))):
        return OAuthFault("invalid_grant", "Invalid JWT: aud must be this token endpoint.")
    if SCOPE not in str(claims.get("scope", "")).split():
        return OAuthFault("invalid_scope", f"the scope {SCOPE} is needed")
    if ends - issued > ASSERTION_SECONDS_MAX or issued > now + SKEW_SECONDS or ends <= now - SKEW_SECONDS:
        return OAuthFault("invalid_grant", "Invalid JWT: iat and exp must span at most an hour around now.")
    return None


class OAuth:
    """Gives access tokens and knows which are good."""

    def __init__(self, key: PublicKey | None, token_seconds: float, is_ours: Callable[[str], bool]) -> None:
        self._key, self._seconds, self._is_ours = key, token_seconds, is_ours
        self._ends: dict[str, float] = {}

    def until(self, token: str) -> float | None:
        """When a token ends (unix seconds; it may be over); None when it is not one of ours."""
        return self._ends.get(token)

    def answer(self, body: bytes, now: float) -> Answer:
        """Answer one token request."""
        assertion = judge_form(body)
        fault = assertion if isinstance(assertion, OAuthFault) else None
        if isinstance(assertion, str):
            fault = judge_assertion(assertion, self._key, self._is_ours, now)
        if fault is not None:
            return _json(400, {"error": fault.error, "error_description": fault.why})
        if len(self._ends) >= _TOKENS_KEPT_MAX:
            self._ends = {token: ends for token, ends in self._ends.items() if ends > now}
        token = "ya29." + secrets.token_urlsafe(60)
        self._ends[token] = now + self._seconds
        return _json(200, {"access_token": token, "expires_in": int(self._seconds), "token_type": "Bearer"})


def _json(status: int, content: dict[str, Any]) -> Answer:
    return Answer(status, _JSON, msgspec.json.encode(content))
