"""The provider token of APNs: a JWT that our key signs, shared by every connection and lane that uses the key.

Source: Apple, "Establishing a token-based connection to APNs": renew not more often than every 20 minutes and at
least every 60. Too often gives 429 TooManyProviderTokenUpdates, too seldom 403 ExpiredProviderToken.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import jwt
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key

RENEW_AFTER_SECONDS = 40 * 60
RENEW_AGAIN_SECONDS = 20 * 60


class ProviderToken:
    """Signs and keeps one token. Signing awaits nothing, so a storm of refusals can make only one renewal."""

    def __init__(
        self, private_key_pem: str | bytes, key_id: str, team_id: str, now: Callable[[], float] = time.time
    ) -> None:
        self._key = _load(private_key_pem)
        self._key_id = key_id
        self._team_id = team_id
        self._now = now
        self._header = b""
        self._signed_at = 0.0
        self._refused_at: float | None = None

    def header(self) -> bytes:
        """The value of `authorization`, signed anew when it is 40 minutes old."""
        age = self._now() - self._signed_at
        if not self._header or not 0 <= age < RENEW_AFTER_SECONDS:  # below 0: our clock was set back
            self._sign()
        return self._header

    def renew_refused(self, used: bytes) -> bool:
        """`used` was refused as expired: is there now another one to try? False: an operator must look.

        Only the first refusal of a token renews it, and not a second time within 20 minutes.
        """
        if used != self._header:
            return True
        now = self._now()
        if self._refused_at is not None and 0 <= now - self._refused_at < RENEW_AGAIN_SECONDS:
            return False
        self._refused_at = now
        self._sign()
        return True

    def _sign(self) -> None:
        self._signed_at = self._now()
        claims = {"iss": self._team_id, "iat": int(self._signed_at)}
        token = jwt.encode(claims, self._key, algorithm="ES256", headers={"kid": self._key_id})
        self._header = b"bearer " + token.encode()


def _load(private_key_pem: str | bytes) -> EllipticCurvePrivateKey:
    pem = private_key_pem.encode() if isinstance(private_key_pem, str) else private_key_pem
    try:
        key = load_pem_private_key(pem, password=None)
    except (ValueError, TypeError):
        key = None
    if not isinstance(key, EllipticCurvePrivateKey) or not isinstance(key.curve, SECP256R1):
        # `from None`: what the parser says could hold parts of the key
        raise ValueError("private_key_pem: not an unencrypted P-256 key in PEM; use the .p8 file from Apple") from None
    return key
