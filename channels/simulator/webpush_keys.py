"""A simulated browser: its keys follow from its name, and it opens what was encrypted for it. Pure.

The rule, so that a population can be made without asking the simulator (`docs/webpush.md` has it too):

    private key   1 + (BLAKE2b-512 of "klokke-webpush-key:" and the name, as a big-endian number, modulo n - 1)
    secret        the 16-byte BLAKE2b of "klokke-webpush-auth:" and the name
    endpoint      <origin>/push/<name>; a name has 8 to 200 letters of base64url

n is the order of P-256. Sources: RFC 8291 (keys), RFC 8188 (aes128gcm).
"""

from __future__ import annotations

import hashlib
from base64 import urlsafe_b64encode
from typing import NamedTuple

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

_ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
_SALT_BYTES, _HEAD_BYTES, _TAG_BYTES, _POINT_BYTES = 16, 21, 16, 65
_BROWSERS_KEPT_MAX = 50_000


class Browser(NamedTuple):
    """The receiving end of one subscription."""

    private: ec.EllipticCurvePrivateKey
    point: bytes
    secret: bytes


class Undecryptable(Exception):
    """The body is not one record of aes128gcm for this browser; the text says what is wrong with it."""


def browser(name: bytes) -> Browser:
    """Derive a browser from its name."""
    drawn = hashlib.blake2b(b"klokke-webpush-key:" + name).digest()
    private = ec.derive_private_key(1 + int.from_bytes(drawn, "big") % (_ORDER - 1), ec.SECP256R1())
    point = private.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
    return Browser(private, point, hashlib.blake2b(b"klokke-webpush-auth:" + name, digest_size=16).digest())


def subscription(origin: str, name: str) -> dict[str, object]:
    """What `PushSubscription.toJSON()` says in this browser."""
    found = browser(name.encode())
    keys = {"p256dh": _text(found.point), "auth": _text(found.secret)}
    return {"endpoint": f"{origin}/push/{name}", "expirationTime": None, "keys": keys}


def _text(key: bytes) -> str:
    return urlsafe_b64encode(key).rstrip(b"=").decode()


class Browsers:
    """Opens messages for any name; deriving a key costs as much as opening, so some are kept."""

    def __init__(self) -> None:
        self._known: dict[bytes, Browser] = {}

    def open(self, name: bytes, body: bytes) -> bytes:
        """Decrypt one message.

        Raises:
            Undecryptable: see there.
        """
        found = self._known.get(name)
        if found is None:
            if len(self._known) >= _BROWSERS_KEPT_MAX:
                self._known.clear()
            found = self._known[name] = browser(name)
        return decrypt(found, body)


def decrypt(receiver: Browser, body: bytes) -> bytes:
    """Open one record of aes128gcm, padding taken off.

    Raises:
        Undecryptable: see there.
    """
    if len(body) < _HEAD_BYTES + _POINT_BYTES + _TAG_BYTES + 1:
        raise Undecryptable("too short for a record")
    salt, record_bytes, id_bytes = body[:_SALT_BYTES], int.from_bytes(body[16:20], "big"), body[20]
    if id_bytes != _POINT_BYTES:
        raise Undecryptable("the key id is not a public key of 65 bytes")
    point, record = body[_HEAD_BYTES : _HEAD_BYTES + id_bytes], body[_HEAD_BYTES + id_bytes :]
    if record_bytes < 18 or len(record) > record_bytes:
        raise Undecryptable("more than one record, or a record size below 18")
    try:
        theirs = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), point)
    except ValueError:
        raise Undecryptable("the key id is no point of P-256") from None
    info = b"WebPush: info\x00" + receiver.point + point
    material = HKDF(SHA256(), 32, receiver.secret, info).derive(receiver.private.exchange(ec.ECDH(), theirs))
    key = HKDF(SHA256(), 16, salt, b"Content-Encoding: aes128gcm\x00").derive(material)
    nonce = HKDF(SHA256(), 12, salt, b"Content-Encoding: nonce\x00").derive(material)
    try:
        padded = AESGCM(key).decrypt(nonce, record, None)
    except InvalidTag:
        raise Undecryptable("the record cannot be decrypted with this browser's keys") from None
    text = padded.rstrip(b"\x00")
    if text[-1:] != b"\x02":
        raise Undecryptable("the last record does not end in its delimiter")
    return text[:-1]
