"""Encrypts a message for one browser: RFC 8291 (keys) over RFC 8188 (aes128gcm), a single record.

Every message has an ephemeral key and a salt of its own, as RFC 8291 section 3 asks. That is what a web push costs:
about 60 us of CPU, two thirds of it the Diffie-Hellman product; everything that does not depend on the message
stands outside of `seal`. The `cryptography` package holds Python's lock meanwhile, so worker threads gain nothing
(docs/decisions/0010 has the figures); the caller lets other tasks run in between.
"""

from __future__ import annotations

import hmac
import os

from cryptography.hazmat.primitives.asymmetric.ec import (
    ECDH,
    SECP256R1,
    EllipticCurvePrivateKey,
    EllipticCurvePublicKey,
    generate_private_key,
)
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

BODY_BYTES_MAX = 4096  # RFC 8030 section 7.2: what every push service takes
OVERHEAD_BYTES = 16 + 4 + 1 + 65 + 1 + 16  # salt, record size, key length, our key; delimiter; tag
PLAIN_BYTES_MAX = BODY_BYTES_MAX - OVERHEAD_BYTES  # 3,993
PAD_STEP_BYTES = 512
"""Messages are padded to a multiple of this: most have the same length then, and cost 0.1 us more."""

_CURVE = SECP256R1()
_HEAD = BODY_BYTES_MAX.to_bytes(4, "big") + b"\x41"  # record size, then the length of our key that follows
_KEY_INFO = b"WebPush: info\x00"
_CONTENT_INFO = b"Content-Encoding: aes128gcm\x00\x01"
_NONCE_INFO = b"Content-Encoding: nonce\x00\x01"
_LAST_RECORD = b"\x02"


def padded_bytes(plain_bytes: int) -> int:
    """How long the plain text of a record becomes."""
    steps = -(-plain_bytes // PAD_STEP_BYTES)
    return min(max(1, steps) * PAD_STEP_BYTES, PLAIN_BYTES_MAX)


def encrypt(plain: bytes, point: bytes, secret: bytes) -> bytes:
    """Encrypt one message for the browser with this public key (65 bytes) and secret (16 bytes); gives the body.

    Raises:
        ValueError: the point is none of P-256, or the text is longer than 3,993 bytes.
    """
    return seal(plain, point, secret, generate_private_key(_CURVE), os.urandom(16), padded_bytes(len(plain)))


def seal(
    plain: bytes, point: bytes, secret: bytes, ours: EllipticCurvePrivateKey, salt: bytes, padded_to: int
) -> bytes:
    """As `encrypt`, with everything that is drawn given: for the test vector of RFC 8291."""
    if len(plain) > PLAIN_BYTES_MAX:
        raise ValueError("the text does not fit one record")
    theirs = EllipticCurvePublicKey.from_encoded_point(_CURVE, point)
    our_point = ours.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
    # HKDF (RFC 5869) written out: each output needs one block, so expanding is one HMAC over info and 0x01.
    shared = hmac.digest(secret, ours.exchange(ECDH(), theirs), "sha256")
    material = hmac.digest(shared, b"%b%b%b\x01" % (_KEY_INFO, point, our_point), "sha256")
    extracted = hmac.digest(salt, material, "sha256")
    key = hmac.digest(extracted, _CONTENT_INFO, "sha256")[:16]
    nonce = hmac.digest(extracted, _NONCE_INFO, "sha256")[:12]
    record = (plain + _LAST_RECORD).ljust(padded_to + 1, b"\x00")
    return b"%b%b%b%b" % (salt, _HEAD, our_point, AESGCM(key).encrypt(nonce, record, None))
