"""A token that we sign ourselves and show with every request: kept, renewed ahead, and once more when it is refused."""

from __future__ import annotations

from collections.abc import Callable

from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key

RENEW_AGAIN_SECONDS = 20 * 60  # Apple: "not more often than every 20 minutes"; nobody asks for more


class SignedToken:
    """Keeps one value of `authorization`. Signing awaits nothing, so a storm of refusals can make only one renewal."""

    def __init__(self, renew_after_seconds: float, now: Callable[[], float]) -> None:
        self._renew_after_seconds = renew_after_seconds
        self._now = now
        self._header = b""
        self._signed_at = 0.0
        self._refused_at: float | None = None

    def header(self) -> bytes:
        """The value of `authorization`, signed anew when it is old."""
        age = self._now() - self._signed_at
        if not self._header or not 0 <= age < self._renew_after_seconds:  # below 0: our clock was set back
            self._renew()
        return self._header

    def renew_refused(self, used: bytes) -> bool:
        """`used` was refused: is there now another one to try? False: an operator must look.

        Only the first refusal of a token renews it, and not a second time within 20 minutes.
        """
        if used != self._header:
            return True
        now = self._now()
        if self._refused_at is not None and 0 <= now - self._refused_at < RENEW_AGAIN_SECONDS:
            return False
        self._refused_at = now
        self._renew()
        return True

    def _renew(self) -> None:
        self._signed_at = self._now()
        self._header = self._signed(int(self._signed_at))

    def _signed(self, now_seconds: int) -> bytes:
        """Sign anew; each kind of token says how."""
        raise NotImplementedError


def load_p256(private_key_pem: str | bytes, fault: str) -> EllipticCurvePrivateKey:
    """Read an unencrypted P-256 key in PEM; ValueError with the sentence `fault` where it is none."""
    pem = private_key_pem.encode() if isinstance(private_key_pem, str) else private_key_pem
    try:
        key = load_pem_private_key(pem, password=None)
    except (ValueError, TypeError):
        key = None
    if not isinstance(key, EllipticCurvePrivateKey) or not isinstance(key.curve, SECP256R1):
        raise ValueError(fault) from None  # `from None`: what the parser says could hold parts of the key
    return key
