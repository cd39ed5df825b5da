"""A browser's push subscription as the store keeps it and as its lane's sender reads it.

    65 bytes  the browser's public key, a P-256 point (X9.62, uncompressed)
    16 bytes  the browser's secret
    the app, a space, the endpoint's URL

The origin stays in there, although the lane has it too: 30 bytes more, and a lane whose origin was changed by mistake
can neither send one push service's addresses to another nor lose them.
"""

from __future__ import annotations

from base64 import urlsafe_b64decode, urlsafe_b64encode
from typing import NamedTuple

from engine.records.person import Device, Subscription, SubscriptionKeys
from engine.records.words import Platform

POINT_BYTES = 65
SECRET_BYTES = 16
_KEYS_BYTES = POINT_BYTES + SECRET_BYTES


class WebAddress(NamedTuple):
    """A subscription, taken apart."""

    point: bytes
    secret: bytes
    app: str
    endpoint: str


def key_bytes(text: str) -> bytes:
    """Read base64url, with or without padding; the letters were checked before."""
    return urlsafe_b64decode(text.rstrip("=") + "=" * (-len(text.rstrip("=")) % 4))


def pack(app: str, subscription: Subscription) -> bytes:
    """Spell a subscription as the store keeps it."""
    keys = subscription.keys
    return b"%b%b%b %b" % (key_bytes(keys.p256dh), key_bytes(keys.auth), app.encode(), subscription.endpoint.encode())


def unpack(address: bytes) -> WebAddress:
    """Take a stored subscription apart.

    Raises:
        ValueError: it is none; the text does not hold it.
    """
    app, space, endpoint = address[_KEYS_BYTES:].partition(b" ")
    if not space or not (app + endpoint).isascii():
        raise ValueError("not a stored subscription")
    return WebAddress(address[:POINT_BYTES], address[POINT_BYTES:_KEYS_BYTES], app.decode(), endpoint.decode())


def device_of(address: bytes) -> Device:
    """Make the device that `pack` was given; ValueError where it is none."""
    point, secret, app, endpoint = unpack(address)
    keys = SubscriptionKeys(p256dh=_text(point), auth=_text(secret))
    return Device(platform=Platform.WEB, app=app, subscription=Subscription(endpoint=endpoint, keys=keys))


def _text(key: bytes) -> str:
    return urlsafe_b64encode(key).rstrip(b"=").decode()
