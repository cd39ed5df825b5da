"""Browsers' push subscriptions whose keys the simulated push service can derive from the name (docs/webpush.md).

Written from that page, apart from the simulator: a mistake on either side shows as messages that cannot be opened.
"""

from __future__ import annotations

from base64 import urlsafe_b64encode
from hashlib import blake2b

from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, derive_private_key
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

_ORDER_OF_P256 = 115792089210356248762697446949407573529996955224135760342422259061068512044369


def web_device(app: str, origin: str, name: str) -> str:
    """Spell a browser as a device of a person's line. About 25 us, a key pair for the most part."""
    spelled = name.encode()
    number = int.from_bytes(blake2b(b"klokke-webpush-key:" + spelled).digest(), "big") % (_ORDER_OF_P256 - 1) + 1
    public = derive_private_key(number, SECP256R1()).public_key()
    point = _base64url(public.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint))
    secret = _base64url(blake2b(b"klokke-webpush-auth:" + spelled, digest_size=16).digest())
    keys = f'"keys":{{"p256dh":"{point}","auth":"{secret}"}}'
    return f'{{"platform":"web","app":"{app}","subscription":{{"endpoint":"{origin}/push/{name}",{keys}}}}}'


def _base64url(data: bytes) -> str:
    return urlsafe_b64encode(data).rstrip(b"=").decode()
