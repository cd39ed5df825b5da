"""What each answer of FCM means. Pure: a table, three answers that need a look at their details, an explicit default.

Source: FCM "ErrorCode" reference and "Scale FCM" (statuses, error codes, back-off); the actions are ours.
"""

from __future__ import annotations

from typing import Any

import msgspec

from channels.http2.jobs import Answer
from channels.wire_outcomes import retry_after_seconds, unrecognised
from engine.outcomes import ACCEPTED, Outcome, Rejected, Throttled, Unreachable

QUOTA_WAIT_SECONDS = 60.0  # "minimum first delay 1 min" where FCM names no Retry-After
UNAVAILABLE_WAIT_SECONDS = 10.0  # "never retry at once, wait 10 s first"


class Words(msgspec.Struct, frozen=True):
    """What matters of the JSON body of a refusal."""

    code: str = ""  # FcmError.errorCode, "" when there is none
    names_token: bool = False  # a field violation in `message.token`
    is_device_quota: bool = False


class _Error(msgspec.Struct, frozen=True):
    message: str = ""
    details: tuple[dict[str, Any], ...] = ()


class _Body(msgspec.Struct, frozen=True):
    error: _Error = _Error()


INVALID_TOKEN = Rejected(reason="INVALID_ARGUMENT_TOKEN", endpoint_gone=True)
INVALID = Rejected(reason="INVALID_ARGUMENT", our_fault=True)  # never a reason to give up a token
UNAUTHENTICATED = Unreachable(reason="UNAUTHENTICATED", park=True)  # after a renewed access token was refused too
DEVICE_QUOTA = Throttled(reason="QUOTA_EXCEEDED_DEVICE", lane_wide=False)
QUOTA = Throttled(reason="QUOTA_EXCEEDED", lane_wide=True, is_certain=True)  # Google counts the project
UNAVAILABLE = Throttled(reason="UNAVAILABLE", lane_wide=True)

TABLE: dict[tuple[int, str], Outcome] = {
    (400, "INVALID_ARGUMENT"): INVALID,  # or INVALID_TOKEN, by its details
    (401, "THIRD_PARTY_AUTH_ERROR"): Unreachable(reason="THIRD_PARTY_AUTH_ERROR", park=True),
    (401, ""): UNAUTHENTICATED,
    (403, "SENDER_ID_MISMATCH"): Rejected(reason="SENDER_ID_MISMATCH", endpoint_gone=True),
    (403, ""): Unreachable(reason="PERMISSION_DENIED", park=True),
    (404, "UNREGISTERED"): Rejected(reason="UNREGISTERED", endpoint_gone=True),
    (404, ""): Unreachable(reason="NOT_FOUND", park=True),  # wrong project or URL: no word about the token
    (429, "QUOTA_EXCEEDED"): QUOTA,  # or DEVICE_QUOTA, by its details
    (500, "INTERNAL"): Unreachable(reason="INTERNAL"),
    (502, "UNAVAILABLE"): UNAVAILABLE,
    (503, "UNAVAILABLE"): UNAVAILABLE,
}

BY_STATUS: dict[int, Outcome] = {
    # Where the code is missing or new, the status still says whom it concerns; a new one is counted as unrecognised.
    400: INVALID,
    401: UNAUTHENTICATED,
    403: TABLE[403, ""],
    404: TABLE[404, ""],
    429: QUOTA,
    500: TABLE[500, "INTERNAL"],
    502: UNAVAILABLE,
    503: UNAVAILABLE,
}

_WAITS = {429: QUOTA_WAIT_SECONDS, 502: UNAVAILABLE_WAIT_SECONDS, 503: UNAVAILABLE_WAIT_SECONDS}


def words(answer: Answer) -> Words:
    """Read the body of a refusal; whatever cannot be read says nothing."""
    try:
        error = msgspec.json.decode(answer.body, type=_Body).error
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return Words()
    code, names_token, is_device_quota = "", "not a valid FCM registration token" in error.message, False
    for detail in error.details:
        code = code or _text(detail.get("errorCode"))
        for violation in _items(detail.get("fieldViolations")):
            names_token = names_token or violation.get("field") == "message.token"
        for violation in _items(detail.get("violations")):
            is_device_quota = is_device_quota or "device" in _text(violation.get("subject")).lower()
    return Words(code, names_token, is_device_quota)


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def _items(value: object) -> list[dict[str, Any]]:
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def wants_new_token(answer: Answer) -> bool:
    """Was our access token refused (and not the credentials of another provider behind FCM)?"""
    return answer.status == 401 and words(answer).code != "THIRD_PARTY_AUTH_ERROR"


def outcome(answer: Answer, now_seconds: float) -> Outcome:
    """Say what an answer means; `now_seconds` is for a Retry-After given as a date."""
    if answer.status == 200:
        return ACCEPTED
    said = words(answer)
    found = TABLE.get((answer.status, said.code))
    is_new_code = found is None and bool(said.code)
    found = found or BY_STATUS.get(answer.status)
    if found is None:
        return unrecognised(answer.status)
    if found is INVALID and said.names_token:
        return INVALID_TOKEN
    if found is QUOTA and said.is_device_quota:
        found = DEVICE_QUOTA
    if isinstance(found, Throttled):
        wait = retry_after_seconds(answer.header(b"retry-after"), now_seconds)
        seconds = _WAITS[answer.status] if wait is None else wait
        found = msgspec.structs.replace(found, retry_after_seconds=seconds)
    if is_new_code:  # treated as its status asks, and counted by itself
        return msgspec.structs.replace(found, reason=f"unrecognised_{answer.status}")
    return found
