"""The providers' tables row by row: what each answer does to the message, the endpoint, the lane and the operator.

Written from the providers' own pages (statuses and reasons) with the action that we take, and compared with what our
rules make of our outcomes, so that neither the table nor the rules can drift alone.
"""

from __future__ import annotations

import json
from typing import NamedTuple

import pytest

from channels.apns import answers as apns
from channels.fcm import answers as fcm
from channels.http2.jobs import Answer
from channels.webpush import answers as webpush
from engine.outcomes import Accepted, Outcome, Rejected, Throttled, Unreachable
from engine.records.words import Channel, End
from engine.rules.mass_guard import calls_endpoint_gone
from engine.rules.retry import Again, Ended, Park, Slow, lane_step, next_step
from metrics.exposition import new_registry
from metrics.observer import PrometheusObserver

NOW = 1_800_000_000.0
NOW_MS = round(NOW * 1000)


class Effect(NamedTuple):
    """The four independent pieces of state."""

    message: str
    endpoint: str
    lane: str
    operator: str


DONE = Effect("accepted", "ok", "ok", "-")
RETRY_LATER = Effect("retried", "ok", "ok", "-")
SLOW_ENDPOINT = Effect("retried when asked", "ok", "ok", "-")
SLOW_LANE = Effect("waits, no attempt used up", "ok", "slowed", "metric")
DROP_ENDPOINT = Effect("final", "retired", "ok", "-")
DROP_MESSAGE = Effect("final", "ok", "ok", "alert")
STOP_LANE = Effect("waits, no attempt used up", "ok", "parked", "page")


def effect(outcome: Outcome) -> Effect:
    """What our rules make of an outcome."""
    step = next_step(outcome, attempt=1, now_ms=NOW_MS, expires_ms=NOW_MS + 86_400_000, draw=0.5)
    lane = lane_step([outcome] * 10, now_ms=NOW_MS, draw=0.5)
    if isinstance(step, Ended):
        message = {End.ACCEPTED: "accepted", End.REJECTED: "final"}[step.end]
    elif isinstance(step, Again) and not step.burns_attempt:
        message = "waits, no attempt used up"
    else:
        message = "retried when asked" if isinstance(outcome, Throttled) else "retried"
    return Effect(
        message=message,
        endpoint="retired" if calls_endpoint_gone(outcome) else "ok",
        lane={Park: "parked", Slow: "slowed", type(None): "ok"}[type(lane)],
        operator="page"
        if isinstance(outcome, Unreachable) and outcome.park
        else "alert"
        if isinstance(outcome, Rejected) and outcome.our_fault
        else "metric"
        if isinstance(lane, Slow)
        else "-",
    )


APNS: list[tuple[int, str, Effect]] = [
    (200, "", DONE),
    (400, "BadDeviceToken", DROP_ENDPOINT),  # behind the mass guard, as every retired endpoint
    (400, "DeviceTokenNotForTopic", DROP_ENDPOINT),
    (400, "BadCollapseId", DROP_MESSAGE),
    (400, "BadExpirationDate", DROP_MESSAGE),
    (400, "BadMessageId", DROP_MESSAGE),
    (400, "BadPriority", DROP_MESSAGE),
    (400, "InvalidPushType", DROP_MESSAGE),
    (400, "DuplicateHeaders", DROP_MESSAGE),
    (400, "PayloadEmpty", DROP_MESSAGE),
    (400, "MissingDeviceToken", DROP_MESSAGE),
    (400, "BadTopic", STOP_LANE),
    (400, "MissingTopic", STOP_LANE),
    (400, "TopicDisallowed", STOP_LANE),
    (400, "IdleTimeout", RETRY_LATER),
    (403, "ExpiredProviderToken", STOP_LANE),  # the second time; the first renews the token
    (403, "InvalidProviderToken", STOP_LANE),
    (403, "MissingProviderToken", STOP_LANE),
    (403, "BadCertificate", STOP_LANE),
    (403, "BadCertificateEnvironment", STOP_LANE),
    (403, "BadEnvironmentKeyIdInToken", STOP_LANE),
    (403, "Forbidden", STOP_LANE),
    (403, "UnrelatedKeyIdInToken", RETRY_LATER),  # after a second try on a new connection
    (404, "BadPath", DROP_MESSAGE),
    (405, "MethodNotAllowed", DROP_MESSAGE),
    (410, "Unregistered", DROP_ENDPOINT),
    (410, "ExpiredToken", DROP_ENDPOINT),
    (413, "PayloadTooLarge", DROP_MESSAGE),  # after the short text was refused too
    (429, "TooManyRequests", SLOW_ENDPOINT),
    (429, "TooManyProviderTokenUpdates", SLOW_LANE),
    (500, "InternalServerError", RETRY_LATER),
    (503, "ServiceUnavailable", SLOW_LANE),
    (503, "Shutdown", RETRY_LATER),
]


def apns_answer(status: int, reason: str) -> Answer:
    return Answer(status, (), json.dumps({"reason": reason}).encode() if reason else b"")


@pytest.mark.parametrize(("status", "reason", "wanted"), APNS, ids=[f"{row[0]}-{row[1]}" for row in APNS])
def test_apns_does_what_its_table_says(status: int, reason: str, wanted: Effect) -> None:
    assert effect(apns.outcome(apns_answer(status, reason), NOW)) == wanted


def test_the_apns_table_has_no_row_too_many_and_none_too_few() -> None:
    assert {(status, reason) for status, reason, _ in APNS} == {(200, ""), *apns.TABLE}


# status, FcmError code, details, effect
TOKEN_FIELD: dict[str, object] = {"fieldViolations": [{"field": "message.token", "description": "x"}]}
OTHER_FIELD: dict[str, object] = {"fieldViolations": [{"field": "message.data", "description": "x"}]}
DEVICE: dict[str, object] = {"violations": [{"subject": "device"}]}
TOPIC: dict[str, object] = {"violations": [{"subject": "topic"}]}
FCM: list[tuple[int, str, dict[str, object], Effect]] = [
    (200, "", {}, DONE),
    (400, "INVALID_ARGUMENT", TOKEN_FIELD, DROP_ENDPOINT),
    (400, "INVALID_ARGUMENT", OTHER_FIELD, DROP_MESSAGE),
    (400, "INVALID_ARGUMENT", {}, DROP_MESSAGE),  # never a token for a bare 400
    (400, "", {}, DROP_MESSAGE),
    (401, "THIRD_PARTY_AUTH_ERROR", {}, STOP_LANE),
    (401, "", {}, STOP_LANE),  # the second time; the first renews the access token
    (403, "SENDER_ID_MISMATCH", {}, DROP_ENDPOINT),
    (403, "", {}, STOP_LANE),
    (404, "UNREGISTERED", {}, DROP_ENDPOINT),
    (404, "", {}, STOP_LANE),  # wrong project or address
    (429, "QUOTA_EXCEEDED", {}, SLOW_LANE),
    (429, "QUOTA_EXCEEDED", TOPIC, SLOW_LANE),
    (429, "QUOTA_EXCEEDED", DEVICE, SLOW_ENDPOINT),
    (500, "INTERNAL", {}, RETRY_LATER),
    (502, "UNAVAILABLE", {}, SLOW_LANE),
    (503, "UNAVAILABLE", {}, SLOW_LANE),
]


def fcm_answer(status: int, code: str, detail: dict[str, object] | None = None) -> Answer:
    details = [{"errorCode": code}] if code else []
    body = {"error": {"code": status, "details": [*details, *([detail] if detail else [])]}}
    return Answer(status, (), json.dumps(body).encode())


@pytest.mark.parametrize(("status", "code", "detail", "wanted"), FCM)
def test_fcm_does_what_its_table_says(status: int, code: str, detail: dict[str, object], wanted: Effect) -> None:
    assert effect(fcm.outcome(fcm_answer(status, code, detail), NOW)) == wanted


def test_the_fcm_table_has_no_row_too_many_and_none_too_few() -> None:
    assert {(status, code) for status, code, _, _ in FCM} - {(200, ""), (400, "")} == set(fcm.TABLE)


# status, Retry-After, effect
WEBPUSH: list[tuple[int, bytes, Effect]] = [
    *((status, b"", DONE) for status in (200, 201, 202, 204)),
    *((status, b"", RETRY_LATER) for status in (301, 302, 303, 307, 308)),  # never followed
    (400, b"", DROP_MESSAGE),
    (401, b"", RETRY_LATER),  # one by itself; en masse below
    (403, b"", RETRY_LATER),
    (404, b"", DROP_ENDPOINT),
    (405, b"", DROP_MESSAGE),
    (406, b"", SLOW_LANE),
    (410, b"", DROP_ENDPOINT),
    (411, b"", DROP_MESSAGE),
    (413, b"", DROP_MESSAGE),  # after the short text was refused too
    (415, b"", DROP_MESSAGE),
    (429, b"", SLOW_LANE),
    (429, b"30", SLOW_LANE),
    (500, b"", RETRY_LATER),
    *((status, b"", RETRY_LATER) for status in (502, 503, 504)),
    (503, b"120", SLOW_LANE),  # as Mozilla says it
]
OTHER_KEY = [(403, b""), (401, b"VAPID public key mismatch"), (400, b'{"reason":"VapidPkHashMismatch"}')]
# status, body, pushes taken and refused in the batch, effect; the key was good before
WEBPUSH_KEY: list[tuple[int, bytes, int, int, Effect]] = [
    *((status, body, 20, 1, DROP_ENDPOINT) for status, body in OTHER_KEY),
    *((status, body, 0, 1, DROP_ENDPOINT) for status, body in OTHER_KEY),
    *((status, body, 0, 40, STOP_LANE) for status, body in OTHER_KEY),  # en masse: nobody is retired
    (401, b"", 20, 1, RETRY_LATER),
    (401, b"", 0, 1, RETRY_LATER),
    (401, b"", 0, 40, STOP_LANE),
]


def webpush_answer(status: int, retry_after: bytes = b"", body: bytes = b"words for people") -> Answer:
    return Answer(status, ((b"retry-after", retry_after),) if retry_after else (), body)


@pytest.mark.parametrize(("status", "retry_after", "wanted"), WEBPUSH)
def test_web_push_does_what_its_table_says(status: int, retry_after: bytes, wanted: Effect) -> None:
    assert effect(webpush.outcome(webpush_answer(status, retry_after), NOW)) == wanted


@pytest.mark.parametrize(("status", "body", "taken", "refused", "wanted"), WEBPUSH_KEY)
def test_web_push_tells_a_stale_subscription_from_a_wrong_key(
    status: int, body: bytes, taken: int, refused: int, wanted: Effect
) -> None:
    standing = webpush.KeyStanding()
    standing.hear(1, 0)
    doubt = webpush.outcome(webpush_answer(status, body=body), NOW)
    assert effect(webpush.meant(doubt, standing.hear(taken, refused))) == wanted


def test_the_web_push_table_has_no_row_too_many_and_none_too_few() -> None:
    assert {status for status, _, _ in WEBPUSH} == set(webpush.TABLE)


UNRECOGNISED = [
    (apns, apns_answer(400, "Brandnew"), RETRY_LATER, "unrecognised_4xx"),
    (apns, apns_answer(403, "Brandnew"), RETRY_LATER, "unrecognised_4xx"),
    (apns, apns_answer(410, ""), RETRY_LATER, "unrecognised_4xx"),  # a bare 410 takes no token
    (apns, apns_answer(451, "BadDeviceToken"), RETRY_LATER, "unrecognised_4xx"),
    (apns, apns_answer(204, ""), RETRY_LATER, "unrecognised_2xx"),
    (apns, apns_answer(502, "<html>"), RETRY_LATER, "unrecognised_5xx"),
    (fcm, fcm_answer(400, "BRANDNEW"), DROP_MESSAGE, "unrecognised_400"),
    (fcm, fcm_answer(403, "BRANDNEW"), STOP_LANE, "unrecognised_403"),
    (fcm, fcm_answer(404, "BRANDNEW"), STOP_LANE, "unrecognised_404"),
    (fcm, fcm_answer(429, "BRANDNEW"), SLOW_LANE, "unrecognised_429"),
    (fcm, fcm_answer(500, "BRANDNEW"), RETRY_LATER, "unrecognised_500"),
    (fcm, fcm_answer(503, "UNSPECIFIED_ERROR"), SLOW_LANE, "unrecognised_503"),
    (fcm, fcm_answer(451, "BRANDNEW"), RETRY_LATER, "unrecognised_4xx"),
    (fcm, fcm_answer(302, ""), RETRY_LATER, "unrecognised_3xx"),
    (webpush, webpush_answer(206), RETRY_LATER, "unrecognised_2xx"),
    (webpush, webpush_answer(300), RETRY_LATER, "unrecognised_3xx"),
    (webpush, webpush_answer(418), RETRY_LATER, "unrecognised_4xx"),
    (webpush, webpush_answer(507), RETRY_LATER, "unrecognised_5xx"),
]


@pytest.mark.parametrize(("table", "answer", "wanted", "reason"), UNRECOGNISED)
def test_what_no_table_knows_has_its_explicit_default_and_a_reason_of_a_closed_set(
    table: object, answer: Answer, wanted: Effect, reason: str
) -> None:
    outcome: Outcome = table.outcome(answer, NOW)  # type: ignore[attr-defined]
    assert effect(outcome) == wanted
    assert outcome.reason == reason  # type: ignore[union-attr]


def test_every_reason_reaches_the_metrics_by_its_word() -> None:
    """All words of the tables and of the defaults fit the bound on labels, and none is turned into `other`."""
    registry = new_registry()
    observer = PrometheusObserver(registry)
    reasons = [reason for _, reason, _ in APNS if reason]
    reasons += [fcm.outcome(fcm_answer(status, code, detail), NOW).reason  # type: ignore[union-attr]
                for status, code, detail, _ in FCM if status != 200]  # fmt: skip
    found = [webpush.outcome(webpush_answer(status, retry_after), NOW) for status, retry_after, _ in WEBPUSH]
    found += [webpush.OTHER_KEY, webpush.KEY_REFUSED]
    reasons += [outcome.reason for outcome in found if not isinstance(outcome, Accepted)]
    reasons += [reason for *_, reason in UNRECOGNISED]
    for reason in reasons:
        observer.ended(Channel.PUSH, End.REJECTED, reason, 1)
        observer.retried(Channel.PUSH, reason, 1)
        observer.postponed(Channel.PUSH, reason, 1)
    ended = ("klokke_deliveries_ended_total", {"end": "rejected"})
    for name, more in (ended, ("klokke_deliveries_retried_total", {}), ("klokke_deliveries_postponed_total", {})):
        for reason in set(reasons):
            labels = {"channel": "push", "reason": reason, **more}
            assert registry.get_sample_value(name, labels) == reasons.count(reason), reason
