"""The provider token of APNs: a JWT that our key signs, shared by every connection and lane that uses the key.

Source: Apple, "Establishing a token-based connection to APNs": renew not more often than every 20 minutes and at
least every 60. Too often gives 429 TooManyProviderTokenUpdates, too seldom 403 ExpiredProviderToken.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import jwt

from channels.signed_token import SignedToken, load_p256

RENEW_AFTER_SECONDS = 40 * 60
_KEY_FAULT = "private_key_pem: not an unencrypted P-256 key in PEM; use the .p8 file from Apple"


class ProviderToken(SignedToken):
    """Signs and keeps one token; see `SignedToken`. Raises ValueError for a key that is none."""

    def __init__(
        self, private_key_pem: str | bytes, key_id: str, team_id: str, now: Callable[[], float] = time.time
    ) -> None:
        super().__init__(RENEW_AFTER_SECONDS, now)
        self._key = load_p256(private_key_pem, _KEY_FAULT)
        self._key_id = key_id
        self._team_id = team_id

    def _signed(self, now_seconds: int) -> bytes:
        claims = {"iss": self._team_id, "iat": now_seconds}
        return b"bearer " + jwt.encode(claims, self._key, algorithm="ES256", headers={"kid": self._key_id}).encode()
