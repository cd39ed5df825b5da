"""Every answer that Apple and Google document: what provokes it here, by a request or only by a script.

The rows are those of the providers' own error tables; a reason that is in neither table fails the last test.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import urlencode

import jwt
import msgspec
import pytest

from channels.simulator import apns_rules, fcm_rules
from channels.simulator.answers import Answer
from channels.simulator.apns import Apns
from channels.simulator.apns_rules import Sender
from channels.simulator.fcm import Fcm
from channels.simulator.ledger import Ledger
from channels.simulator.oauth import GRANT, OAuth
from channels.simulator.service import Fate
from tests.simulator.conftest import TOPIC, KeyPair

NOW = 1_800_000_000.0
ALERT = b'{"aps":{"alert":"x"}}'
TOKEN = "0a" * 32
PATH = "/3/device/"

# reason -> headers that are changed (None: left out), and the body
APNS_BY_REQUEST: Mapping[str, tuple[Mapping[str, str | None], bytes]] = {
    "BadCollapseId": ({"apns-collapse-id": "x" * 65}, ALERT),
    "BadDeviceToken": ({":path": PATH + "badd" + TOKEN}, ALERT),
    "BadExpirationDate": ({"apns-expiration": "soon"}, ALERT),
    "BadMessageId": ({"apns-id": "1"}, ALERT),
    "BadPath": ({":path": "/3/phone/" + TOKEN}, ALERT),
    "BadPriority": ({"apns-priority": "7"}, ALERT),
    "BadTopic": ({"apns-topic": "a b"}, ALERT),
    "DeviceTokenNotForTopic": ({":path": PATH + "cafe" + TOKEN}, ALERT),
    "DuplicateHeaders": ({"apns-topic ": TOPIC}, ALERT),  # the blank is cut off below: it stands there twice
    "ExpiredProviderToken": ({"authorization": "old"}, ALERT),
    "InvalidProviderToken": ({"authorization": "bearer x.y.z"}, ALERT),
    "InvalidPushType": ({"apns-push-type": "loud"}, ALERT),
    "MethodNotAllowed": ({":method": "GET"}, ALERT),
    "MissingDeviceToken": ({":path": PATH}, ALERT),
    "MissingProviderToken": ({"authorization": None}, ALERT),
    "MissingTopic": ({"apns-topic": None}, ALERT),
    "PayloadEmpty": ({}, b""),
    "PayloadTooLarge": ({}, b'{"aps":{"alert":"%b"}}' % (b"x" * 4096)),
    "ServiceUnavailable": ({":path": PATH + "fade" + TOKEN}, ALERT),
    "TooManyRequests": ({":path": PATH + "feed" + TOKEN}, ALERT),
    "TopicDisallowed": ({"apns-topic": "dk.other"}, ALERT),
    "Unregistered": ({":path": PATH + "dead" + TOKEN}, ALERT),
}
APNS_BY_SCRIPT = {  # certificates, a shared past of connections, or Apple's own trouble: no single request decides
    *("BadCertificate", "BadCertificateEnvironment", "BadEnvironmentKeyIdInToken", "ExpiredToken", "Forbidden"),
    *("IdleTimeout", "InternalServerError", "Shutdown", "TooManyProviderTokenUpdates", "UnrelatedKeyIdInToken"),
}


def apns() -> Apns:
    sender = Sender(topics=frozenset({TOPIC}))
    service = Apns(Ledger(None), validating=True, sender=sender, streams=9, streams_at_first=1)
    service.begin(NOW)
    return service


def asked(bearer: Callable[..., str], changed: Mapping[str, str | None], body: bytes, fate: Fate | None) -> Answer:
    headers: dict[str, str | None] = {":method": "POST", ":scheme": "https", ":path": PATH + TOKEN}
    headers |= {"apns-topic": TOPIC, "authorization": bearer(NOW), **changed}
    if headers["authorization"] == "old":
        headers["authorization"] = bearer(NOW - 3700)
    fields = [(name.strip().encode(), value.encode()) for name, value in headers.items() if value is not None]
    return apns().answer(fields, body, fate)


@pytest.mark.parametrize("reason", APNS_BY_REQUEST)
def test_a_request_provokes_apples_reason(bearer: Callable[..., str], reason: str) -> None:
    answer = asked(bearer, *APNS_BY_REQUEST[reason], None)
    told = msgspec.json.decode(answer.body)
    assert (answer.status, told["reason"]) == (apns_rules.STATUS[reason], reason)
    assert ("timestamp" in told) == (answer.status == 410), "Apple gives a time with 410 only"


@pytest.mark.parametrize("reason", apns_rules.STATUS)
def test_a_script_can_give_every_reason_of_apple(bearer: Callable[..., str], reason: str) -> None:
    status = apns_rules.STATUS[reason]
    answer = asked(bearer, {}, ALERT, Fate(status, reason))
    assert (answer.status, msgspec.json.decode(answer.body)["reason"]) == (status, reason)


def test_no_reason_of_apple_is_left_out() -> None:
    assert set(APNS_BY_REQUEST) | APNS_BY_SCRIPT == set(apns_rules.STATUS)
    assert not set(APNS_BY_REQUEST) & APNS_BY_SCRIPT


GOOD: dict[str, Any] = {"token": "0token-1"}
# reason -> headers that are changed (None: left out), and the message
FCM_BY_REQUEST: Mapping[str, tuple[Mapping[str, str | None], dict[str, Any]]] = {
    "INVALID_ARGUMENT": ({}, {**GOOD, "data": {"from": "x"}}),
    "NOT_FOUND": ({":path": "/v1/projects/other/messages:send"}, GOOD),
    "QUOTA_EXCEEDED": ({}, {"token": "feed-1234"}),
    "SENDER_ID_MISMATCH": ({}, {"token": "cafe-1234"}),
    "UNAUTHENTICATED": ({"authorization": None}, GOOD),
    "UNAVAILABLE": ({}, {"token": "fade-1234"}),
    "UNREGISTERED": ({}, {"token": "dead-1234"}),
}
FCM_BY_SCRIPT = {"INTERNAL", "PERMISSION_DENIED", "THIRD_PARTY_AUTH_ERROR"}
NO_DETAIL = {"NOT_FOUND", "PERMISSION_DENIED", "UNAUTHENTICATED"}


def asked_of_fcm(
    rsa_key: KeyPair, changed: Mapping[str, str | None], message: dict[str, Any], fate: Fate | None
) -> Answer:
    service = Fcm(Ledger(None), OAuth(None, 3600, bool), validating=True, project="p", streams=9)
    service.begin(NOW)
    claims = {"iss": "a", "aud": "b", "scope": fcm_rules.SCOPE, "iat": NOW, "exp": NOW + 60}
    form = urlencode({"grant_type": GRANT, "assertion": jwt.encode(claims, rsa_key.private, "RS256")}).encode()
    access = msgspec.json.decode(service.answer([(b":method", b"POST"), (b":path", b"/token")], form, None).body)
    headers: dict[str, str | None] = {":method": "POST", ":path": "/v1/projects/p/messages:send"}
    headers |= {"authorization": f"Bearer {access['access_token']}", **changed}
    fields = [(name.encode(), value.encode()) for name, value in headers.items() if value is not None]
    return service.answer(fields, msgspec.json.encode({"message": message}), fate)


def reason_of(answer: Answer) -> tuple[int, str, str]:
    """Status, google.rpc status, and FcmError code where there is one."""
    error = msgspec.json.decode(answer.body)["error"]
    codes = [detail["errorCode"] for detail in error.get("details", ()) if "errorCode" in detail]
    return answer.status, error["status"], "".join(codes)


@pytest.mark.parametrize("reason", FCM_BY_REQUEST)
def test_a_request_provokes_googles_error(rsa_key: KeyPair, reason: str) -> None:
    answer = asked_of_fcm(rsa_key, *FCM_BY_REQUEST[reason], None)
    assert reason_of(answer) == (*fcm_rules.RPC_OF[reason], "" if reason in NO_DETAIL else reason)
    has_wait = b"retry-after" in dict(answer.fields)
    assert has_wait == (reason in ("QUOTA_EXCEEDED", "UNAVAILABLE"))


@pytest.mark.parametrize("reason", fcm_rules.RPC_OF)
def test_a_script_can_give_every_error_of_google(rsa_key: KeyPair, reason: str) -> None:
    answer = asked_of_fcm(rsa_key, {}, GOOD, Fate(fcm_rules.RPC_OF[reason][0], reason))
    assert reason_of(answer) == (*fcm_rules.RPC_OF[reason], "" if reason in NO_DETAIL else reason)


def test_no_error_of_google_is_left_out() -> None:
    assert set(FCM_BY_REQUEST) | FCM_BY_SCRIPT == set(fcm_rules.RPC_OF)
    assert not set(FCM_BY_REQUEST) & FCM_BY_SCRIPT


def test_a_request_without_fault_is_taken_by_both(bearer: Callable[..., str], rsa_key: KeyPair) -> None:
    assert asked(bearer, {}, ALERT, None).status == 200
    assert asked_of_fcm(rsa_key, {}, GOOD, None).status == 200
