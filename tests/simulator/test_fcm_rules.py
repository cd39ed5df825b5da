"""Google's rules for messages and for OAuth, one row a rule."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

import jwt
import msgspec
import pytest

from channels.simulator import fcm_rules as rules
from channels.simulator.fcm_rules import FcmError
from channels.simulator.oauth import GRANT, OAuth
from channels.simulator.provider_tokens import KeyFault, read_public_key
from tests.simulator.conftest import KeyPair

NOW = 1_800_000_000.0
TO = {"token": "0token-1"}


def judge(message: Any) -> FcmError | None:
    body = msgspec.json.encode({"message": message})
    read = rules.read(body)
    return read if isinstance(read, FcmError) else rules.judge(read, len(body))


@pytest.mark.parametrize(
    "message",
    [
        TO,
        {"fid": "0installation"},
        {"topic": "news"},
        {"condition": "'a' in topics && 'b' in topics"},
        {**TO, "notification": {"title": "T", "body": "B"}, "data": {"k": "v"}},
        {**TO, "notification": {}},
        {**TO, "android": {"ttl": "0s", "priority": "HIGH", "collapse_key": "c", "notification": {"tag": "t"}}},
        {**TO, "android": {"ttl": "2419200s"}},
        {**TO, "android": {"collapseKey": "c", "directBootOk": True}},
        {**TO, "apns": {"headers": {"apns-priority": "5"}, "payload": {"aps": {"alert": "x", "mutable-content": 1}}}},
        {**TO, "webpush": {"notification": {"requireInteraction": True}, "fcm_options": {"link": "https://a.dk"}}},
        {**TO, "data": {"k": "x" * 4095}},
        {"topic": "news", "data": {"k": "x" * 2047}},
        {**TO, "notification": {"body": "æ" * 2044}},
    ],
)
def test_what_google_takes(message: Any) -> None:
    assert judge(message) is None


@pytest.mark.parametrize(
    ("message", "field"),
    [
        ({}, "message"),
        ({**TO, "topic": "news"}, "message"),
        ({"token": ""}, "message.token"),
        ({"token": "with space"}, "message.token"),
        ({"topic": "a b"}, "message.topic"),
        ({"condition": "news"}, "message.condition"),
        ({"condition": " || ".join(["'a' in topics"] * 6)}, "message.condition"),
        ({**TO, "data": {"n": 1}}, "message.data[...]"),
        ({**TO, "data": {"from": "x"}}, "message.data"),
        ({**TO, "data": {"googleX": "x"}}, "message.data"),
        ({**TO, "data": {"gcm.x": "x"}}, "message.data"),
        ({**TO, "android": {"data": {"gcm": "x"}}}, "message.android.data"),
        ({**TO, "android": {"ttl": "2419201s"}}, "message.android.ttl"),
        ({**TO, "android": {"ttl": 60}}, "message.android.ttl"),
        ({**TO, "android": {"ttl": "60"}}, "message.android.ttl"),
        ({**TO, "android": {"priority": "urgent"}}, "message.android.priority"),
        ({**TO, "colour": "red"}, "message"),
        ({**TO, "notification": {"title": None}}, "message.notification.title"),
        ({**TO, "data": {"k": "x" * 4096}}, "message"),
        ({"topic": "news", "data": {"k": "x" * 2048}}, "message"),
        ({**TO, "notification": {"body": "æ" * 2047}}, "message"),
        ({**TO, "fcm_options": {"analytics_label": "x" * 51}}, "message.fcm_options.analytics_label"),
    ],
)
def test_what_google_refuses_and_the_field_it_names(message: Any, field: str) -> None:
    fault = judge(message)
    assert fault is not None
    assert (fault.http, fault.code, fault.field) == (400, "INVALID_ARGUMENT", field)


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"\xff", b"[" * 100_000, b'{"message":{},"dry":1}'])
def test_what_is_no_message_at_all(body: bytes) -> None:
    fault = rules.read(body)
    assert isinstance(fault, FcmError)
    assert fault.http == 400


def test_an_error_is_a_google_rpc_status_with_details() -> None:
    error = msgspec.json.decode(rules.error_body(rules.invalid("message.token", "why")))["error"]
    assert (error["code"], error["status"], error["message"]) == (400, "INVALID_ARGUMENT", "why")
    fcm, request = error["details"]
    assert fcm == {
        "@type": "type.googleapis.com/google.firebase.fcm.v1.FcmError",
        "errorCode": "INVALID_ARGUMENT",
    }
    assert request["fieldViolations"] == [{"field": "message.token", "description": "why"}]


def test_an_error_about_the_caller_has_no_fcm_code() -> None:
    error = msgspec.json.decode(rules.error_body(rules.error("NOT_FOUND", "x")))["error"]
    assert "details" not in error


CLAIMS = {"iss": "a@b.dk", "aud": "https://here/token", "scope": rules.SCOPE, "iat": NOW, "exp": NOW + 3600}


@pytest.mark.parametrize(
    ("changed", "error"),
    [
        ({}, None),
        ({"scope": "email " + rules.SCOPE}, None),
        ({"scope": "email"}, "invalid_scope"),
        ({"aud": "https://there/token"}, "invalid_grant"),
        ({"iss": None}, "invalid_grant"),
        ({"exp": NOW + 3601}, "invalid_grant"),
        ({"iat": NOW - 7200, "exp": NOW - 3600}, "invalid_grant"),
        ({"iat": NOW + 600, "exp": NOW + 900}, "invalid_grant"),
        ({"exp": "later"}, "invalid_grant"),
    ],
)
def test_the_assertion(rsa_key: KeyPair, changed: dict[str, Any], error: str | None) -> None:
    oauth = OAuth(read_public_key(rsa_key.public_file, "RS256"), 60, "https://here/token".__eq__)
    claims = {name: value for name, value in (CLAIMS | changed).items() if value is not None}
    assertion = jwt.encode(claims, rsa_key.private, "RS256")
    answer = oauth.answer(urlencode({"grant_type": GRANT, "assertion": assertion}).encode(), NOW)
    content = msgspec.json.decode(answer.body)
    assert content.get("error") == error
    if error is None:
        assert oauth.until(content["access_token"]) == NOW + 60
        assert (content["expires_in"], content["token_type"]) == (60, "Bearer")


@pytest.mark.parametrize(
    ("form", "error"),
    [
        ({"grant_type": "password"}, "unsupported_grant_type"),
        ({"grant_type": GRANT}, "invalid_request"),
        ({"grant_type": GRANT, "assertion": "x.y.z"}, "invalid_grant"),
    ],
)
def test_the_form(form: dict[str, str], error: str) -> None:
    answer = OAuth(None, 60, bool).answer(urlencode(form).encode(), NOW)
    assert (answer.status, msgspec.json.decode(answer.body)["error"]) == (400, error)


def test_a_forged_assertion_is_refused(rsa_key: KeyPair, ec_key: KeyPair) -> None:
    key = read_public_key(rsa_key.public_file, "RS256")
    forged = jwt.encode(CLAIMS, ec_key.private, "ES256")
    form = urlencode({"grant_type": GRANT, "assertion": forged}).encode()
    assert OAuth(key, 60, bool).answer(form, NOW).status == 400


def test_a_key_of_the_wrong_kind_is_named(rsa_key: KeyPair, ec_key: KeyPair) -> None:
    with pytest.raises(KeyFault, match="needs a P-256 public key"):
        read_public_key(rsa_key.public_file, "ES256")
    with pytest.raises(KeyFault, match="needs an RSA public key"):
        read_public_key(ec_key.public_file, "RS256")
