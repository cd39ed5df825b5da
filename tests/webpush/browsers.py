"""Browsers for the tests: made here, and messages opened here, from the RFCs and from nothing of ours.

The decryptor writes HKDF out by hand on `hmac`, and works on records as RFC 8188 describes them.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from functools import cache
from typing import Any, NamedTuple

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from engine.records.person import Device, Subscription, SubscriptionKeys
from engine.records.web_push import pack
from engine.records.words import Platform

CURVE = ec.SECP256R1()


def b64(data: bytes) -> str:
    return urlsafe_b64encode(data).rstrip(b"=").decode()


def unb64(text: str) -> bytes:
    return urlsafe_b64decode(text + "=" * (-len(text) % 4))


class Browser(NamedTuple):
    private: ec.EllipticCurvePrivateKey
    secret: bytes

    @property
    def point(self) -> bytes:
        return self.private.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)

    def subscription(self, endpoint: str) -> Subscription:
        return Subscription(endpoint=endpoint, keys=SubscriptionKeys(p256dh=b64(self.point), auth=b64(self.secret)))

    def device(self, endpoint: str, app: str = "parent") -> Device:
        return Device(platform=Platform.WEB, app=app, subscription=self.subscription(endpoint))

    def address(self, endpoint: str, app: str = "parent") -> bytes:
        return pack(app, self.subscription(endpoint))

    def open(self, body: bytes) -> bytes:
        """Decrypt one message (RFC 8291 section 3.4, RFC 8188 section 2)."""
        salt, record_bytes, id_bytes = body[:16], int.from_bytes(body[16:20], "big"), body[20]
        sender, record = body[21 : 21 + id_bytes], body[21 + id_bytes :]
        assert len(record) <= record_bytes, "one record only"
        agreed = self.private.exchange(ec.ECDH(), ec.EllipticCurvePublicKey.from_encoded_point(CURVE, sender))
        material = _hkdf(self.secret, agreed, b"WebPush: info\0" + self.point + sender, 32)
        key = _hkdf(salt, material, b"Content-Encoding: aes128gcm\0", 16)
        nonce = _hkdf(salt, material, b"Content-Encoding: nonce\0", 12)
        text, delimiter, padding = AESGCM(key).decrypt(nonce, record, None).rpartition(b"\2")
        assert delimiter
        assert not padding.strip(b"\0")
        return text

    def told(self, body: bytes) -> dict[str, Any]:
        message = json.loads(self.open(body))
        assert isinstance(message, dict)
        return message


def _hkdf(salt: bytes, material: bytes, info: bytes, length: int) -> bytes:
    extracted = hmac.new(salt, material, hashlib.sha256).digest()
    return hmac.new(extracted, info + b"\1", hashlib.sha256).digest()[:length]


@cache
def browser(number: int = 0) -> Browser:
    """A browser of its own for each number."""
    return Browser(ec.derive_private_key(7 + 1_000_003 * number, CURVE), hashlib.sha256(b"%d" % number).digest()[:16])


@cache
def vapid_key() -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(CURVE)


def vapid_pem() -> bytes:
    return vapid_key().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def application_key() -> str:
    return b64(vapid_key().public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint))
