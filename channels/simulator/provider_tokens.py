"""Checks the signed tokens that senders show: APNs provider tokens (ES256) and OAuth assertions (RS256).

Pure: the time is an argument. Without a public key everything but the signature is checked.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jwt
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.serialization import load_pem_public_key

PublicKey = EllipticCurvePublicKey | RSAPublicKey


class KeyFault(Exception):
    """The public key file cannot be used; the text says why and what to give instead."""


def read_public_key(path: Path, algorithm: str) -> PublicKey:
    """Read a PEM public key fit for ES256 (P-256) or RS256 (RSA).

    Raises:
        KeyFault: no file, not a public key in PEM, or a key of the other kind.
    """
    try:
        key = load_pem_public_key(path.read_bytes())
    except OSError as error:
        raise KeyFault(f"{path}: cannot be read: {error.strerror}") from None
    except (ValueError, UnsupportedAlgorithm):
        raise KeyFault(f"{path}: not a public key in PEM (openssl pkey -pubout makes one)") from None
    if algorithm == "ES256" and isinstance(key, EllipticCurvePublicKey) and key.curve.name == "secp256r1":
        return key
    if algorithm == "RS256" and isinstance(key, RSAPublicKey):
        return key
    raise KeyFault(f"{path}: {algorithm} needs {'a P-256' if algorithm == 'ES256' else 'an RSA'} public key")


def read_token(token: str, algorithm: str, key: PublicKey | None) -> tuple[Mapping[str, Any], Mapping[str, Any]] | None:
    """Open a JWT: its header and claims; None when it is malformed, of another algorithm, or wrongly signed.

    Times are the caller's to judge: this reads no clock.
    """
    try:
        header = jwt.get_unverified_header(token)
        if header.get("alg") != algorithm:
            return None
        unchecked = {"verify_exp": False, "verify_nbf": False, "verify_iat": False, "verify_aud": False}
        options: Any = {"verify_signature": key is not None, **unchecked}
        claims = jwt.decode(token, key=key or "", algorithms=[algorithm], options=options)
    except (jwt.PyJWTError, ValueError, TypeError):
        return None
    return header, claims
