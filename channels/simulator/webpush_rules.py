"""The rules that push services publish for one request. Pure; the time is an argument.

Sources: RFC 8030 (TTL, Urgency, Topic, 4,096 bytes), RFC 8188 (Content-Encoding), RFC 8292 (VAPID), and autopush's
error page for statuses. A real push service cannot look into the message; this one does, to find senders' mistakes.
"""

from __future__ import annotations

import re
from base64 import urlsafe_b64decode
from collections.abc import Callable, Mapping
from typing import NamedTuple

from cryptography.hazmat.primitives.asymmetric import ec

from channels.simulator.provider_tokens import read_token

BODY_BYTES_MAX = 4096
TTL_SECONDS_MAX = 2_592_000
JWT_SECONDS_MAX = 24 * 3_600

_URGENCIES = (b"very-low", b"low", b"normal", b"high")
_TOPIC = re.compile(rb"[A-Za-z0-9_-]{1,32}")
_VAPID = re.compile(r"vapid (?=.*\bt=([A-Za-z0-9_.\-]+))(?=.*\bk=([A-Za-z0-9_\-]+))", re.IGNORECASE)
_CONTACT = re.compile(r"(mailto:[^@\s]+@[^@\s]+|https://\S+)")

STATUS: Mapping[str, int] = {
    "MissingTtl": 400,
    "BadTtl": 400,
    "BadUrgency": 400,
    "BadTopic": 400,
    "BadEncoding": 400,
    "Undecryptable": 400,
    "MissingVapid": 401,
    "BadVapid": 401,
    "VapidExpired": 401,
    "OtherVapidKey": 403,
    "NotFound": 404,
    "MethodNotAllowed": 405,
    "Gone": 410,
    "TooLarge": 413,
    "TooManyRequests": 429,
    "Unavailable": 503,
}
USUAL_REASON: Mapping[int, str] = {status: reason for reason, status in reversed(list(STATUS.items()))}


class Credential(NamedTuple):
    """What is wrong with an `authorization` (empty: nothing), and until when it may be taken unchecked."""

    reason: str
    until: float


def credential(header: str | None, is_ours: Callable[[str], bool], key: str, now: float) -> Credential:
    """Judge a VAPID header.

    Args:
        is_ours: says of an `aud` whether it is this push service's origin.
        key: the only application server key that subscriptions were made with; empty takes any.
    """
    if header is None:
        return Credential("MissingVapid", 0)
    found = _VAPID.match(header)
    public = _public_key(found[2]) if found else None
    opened = read_token(found[1], "ES256", public) if found and public else None
    if found is None or opened is None:
        return Credential("BadVapid", 0)
    claims = opened[1]
    ends, contact = claims.get("exp"), claims.get("sub")
    if not isinstance(ends, int) or not isinstance(claims.get("aud"), str) or not is_ours(claims["aud"]):
        return Credential("BadVapid", 0)
    if not isinstance(contact, str) or not _CONTACT.fullmatch(contact):
        return Credential("BadVapid", 0)
    if not now < ends <= now + JWT_SECONDS_MAX:
        return Credential("VapidExpired", 0)
    if key and found[2] != key:
        return Credential("OtherVapidKey", 0)
    return Credential("", ends)


def judge_headers(headers: Mapping[bytes, bytes]) -> str:
    """Judge everything but address, credential and body; gives the reason of a refusal or nothing."""
    ttl = headers.get(b"ttl")
    if ttl is None:
        return "MissingTtl"
    if not ttl.isdigit() or int(ttl[:12]) > TTL_SECONDS_MAX:
        return "BadTtl"
    if headers.get(b"urgency", b"normal") not in _URGENCIES:
        return "BadUrgency"
    topic = headers.get(b"topic")
    if topic is not None and not _TOPIC.fullmatch(topic):
        return "BadTopic"
    return "" if headers.get(b"content-encoding") == b"aes128gcm" else "BadEncoding"


def _public_key(text: str) -> ec.EllipticCurvePublicKey | None:
    try:
        point = urlsafe_b64decode(text + "=" * (-len(text) % 4))
        return ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), point)
    except ValueError:
        return None
