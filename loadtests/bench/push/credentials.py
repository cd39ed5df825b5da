"""Keys of a benchmark's senders, made anew for each run in its own temporary folder."""

from __future__ import annotations

from pathlib import Path

from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

APNS_KEY, FCM_KEY = "apns.p8", "fcm.pem"


def make(folder: Path) -> None:
    """Write an APNs signing key and a service account's key."""
    for name, key in (
        (APNS_KEY, ec.generate_private_key(ec.SECP256R1())),
        (FCM_KEY, rsa.generate_private_key(65_537, 2_048)),
    ):
        (folder / name).write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
