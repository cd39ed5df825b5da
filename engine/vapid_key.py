"""The key that push services of browsers know us by (VAPID, RFC 8292): made once, kept for good."""

from __future__ import annotations

import os
from base64 import urlsafe_b64encode
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePrivateKey, generate_private_key
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)


class KeyFileFaulty(Exception):
    """The file holds something else; the text says what to do, and nothing of the content."""


def read_or_make(path: Path) -> tuple[bool, str]:
    """Read the key file, or make it: whether it was made, and the public key in base64url as browsers want it.

    Raises:
        KeyFileFaulty: it holds no unencrypted P-256 key.
        OSError: it cannot be read or written.
    """
    try:
        file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return False, _public(_read(path))
    key = generate_private_key(SECP256R1())
    with os.fdopen(file, "wb") as opened:
        opened.write(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    return True, _public(key)


def _read(path: Path) -> EllipticCurvePrivateKey:
    try:
        key = load_pem_private_key(path.read_bytes(), password=None)
    except (ValueError, TypeError):
        key = None
    if not isinstance(key, EllipticCurvePrivateKey) or not isinstance(key.curve, SECP256R1):
        raise KeyFileFaulty(f"{path} is there and holds no unencrypted P-256 key; give another name") from None
    return key


def _public(key: EllipticCurvePrivateKey) -> str:
    point = key.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
    return urlsafe_b64encode(point).rstrip(b"=").decode()
