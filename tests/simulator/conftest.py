"""Keys made for the session, and senders' credentials made of them."""

from __future__ import annotations

import ssl
import time
from collections.abc import Callable
from pathlib import Path

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

KEY_ID, TEAM_ID, TOPIC = "KEY0123456", "TEAM012345", "dk.klokke.app"

Key = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey


class KeyPair:
    """A private key in PEM and the file of its public half."""

    def __init__(self, key: Key, folder: Path, name: str) -> None:
        pkcs8, plain = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        self.private = key.private_bytes(serialization.Encoding.PEM, pkcs8, plain).decode()
        spki = serialization.PublicFormat.SubjectPublicKeyInfo
        self.public_file = folder / f"{name}.pub"
        self.public_file.write_bytes(key.public_key().public_bytes(serialization.Encoding.PEM, spki))


@pytest.fixture(scope="session")
def ec_key(tmp_path_factory: pytest.TempPathFactory) -> KeyPair:
    return KeyPair(ec.generate_private_key(ec.SECP256R1()), tmp_path_factory.mktemp("ec"), "apns")


@pytest.fixture(scope="session")
def rsa_key(tmp_path_factory: pytest.TempPathFactory) -> KeyPair:
    return KeyPair(rsa.generate_private_key(65_537, 2048), tmp_path_factory.mktemp("rsa"), "fcm")


@pytest.fixture(scope="session")
def bearer(ec_key: KeyPair) -> Callable[..., str]:
    """Makes a right APNs provider token as `authorization` wants it, issued now or when told."""

    def make(issued: float | None = None) -> str:
        claims = {"iss": TEAM_ID, "iat": int(time.time() if issued is None else issued)}
        return "bearer " + jwt.encode(claims, ec_key.private, "ES256", headers={"kid": KEY_ID})

    return make


def trusting(ca_file: Path) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=str(ca_file))
