"""Google's published rules for one FCM v1 message, and its errors. Pure.

Sources: Firebase REST reference projects.messages, ErrorCode and FcmError; "Message types" (4,096 bytes of keys and
values, 2,048 to a topic; reserved keys); google.rpc.Status.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, NamedTuple

import msgspec

from channels.simulator.fcm_schema import Body, Message, decode, snake_case

PAYLOAD_BYTES_MAX = 4096
TOPIC_PAYLOAD_BYTES_MAX = 2048
TTL_SECONDS_MAX = 2_419_200
CONDITION_TOPICS_MAX = 5
SCOPE = "https://www.googleapis.com/auth/firebase.messaging"

_TOPIC = re.compile(r"[a-zA-Z0-9\-_.~%]{1,900}")
_TOPIC_IN_CONDITION = re.compile(r"'[a-zA-Z0-9\-_.~%]+' in topics")
_TOKEN = re.compile(r"[A-Za-z0-9:_\-]{8,4096}")


_ECHO_MAX = 200
"""Characters of a sender's own words that an error repeats."""


class FcmError(NamedTuple):
    """One of Google's errors: HTTP status, google.rpc status name, FCM error code (may be empty), what and where."""

    http: int
    rpc: str
    code: str
    message: str
    field: str = ""


RPC_OF: Mapping[str, tuple[int, str]] = {
    "INVALID_ARGUMENT": (400, "INVALID_ARGUMENT"),
    "THIRD_PARTY_AUTH_ERROR": (401, "UNAUTHENTICATED"),
    "UNAUTHENTICATED": (401, "UNAUTHENTICATED"),
    "SENDER_ID_MISMATCH": (403, "PERMISSION_DENIED"),
    "PERMISSION_DENIED": (403, "PERMISSION_DENIED"),
    "UNREGISTERED": (404, "NOT_FOUND"),
    "NOT_FOUND": (404, "NOT_FOUND"),
    "QUOTA_EXCEEDED": (429, "RESOURCE_EXHAUSTED"),
    "INTERNAL": (500, "INTERNAL"),
    "UNAVAILABLE": (503, "UNAVAILABLE"),
}
"""A reason as scripts and the ledger name it: its HTTP status and google.rpc name."""

USUAL_REASON: Mapping[int, str] = {
    400: "INVALID_ARGUMENT",
    401: "UNAUTHENTICATED",
    403: "SENDER_ID_MISMATCH",
    404: "UNREGISTERED",
    429: "QUOTA_EXCEEDED",
    500: "INTERNAL",
    502: "UNAVAILABLE",
    503: "UNAVAILABLE",
}
NOT_FCM = frozenset({"UNAUTHENTICATED", "PERMISSION_DENIED", "NOT_FOUND"})
"""Reasons that come without an FcmError detail: they are about the caller, not the message."""


def error(reason: str, message: str, field: str = "") -> FcmError:
    http, rpc = RPC_OF[reason]
    return FcmError(http, rpc, "" if reason in NOT_FCM else reason, message[:_ECHO_MAX], field[:_ECHO_MAX])


def invalid(field: str, message: str) -> FcmError:
    return error("INVALID_ARGUMENT", message, field)


def error_body(fault: FcmError, extra: Mapping[str, Any] | None = None) -> bytes:
    """The JSON of a google.rpc.Status with FcmError and BadRequest details."""
    details: list[Mapping[str, Any]] = []
    if fault.code:
        details.append({"@type": "type.googleapis.com/google.firebase.fcm.v1.FcmError", "errorCode": fault.code})
    if fault.field:
        violation = {"field": fault.field, "description": fault.message}
        details.append({"@type": "type.googleapis.com/google.rpc.BadRequest", "fieldViolations": [violation]})
    if extra:
        details.append(extra)
    status: dict[str, Any] = {"code": fault.http, "message": fault.message, "status": fault.rpc}
    if details:
        status["details"] = details
    return msgspec.json.encode({"error": status})


def read(body: bytes) -> Body | FcmError:
    """Read a request body; names and types are checked, values are not yet (`judge`)."""
    try:
        return decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        pass
    try:
        return msgspec.convert(snake_case(msgspec.json.decode(body)), Body)
    except msgspec.ValidationError as fault:
        what, _, where = str(fault).partition(" - at `$.")
        return invalid(where.rstrip("`"), f"Invalid JSON payload received. {what}")
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return invalid("", "Invalid JSON payload received. It is not JSON.")


def judge(body: Body, body_bytes: int) -> FcmError | None:
    """Judge a message that was read."""
    message = body.message
    fault = _judge_target(message)
    if fault is None and message.data:
        fault = _judge_keys(message.data, "message.data")
    android = message.android
    if fault is None and android is not None:
        if android.data:
            fault = _judge_keys(android.data, "message.android.data")
        if fault is None and android.ttl is not None and float(android.ttl[:-1]) > TTL_SECONDS_MAX:
            fault = invalid("message.android.ttl", "Invalid TTL: it must be between 0 and 2419200 seconds.")
    if fault is not None:
        return fault
    limit = PAYLOAD_BYTES_MAX if message.topic is None and message.condition is None else TOPIC_PAYLOAD_BYTES_MAX
    if body_bytes > limit and payload_bytes(message) > limit:  # the payload is a part of the body
        return invalid("message", f"The message payload is larger than {limit} bytes.")
    return None


def _judge_target(message: Message) -> FcmError | None:
    targets = (message.token, message.fid, message.topic, message.condition)
    if targets.count(None) != 3:
        return invalid("message", "Recipient of the message is not set, or there is more than one.")
    token = message.token if message.token is not None else message.fid
    if token is not None:
        if not _TOKEN.fullmatch(token):
            return invalid("message.token", "The registration token is not a valid FCM registration token")
    elif message.topic is not None:
        if not _TOPIC.fullmatch(message.topic.removeprefix("/topics/")):
            return invalid("message.topic", "Invalid topic name.")
    elif message.condition is not None:
        topics = len(_TOPIC_IN_CONDITION.findall(message.condition))
        if not 1 <= topics <= CONDITION_TOPICS_MAX:
            return invalid("message.condition", "Invalid condition: it needs one to five topics.")
    return None


def _judge_keys(data: Mapping[str, str], field: str) -> FcmError | None:
    for key in data:
        if key in ("from", "message_type", "collapse_key") or key.startswith(("google", "gcm")) or not key:
            return invalid(field, f"Invalid data payload key: {key}")
    return None


def payload_bytes(message: Message) -> int:
    """Size of a message's payload: the UTF-8 bytes of all keys and values of data and notification."""
    total = sum(len(key.encode()) + len(value.encode()) for key, value in message.data.items())
    for part in (message.notification, message.android.notification if message.android else None):
        if part is not None:
            filled = {key: value for key, value in msgspec.to_builtins(part).items() if value not in ("", None, [])}
            total += sum(
                len(key) + len(value if isinstance(value, str) else str(value)) for key, value in _bytes(filled)
            )
    if message.android:
        total += sum(len(key.encode()) + len(value.encode()) for key, value in message.android.data.items())
    return total


def _bytes(filled: Mapping[str, Any]) -> list[tuple[str, Any]]:
    # latin-1 keeps one character per byte, so that `len` of it counts UTF-8 bytes
    return [(k, v.encode().decode("latin-1") if isinstance(v, str) else v) for k, v in filled.items() if v is not False]
