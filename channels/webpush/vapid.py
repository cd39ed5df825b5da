"""Who sends, for one push service: a token that our key signs, valid for hours (VAPID, RFC 8292).

The `aud` claim is the push service's origin, so each lane has a token of its own, whatever lanes share the key.
"""

from __future__ import annotations

import time
from base64 import urlsafe_b64encode
from collections.abc import Callable

import jwt
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key

LIFE_SECONDS = 12 * 3_600  # RFC 8292 section 2: at most 24 hours; half of it forgives a clock that is far off
RENEW_AFTER_SECONDS = 6 * 3_600
RENEW_AGAIN_SECONDS = 20 * 60


class VapidToken:
    """Signs and keeps the token of one origin. Signing awaits nothing: a storm of refusals makes one renewal.

    Raises ValueError for a key that is no P-256 key or a contact that is neither `mailto:` nor `https:`.
    """

    def __init__(
        self, private_key_pem: str | bytes, origin: str, subject: str, now: Callable[[], float] = time.time
    ) -> None:
        if not subject.startswith(("mailto:", "https://")) or len(subject) < 10:
            raise ValueError("subject: must be a mailto: or https:// contact of the operator (RFC 8292)")
        self._key = _load(private_key_pem)
        self._origin = origin
        self._subject = subject
        self._now = now
        self._header = b""
        self._signed_at = 0.0
        self._refused_at: float | None = None

    @property
    def application_server_key(self) -> str:
        """What a web app gives to `pushManager.subscribe`: the public key in base64url."""
        return application_server_key(self._key)

    def header(self) -> bytes:
        """The value of `authorization`, signed anew long before it ends."""
        age = self._now() - self._signed_at
        if not self._header or not 0 <= age < RENEW_AFTER_SECONDS:  # below 0: our clock was set back
            self._sign()
        return self._header

    def renew_refused(self, used: bytes) -> bool:
        """`used` was refused: is there now another one to try? Only once in 20 minutes a new one is made."""
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
        claims = {"aud": self._origin, "exp": int(self._signed_at) + LIFE_SECONDS, "sub": self._subject}
        token = jwt.encode(claims, self._key, algorithm="ES256")
        self._header = f"vapid t={token}, k={self.application_server_key}".encode()


def application_server_key(key: EllipticCurvePrivateKey) -> str:
    """Spell the public half of a key as browsers want it."""
    point = key.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
    return urlsafe_b64encode(point).rstrip(b"=").decode()


def _load(private_key_pem: str | bytes) -> EllipticCurvePrivateKey:
    pem = private_key_pem.encode() if isinstance(private_key_pem, str) else private_key_pem
    try:
        key = load_pem_private_key(pem, password=None)
    except (ValueError, TypeError):
        key = None
    if not isinstance(key, EllipticCurvePrivateKey) or not isinstance(key.curve, SECP256R1):
        # `from None`: what the parser says could hold parts of the key
        raise ValueError("vapid_key_file: not an unencrypted P-256 key in PEM; ./klokke vapid makes one") from None
    return key
