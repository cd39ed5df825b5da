"""What each answer of APNs means. Pure: a table, and an explicit default.

Source: Apple, "Handling notification responses from APNs" (statuses and reasons); the actions are ours.
410 carries `timestamp`, in milliseconds: when APNs last knew the token to be dead for the topic.
"""

from __future__ import annotations

import msgspec

from channels.http2.jobs import Answer
from channels.wire_outcomes import retry_after_seconds, unrecognised
from engine.outcomes import ACCEPTED, Outcome, Rejected, Throttled, Unreachable


class Words(msgspec.Struct, frozen=True):
    """The JSON body of a refusal."""

    reason: str = ""
    timestamp: object = None  # an integer, if Apple keeps to its page


def _gone(reason: str) -> Rejected:
    return Rejected(reason=reason, endpoint_gone=True)


def _our_fault(reason: str) -> Rejected:
    return Rejected(reason=reason, our_fault=True)


def _park(reason: str) -> Unreachable:
    return Unreachable(reason=reason, park=True)


def _later(reason: str) -> Unreachable:
    return Unreachable(reason=reason)


def _slow(reason: str, *, lane_wide: bool) -> Throttled:
    return Throttled(reason=reason, lane_wide=lane_wide)


TABLE: dict[tuple[int, str], Outcome] = {
    (status, outcome.reason): outcome
    for status, outcome in (
        (400, _gone("BadDeviceToken")),  # a sandbox token in production says so too: the mass guard watches
        (400, _gone("DeviceTokenNotForTopic")),
        (400, _our_fault("BadCollapseId")),
        (400, _our_fault("BadExpirationDate")),
        (400, _our_fault("BadMessageId")),
        (400, _our_fault("BadPriority")),
        (400, _our_fault("InvalidPushType")),
        (400, _our_fault("DuplicateHeaders")),
        (400, _our_fault("PayloadEmpty")),
        (400, _our_fault("MissingDeviceToken")),
        (400, _park("BadTopic")),
        (400, _park("MissingTopic")),
        (400, _park("TopicDisallowed")),
        (400, _later("IdleTimeout")),
        (403, _park("ExpiredProviderToken")),  # after a renewed one was refused too: look at our clock
        (403, _park("InvalidProviderToken")),
        (403, _park("MissingProviderToken")),
        (403, _park("BadCertificate")),
        (403, _park("BadCertificateEnvironment")),
        (403, _park("BadEnvironmentKeyIdInToken")),
        (403, _park("Forbidden")),
        (403, _later("UnrelatedKeyIdInToken")),  # expected while keys are rotated
        (404, _our_fault("BadPath")),
        (405, _our_fault("MethodNotAllowed")),
        (410, _gone("Unregistered")),
        (410, _gone("ExpiredToken")),
        (413, _our_fault("PayloadTooLarge")),
        (429, _slow("TooManyRequests", lane_wide=False)),  # this one device only
        (429, _slow("TooManyProviderTokenUpdates", lane_wide=True)),
        (500, _later("InternalServerError")),
        (503, _slow("ServiceUnavailable", lane_wide=True)),
        (503, _later("Shutdown")),
    )
}

RENEW_TOKEN = "ExpiredProviderToken"
TOO_LARGE = "PayloadTooLarge"
NEW_CONNECTION = frozenset({"IdleTimeout", "UnrelatedKeyIdInToken", "Shutdown"})
"""Reasons that the connection is at fault: it takes nothing more, and the push goes out again on another."""


def words(answer: Answer) -> Words:
    """Read the body of a refusal; whatever cannot be read is no reason."""
    try:
        return msgspec.json.decode(answer.body, type=Words)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return Words()


def spoils_connection(answer: Answer) -> bool:
    return answer.status in (400, 403, 503) and words(answer).reason in NEW_CONNECTION


def outcome(answer: Answer, now_seconds: float) -> Outcome:
    """Say what an answer means; `now_seconds` is for a Retry-After given as a date."""
    if answer.status == 200:
        return ACCEPTED
    said = words(answer)
    found = TABLE.get((answer.status, said.reason))
    if found is None:
        return unrecognised(answer.status)
    if isinstance(found, Rejected) and answer.status == 410:
        since = said.timestamp if isinstance(said.timestamp, int) else None
        return Rejected(reason=found.reason, endpoint_gone=True, gone_since_ms=since)
    if isinstance(found, Throttled):
        wait = retry_after_seconds(answer.header(b"retry-after"), now_seconds)
        return Throttled(reason=found.reason, lane_wide=found.lane_wide, retry_after_seconds=wait)
    return found
