"""Apple's published rules for one push request. Pure: the time is an argument.

Sources: Apple "Sending notification requests to APNs", "Handling notification responses from APNs", "Establishing a
token-based connection to APNs". Where Apple is silent the choice is marked *ours*.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import msgspec

from channels.simulator.header_table import Field
from channels.simulator.provider_tokens import PublicKey, read_token

PAYLOAD_BYTES_MAX = 4096
VOIP_PAYLOAD_BYTES_MAX = 5120
COLLAPSE_BYTES_MAX = 64
TOKEN_SECONDS_MAX = 3600

STATUS: Mapping[str, int] = {
    "BadCollapseId": 400,
    "BadDeviceToken": 400,
    "BadExpirationDate": 400,
    "BadMessageId": 400,
    "BadPriority": 400,
    "BadTopic": 400,
    "DeviceTokenNotForTopic": 400,
    "DuplicateHeaders": 400,
    "IdleTimeout": 400,
    "InvalidPushType": 400,
    "MissingDeviceToken": 400,
    "MissingTopic": 400,
    "PayloadEmpty": 400,
    "TopicDisallowed": 400,
    "BadCertificate": 403,
    "BadCertificateEnvironment": 403,
    "BadEnvironmentKeyIdInToken": 403,
    "ExpiredProviderToken": 403,
    "Forbidden": 403,
    "InvalidProviderToken": 403,
    "MissingProviderToken": 403,
    "UnrelatedKeyIdInToken": 403,
    "BadPath": 404,
    "MethodNotAllowed": 405,
    "ExpiredToken": 410,
    "Unregistered": 410,
    "PayloadTooLarge": 413,
    "TooManyProviderTokenUpdates": 429,
    "TooManyRequests": 429,
    "InternalServerError": 500,
    "ServiceUnavailable": 503,
    "Shutdown": 503,
}
"""Every reason Apple documents for device pushes, and its status."""

USUAL_REASON: Mapping[int, str] = {
    400: "BadDeviceToken",
    403: "InvalidProviderToken",
    404: "BadPath",
    405: "MethodNotAllowed",
    410: "Unregistered",
    413: "PayloadTooLarge",
    429: "TooManyRequests",
    500: "InternalServerError",
    503: "ServiceUnavailable",
}
"""What a script means that names only a status."""

TOPIC_ENDS: Mapping[str, str] = {
    "alert": "",
    "background": "",
    "mdm": "",
    "complication": ".complication",
    "controls": ".push-type.controls",
    "fileprovider": ".pushkit.fileprovider",
    "liveactivity": ".push-type.liveactivity",
    "location": ".location-query",
    "pushtotalk": ".voip-ptt",
    "voip": ".voip",
    "widgets": ".push-type.widgets",
}
"""The documented push types and what their topic must end with after the bundle id."""

_PATH = re.compile(r"/3/device/([^/?]*)")
_TOKEN = re.compile(r"(?:[0-9a-fA-F]{2}){4,100}")  # Apple: never assume a length; *ours*: 8 to 200 hex digits
_ID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
_BUNDLE = re.compile(r"[A-Za-z0-9.\-]+")
_TEN = re.compile(r"[A-Z0-9]{10}")  # key ids and team ids


class Sender(NamedTuple):
    """What this provider knows about the one sender: all optional, empty means that anything well formed passes."""

    public_key: PublicKey | None = None
    key_id: str = ""
    team_id: str = ""
    topics: frozenset[str] = frozenset()


class Credential(NamedTuple):
    """A provider token after it was checked: until when it is good, or the reason why it is not."""

    reason: str
    until: float = 0.0


def device_token(path: str) -> str:
    """The device token of a path; empty when there is none."""
    found = _PATH.fullmatch(path)
    return found[1] if found else ""


def credential(authorization: str | None, sender: Sender, now: float) -> Credential:
    """Check the `authorization` header; `now` in unix seconds. The result holds until `until`."""
    if authorization is None:
        return Credential("MissingProviderToken")
    scheme, _, token = authorization.partition(" ")
    if scheme.lower() != "bearer" or not token:
        return Credential("MissingProviderToken")
    opened = read_token(token, "ES256", sender.public_key)
    if opened is None:
        return Credential("InvalidProviderToken")
    header, claims = opened
    key_id, team_id, issued = header.get("kid"), claims.get("iss"), claims.get("iat")
    if not isinstance(key_id, str) or not isinstance(team_id, str) or not isinstance(issued, int):
        return Credential("InvalidProviderToken")
    if not _TEN.fullmatch(key_id) or not _TEN.fullmatch(team_id):
        return Credential("InvalidProviderToken")
    if (sender.key_id and key_id != sender.key_id) or (sender.team_id and team_id != sender.team_id):
        return Credential("InvalidProviderToken")
    if abs(now - issued) > TOKEN_SECONDS_MAX:
        return Credential("ExpiredProviderToken")
    return Credential("", float(issued + TOKEN_SECONDS_MAX))


def is_message_id(value: str) -> bool:
    """Whether an apns-id is a UUID in its canonical lower-case form."""
    return bool(_ID.fullmatch(value))


def judge_line(method: str, path: str) -> str:
    """Judge method and path; empty when they are right, else Apple's reason."""
    if method != "POST":
        return "MethodNotAllowed"
    if not _PATH.fullmatch(path):
        return "BadPath"
    token = device_token(path)
    if not token:
        return "MissingDeviceToken"
    return "" if _TOKEN.fullmatch(token) else "BadDeviceToken"


def judge_headers(fields: Sequence[Field], sender: Sender) -> str:
    """Judge the headers but for the provider token; empty when they are right, else Apple's reason."""
    names = [name for name, _ in fields if name.startswith(b"apns-") or name == b"authorization"]
    if len(names) != len(set(names)):
        return "DuplicateHeaders"
    headers = {name: value.decode("latin-1") for name, value in fields}
    apns_id = headers.get(b"apns-id")
    if apns_id is not None and not is_message_id(apns_id):
        return "BadMessageId"
    return (
        _judge_topic(headers, sender)
        or _judge_priority(headers)
        or _judge_expiration(headers.get(b"apns-expiration"))
        or _judge_collapse(headers.get(b"apns-collapse-id"))
    )


def _judge_topic(headers: Mapping[bytes, str], sender: Sender) -> str:
    topic, push_type = headers.get(b"apns-topic"), headers.get(b"apns-push-type", "alert")
    if topic is None or topic == "":
        return "MissingTopic"
    if not _BUNDLE.fullmatch(topic):
        return "BadTopic"
    if push_type not in TOPIC_ENDS:
        return "InvalidPushType"
    ending = TOPIC_ENDS[push_type]
    if ending and not topic.endswith(ending):
        return "BadTopic"
    if sender.topics and topic.removesuffix(ending) not in sender.topics:
        return "TopicDisallowed"
    return ""


def _judge_priority(headers: Mapping[bytes, str]) -> str:
    priority = headers.get(b"apns-priority", "10")
    if priority not in ("10", "5", "1"):
        return "BadPriority"
    if headers.get(b"apns-push-type") == "background" and priority == "10":
        return "BadPriority"  # Apple: "Specifying priority 10 for a background notification is an error"
    return ""


def _judge_expiration(value: str | None) -> str:
    if value is None or (value.isascii() and value.isdigit() and len(value) <= 19):
        return ""
    return "BadExpirationDate"


def _judge_collapse(value: str | None) -> str:
    return "BadCollapseId" if value is not None and len(value) > COLLAPSE_BYTES_MAX else ""


class Payload(NamedTuple):
    """What was read in a body: the reason why it is wrong (or empty), and what the ledger wants of it."""

    reason: str
    push_types: frozenset[str] = frozenset()
    event: str = ""
    title: str = ""
    body: str = ""


_VISIBLE = frozenset(TOPIC_ENDS) - {"background"}
_SILENT = frozenset(TOPIC_ENDS) - {"alert"}


def read_payload(body: bytes) -> Payload:
    """Read a JSON payload. *Ours*: one that is no JSON object, or has no `aps`, counts as PayloadEmpty."""
    try:
        payload: Any = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return Payload("PayloadEmpty")
    if not isinstance(payload, dict):
        return Payload("PayloadEmpty")
    event = payload.get("klokke.event")
    klokke = payload.get("klokke")
    if isinstance(klokke, dict):
        event = klokke.get("event", event)
    aps = payload.get("aps")
    if not isinstance(aps, dict):
        return Payload("" if "mdm" in payload else "PayloadEmpty", frozenset({"mdm"}), _text(event))
    alert = aps.get("alert")
    title, text = (alert.get("title"), alert.get("body")) if isinstance(alert, dict) else ("", alert)
    is_visible = bool(alert) or "badge" in aps or "sound" in aps
    is_background = aps.get("content-available") == 1
    types = _VISIBLE if is_visible else (_SILENT if is_background else _VISIBLE & _SILENT)
    return Payload("", types, _text(event), _text(title), _text(text))


def judge_payload(payload: Payload, payload_bytes: int, push_type: str) -> str:
    """Judge a body against its push type; empty when it is right, else Apple's reason."""
    if payload_bytes == 0:
        return "PayloadEmpty"
    if payload_bytes > (VOIP_PAYLOAD_BYTES_MAX if push_type == "voip" else PAYLOAD_BYTES_MAX):
        return "PayloadTooLarge"
    if payload.reason:
        return payload.reason
    return "" if push_type in payload.push_types else "InvalidPushType"


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""
