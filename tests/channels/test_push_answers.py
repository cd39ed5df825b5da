"""Every status and reason of APNs and FCM, one row each, and what surrounds them."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from channels.apns import answers as apns
from channels.fcm import answers as fcm
from channels.http2.jobs import OUT_OF_TIME, Answer, Failure, FailureKind
from channels.wire_outcomes import failure_outcome, retry_after_seconds
from engine.outcomes import ACCEPTED, Accepted, Outcome, Rejected, Throttled, Unknown
from tests.channels.meanings import fault, gone, later, park, quota, slow

NOW = 1_800_000_000.0


APNS = [
    (400, "BadDeviceToken", gone),
    (400, "DeviceTokenNotForTopic", gone),
    (400, "BadCollapseId", fault),
    (400, "BadExpirationDate", fault),
    (400, "BadMessageId", fault),
    (400, "BadPriority", fault),
    (400, "InvalidPushType", fault),
    (400, "DuplicateHeaders", fault),
    (400, "PayloadEmpty", fault),
    (400, "MissingDeviceToken", fault),
    (400, "BadTopic", park),
    (400, "MissingTopic", park),
    (400, "TopicDisallowed", park),
    (400, "IdleTimeout", later),
    (403, "ExpiredProviderToken", park),
    (403, "InvalidProviderToken", park),
    (403, "MissingProviderToken", park),
    (403, "BadCertificate", park),
    (403, "BadCertificateEnvironment", park),
    (403, "BadEnvironmentKeyIdInToken", park),
    (403, "Forbidden", park),
    (403, "UnrelatedKeyIdInToken", later),
    (404, "BadPath", fault),
    (405, "MethodNotAllowed", fault),
    (410, "Unregistered", gone),
    (410, "ExpiredToken", gone),
    (413, "PayloadTooLarge", fault),
    (429, "TooManyRequests", lambda reason: slow(reason, False)),
    (429, "TooManyProviderTokenUpdates", lambda reason: slow(reason, True)),
    (500, "InternalServerError", later),
    (503, "ServiceUnavailable", lambda reason: slow(reason, True)),
    (503, "Shutdown", later),
]


@pytest.mark.parametrize(("status", "reason", "expected"), APNS, ids=[f"{row[0]}-{row[1]}" for row in APNS])
def test_apns_answer(status: int, reason: str, expected: Any) -> None:
    answer = Answer(status, (), json.dumps({"reason": reason}).encode())
    assert apns.outcome(answer, NOW) == expected(reason)


def test_every_row_of_the_apns_table_is_tested() -> None:
    assert {(status, reason) for status, reason, _ in APNS} == set(apns.TABLE)


def test_apns_accepts() -> None:
    assert apns.outcome(Answer(200, (), b""), NOW) is ACCEPTED


@pytest.mark.parametrize(
    ("body", "since"),
    [
        (b'{"reason":"Unregistered","timestamp":1790000000123}', 1_790_000_000_123),
        (b'{"reason":"Unregistered"}', None),
        (b'{"reason":"Unregistered","timestamp":"soon"}', None),
    ],
)
def test_apns_410_says_since_when_in_milliseconds(body: bytes, since: int | None) -> None:
    outcome = apns.outcome(Answer(410, (), body), NOW)
    assert outcome == Rejected(reason="Unregistered", endpoint_gone=True, gone_since_ms=since)


@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b'{"reason":7}', b'{"reason":"Brandnew"}', b"\xff"])
@pytest.mark.parametrize("status", [302, 400, 403, 410, 418, 502, 599])
def test_an_apns_answer_that_no_table_knows_is_tried_later_and_takes_no_endpoint(status: int, body: bytes) -> None:
    assert apns.outcome(Answer(status, (), body), NOW) == later(f"unrecognised_{status // 100}xx")


def test_only_a_connection_at_fault_is_retired() -> None:
    spoils = {
        reason
        for status, reason, _ in APNS
        if apns.spoils_connection(Answer(status, (), json.dumps({"reason": reason}).encode()))
    }
    assert spoils == {"IdleTimeout", "UnrelatedKeyIdInToken", "Shutdown"}


def fcm_answer(status: int, code: str, message: str = "", *details: dict[str, Any], wait: str | None = None) -> Answer:
    kinds = [{"@type": "type.googleapis.com/google.firebase.fcm.v1.FcmError", "errorCode": code}] if code else []
    body = {"error": {"code": status, "message": message, "status": "X", "details": [*kinds, *details]}}
    headers = ((b"retry-after", wait.encode()),) if wait else ()
    return Answer(status, headers, json.dumps(body).encode())


FIELD = {"@type": "type.googleapis.com/google.rpc.BadRequest", "fieldViolations": [{"field": "message.token"}]}
TTL = {"@type": "type.googleapis.com/google.rpc.BadRequest", "fieldViolations": [{"field": "message.android.ttl"}]}
DEVICE = {"@type": "type.googleapis.com/google.rpc.QuotaFailure", "violations": [{"subject": "device:abc"}]}
PROJECT = {"@type": "type.googleapis.com/google.rpc.QuotaFailure", "violations": [{"subject": "project:abc"}]}
SENTENCE = "The registration token is not a valid FCM registration token"

FCM = [
    (fcm_answer(400, "INVALID_ARGUMENT", "", FIELD), gone("INVALID_ARGUMENT_TOKEN")),
    (fcm_answer(400, "INVALID_ARGUMENT", SENTENCE), gone("INVALID_ARGUMENT_TOKEN")),
    (fcm_answer(400, "INVALID_ARGUMENT", "", TTL), fault("INVALID_ARGUMENT")),
    (fcm_answer(400, "INVALID_ARGUMENT"), fault("INVALID_ARGUMENT")),
    (Answer(400, (), b""), fault("INVALID_ARGUMENT")),
    (fcm_answer(401, "THIRD_PARTY_AUTH_ERROR"), park("THIRD_PARTY_AUTH_ERROR")),
    (fcm_answer(401, ""), park("UNAUTHENTICATED")),
    (fcm_answer(403, "SENDER_ID_MISMATCH"), gone("SENDER_ID_MISMATCH")),
    (fcm_answer(403, ""), park("PERMISSION_DENIED")),
    (fcm_answer(404, "UNREGISTERED"), gone("UNREGISTERED")),
    (fcm_answer(404, ""), park("NOT_FOUND")),
    (Answer(404, (), b"<html>"), park("NOT_FOUND")),
    (fcm_answer(429, "QUOTA_EXCEEDED"), quota(60.0)),
    (fcm_answer(429, "QUOTA_EXCEEDED", "", PROJECT, wait="17"), quota(17.0)),
    (fcm_answer(429, "QUOTA_EXCEEDED", "", DEVICE), slow("QUOTA_EXCEEDED_DEVICE", False, 60.0)),
    (fcm_answer(500, "INTERNAL"), later("INTERNAL")),
    (fcm_answer(502, "UNAVAILABLE"), slow("UNAVAILABLE", True, 10.0)),
    (fcm_answer(503, "UNAVAILABLE", wait="Fri, 15 Jan 2027 08:01:00 GMT"), slow("UNAVAILABLE", True, 60.0)),
    (Answer(503, (), b"busy"), slow("UNAVAILABLE", True, 10.0)),
    (fcm_answer(418, "TEAPOT"), later("unrecognised_4xx")),
    (Answer(504, (), b""), later("unrecognised_5xx")),
    (Answer(200, (), b'{"name":"projects/p/messages/1"}'), ACCEPTED),
]


@pytest.mark.parametrize(("answer", "expected"), FCM)
def test_fcm_answer(answer: Answer, expected: Outcome) -> None:
    assert fcm.outcome(answer, NOW) == expected


def test_every_row_of_the_fcm_tables_is_tested() -> None:
    tested = {(answer.status, fcm.words(answer).code) for answer, _ in FCM}
    assert set(fcm.TABLE) <= tested
    assert set(fcm.BY_STATUS) <= {status for status, _ in tested}


def test_only_our_own_access_token_is_renewed_on_401() -> None:
    assert fcm.wants_new_token(fcm_answer(401, ""))
    assert not fcm.wants_new_token(fcm_answer(401, "THIRD_PARTY_AUTH_ERROR"))
    assert not fcm.wants_new_token(fcm_answer(403, ""))


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["error", "details", "message", "errorCode", "violations", "fieldViolations", "reason"]),
            inner,
        )
    ),
)


@given(status=st.integers(201, 599), body=JSON | st.binary())
def test_no_body_whatever_is_too_strange(status: int, body: Any) -> None:
    encoded = body if isinstance(body, bytes) else json.dumps(body).encode()
    for table in (apns, fcm):
        outcome = table.outcome(Answer(status, (), encoded), NOW)
        assert not isinstance(outcome, Accepted)


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        (b"120", 120.0),
        (b"0", 1.0),
        (b"99999999999999999999", 3600.0),
        (b"Fri, 15 Jan 2027 08:02:00 GMT", 120.0),
        (b"Fri, 15 Jan 2021 08:02:00 GMT", 1.0),
        (b"soon", None),
        (b"-5", None),
        (b"\xff\xfe", None),
        (b"", None),
        (None, None),
    ],
)
def test_retry_after_is_seconds_or_a_date_clamped_to_an_hour(value: bytes | None, seconds: float | None) -> None:
    assert retry_after_seconds(value, NOW) == seconds


@pytest.mark.parametrize(
    ("failure", "expected"),
    [
        (Failure(FailureKind.NOT_SENT, "refused_stream"), later("refused_stream")),
        (Failure(FailureKind.NOT_SENT, "connect_refused"), later("connect_refused")),
        (Failure(FailureKind.NOT_SENT, "certificate_refused"), park("certificate_refused")),
        (Failure(FailureKind.NOT_SENT, "no_http2"), park("no_http2")),
        (Failure(FailureKind.UNKNOWN, "no_answer_in_time"), Unknown(reason="no_answer_in_time")),
    ],
)
def test_a_failure_is_surely_not_processed_or_unknown(failure: Failure, expected: Outcome) -> None:
    assert failure_outcome(failure) == expected


def test_a_push_whose_turn_did_not_come_keeps_its_attempts() -> None:
    found = failure_outcome(Failure(FailureKind.NOT_SENT, OUT_OF_TIME))
    assert found == Throttled(reason=OUT_OF_TIME, lane_wide=True, retry_after_seconds=1.0)
