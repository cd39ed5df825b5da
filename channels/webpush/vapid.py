"""Who sends, for one push service: a token that our key signs, valid for hours (VAPID, RFC 8292).

The `aud` claim is the push service's origin, so each lane has a token of its own, whatever lanes share the key.
"""

from __future__ import annotations

import time
from base64 import urlsafe_b64encode
from collections.abc import Callable

import jwt
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from channels.signed_token import SignedToken, load_p256

LIFE_SECONDS = 12 * 3_600  # RFC 8292 section 2: at most 24 hours; half of it forgives a clock that is far off
RENEW_AFTER_SECONDS = 6 * 3_600
_KEY_FAULT = "vapid_key_file: not an unencrypted P-256 key in PEM; ./klokke vapid makes one"


class VapidToken(SignedToken):
    """Signs and keeps the token of one origin; see `SignedToken`.

    Raises ValueError for a key that is no P-256 key or a contact that is neither `mailto:` nor `https:`.
    """

    def __init__(
        self, private_key_pem: str | bytes, origin: str, subject: str, now: Callable[[], float] = time.time
    ) -> None:
        super().__init__(RENEW_AFTER_SECONDS, now)
        if not subject.startswith(("mailto:", "https://")) or len(subject) < 10:
            raise ValueError("subject: must be a mailto: or https:// contact of the operator (RFC 8292)")
        key = load_p256(private_key_pem, _KEY_FAULT)
        point = key.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
        self.application_server_key = urlsafe_b64encode(point).rstrip(b"=").decode()  # what browsers subscribe with
        self._key = key
        self._origin = origin
        self._subject = subject

    def _signed(self, now_seconds: int) -> bytes:
        claims = {"aud": self._origin, "exp": now_seconds + LIFE_SECONDS, "sub": self._subject}
        token = jwt.encode(claims, self._key, algorithm="ES256")
        return f"vapid t={token}, k={self.application_server_key}".encode()
