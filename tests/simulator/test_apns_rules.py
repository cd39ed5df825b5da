"""Apple's rules, one row a rule."""

from __future__ import annotations

from collections.abc import Callable

import jwt
import pytest

from channels.simulator import apns_rules as rules
from channels.simulator.apns_rules import Credential, Sender
from channels.simulator.provider_tokens import read_public_key
from tests.simulator.conftest import KEY_ID, TEAM_ID, TOPIC, KeyPair

NOW = 1_800_000_000.0


@pytest.mark.parametrize(
    ("method", "path", "reason"),
    [
        ("POST", "/3/device/" + "0a" * 32, ""),
        ("POST", "/3/device/" + "0A" * 50, ""),
        ("GET", "/3/device/" + "0a" * 32, "MethodNotAllowed"),
        ("POST", "/2/device/" + "0a" * 32, "BadPath"),
        ("POST", "/3/device/" + "0a" * 32 + "/x", "BadPath"),
        ("POST", "/3/device/", "MissingDeviceToken"),
        ("POST", "/3/device/xyz", "BadDeviceToken"),
        ("POST", "/3/device/0a0", "BadDeviceToken"),
    ],
)
def test_the_request_line(method: str, path: str, reason: str) -> None:
    assert rules.judge_line(method, path) == reason


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({}, ""),
        ({"apns-id": "123e4567-e89b-12d3-a456-426614174000"}, ""),
        ({"apns-id": "123E4567-E89B-12D3-A456-426614174000"}, "BadMessageId"),
        ({"apns-id": "123"}, "BadMessageId"),
        ({"apns-topic": ""}, "MissingTopic"),
        ({"apns-topic": "a b"}, "BadTopic"),
        ({"apns-topic": "dk.other"}, "TopicDisallowed"),
        ({"apns-push-type": "alert"}, ""),
        ({"apns-push-type": "loud"}, "InvalidPushType"),
        ({"apns-push-type": "background", "apns-priority": "5"}, ""),
        ({"apns-push-type": "background", "apns-priority": "10"}, "BadPriority"),
        ({"apns-push-type": "voip"}, "BadTopic"),
        ({"apns-push-type": "voip", "apns-topic": TOPIC + ".voip"}, ""),
        ({"apns-push-type": "liveactivity", "apns-topic": TOPIC + ".push-type.liveactivity"}, ""),
        ({"apns-priority": "1"}, ""),
        ({"apns-priority": "7"}, "BadPriority"),
        ({"apns-expiration": "0"}, ""),
        ({"apns-expiration": "1800000000"}, ""),
        ({"apns-expiration": "-1"}, "BadExpirationDate"),
        ({"apns-expiration": "soon"}, "BadExpirationDate"),
        ({"apns-expiration": "²"}, "BadExpirationDate"),
        ({"apns-collapse-id": "x" * 64}, ""),
        ({"apns-collapse-id": "x" * 65}, "BadCollapseId"),
        ({"apns-collapse-id": "æ" * 33}, "BadCollapseId"),
    ],
)
def test_the_headers(changed: dict[str, str], reason: str) -> None:
    headers = {"apns-topic": TOPIC} | changed
    fields = [(name.encode(), value.encode()) for name, value in headers.items()]
    assert rules.judge_headers(fields, Sender(topics=frozenset({TOPIC}))) == reason


def test_a_header_that_stands_twice_is_a_duplicate() -> None:
    fields = [(b"apns-topic", b"a"), (b"apns-topic", b"a")]
    assert rules.judge_headers(fields, Sender()) == "DuplicateHeaders"


def test_without_a_topic_it_is_missing() -> None:
    assert rules.judge_headers([], Sender()) == "MissingTopic"


ALERT = b'{"aps":{"alert":"x"}}'
SILENT = b'{"aps":{"content-available":1}}'


@pytest.mark.parametrize(
    ("body", "push_type", "reason"),
    [
        (ALERT, "alert", ""),
        (b'{"aps":{"badge":0}}', "alert", ""),
        (b'{"aps":{"sound":"default"}}', "alert", ""),
        (SILENT, "background", ""),
        (ALERT, "background", "InvalidPushType"),
        (SILENT, "alert", "InvalidPushType"),
        (b"", "alert", "PayloadEmpty"),
        (b"{", "alert", "PayloadEmpty"),
        (b"[]", "alert", "PayloadEmpty"),
        (b"{}", "alert", "PayloadEmpty"),
        (b'{"aps":1}', "alert", "PayloadEmpty"),
        (b'{"aps":{"alert":"\xff"}}', "alert", "PayloadEmpty"),
        (b"[" * 100_000, "alert", "PayloadTooLarge"),
        (b"[" * 4000, "alert", "PayloadEmpty"),
        (b'{"aps":{"alert":"%b"}}' % (b"x" * (4096 - 20)), "alert", ""),
        (b'{"aps":{"alert":"%b"}}' % (b"x" * (4097 - 20)), "alert", "PayloadTooLarge"),
        (b'{"aps":{"alert":"%b"}}' % ("æ".encode() * 2040), "alert", "PayloadTooLarge"),
        (b'{"aps":{"alert":"%b"}}' % (b"x" * 5000), "voip", ""),
        (b'{"mdm":"magic"}', "mdm", ""),
    ],
)
def test_the_payload(body: bytes, push_type: str, reason: str) -> None:
    assert rules.judge_payload(rules.read_payload(body), len(body), push_type) == reason


def test_the_ledgers_columns_come_from_the_payload() -> None:
    whole = rules.read_payload(b'{"aps":{"alert":{"title":"T","body":"B"}},"klokke":{"event":"e"}}')
    assert (whole.title, whole.body, whole.event) == ("T", "B", "e")
    flat = rules.read_payload(b'{"aps":{"alert":"B"},"klokke.event":"e"}')
    assert (flat.title, flat.body, flat.event) == ("", "B", "e")


@pytest.mark.parametrize(
    ("authorization", "reason"),
    [(None, "MissingProviderToken"), ("basic x", "MissingProviderToken"), ("bearer x.y.z", "InvalidProviderToken")],
)
def test_a_token_that_is_none(authorization: str | None, reason: str) -> None:
    assert rules.credential(authorization, Sender(), NOW) == Credential(reason)


@pytest.mark.parametrize(
    ("age_seconds", "reason"),
    [(0, ""), (3599, ""), (3601, "ExpiredProviderToken"), (-3601, "ExpiredProviderToken"), (-60, "")],
)
def test_a_token_lives_an_hour(bearer: Callable[..., str], ec_key: KeyPair, age_seconds: float, reason: str) -> None:
    sender = Sender(read_public_key(ec_key.public_file, "ES256"), KEY_ID, TEAM_ID)
    checked = rules.credential(bearer(NOW - age_seconds), sender, NOW)
    assert checked.reason == reason
    assert reason or checked.until == NOW - age_seconds + 3600


@pytest.mark.parametrize(
    ("header", "claims"),
    [
        ({"kid": "OTHERKEY00"}, {"iss": TEAM_ID, "iat": int(NOW)}),
        ({"kid": KEY_ID}, {"iss": "OTHERTEAM0", "iat": int(NOW)}),
        ({"kid": KEY_ID}, {"iss": TEAM_ID}),
        ({"kid": KEY_ID}, {"iss": TEAM_ID, "iat": "now"}),
        ({"kid": "short"}, {"iss": TEAM_ID, "iat": int(NOW)}),
        ({}, {"iss": TEAM_ID, "iat": int(NOW)}),
    ],
)
def test_a_token_of_another_key_or_team_is_invalid(
    ec_key: KeyPair, header: dict[str, str], claims: dict[str, object]
) -> None:
    token = jwt.encode(claims, ec_key.private, "ES256", headers=header)
    sender = Sender(read_public_key(ec_key.public_file, "ES256"), KEY_ID, TEAM_ID)
    assert rules.credential("bearer " + token, sender, NOW).reason == "InvalidProviderToken"


def test_a_token_with_another_signature_or_algorithm_is_invalid(ec_key: KeyPair, bearer: Callable[..., str]) -> None:
    sender = Sender(read_public_key(ec_key.public_file, "ES256"))
    token = bearer(NOW)
    forged = token[:-8] + ("A" * 8 if not token.endswith("A" * 8) else "B" * 8)
    assert rules.credential(forged, sender, NOW).reason == "InvalidProviderToken"
    weak = jwt.encode({"iss": TEAM_ID, "iat": int(NOW)}, "secret" * 8, "HS256", headers={"kid": KEY_ID})
    assert rules.credential("bearer " + weak, sender, NOW).reason == "InvalidProviderToken"


def test_every_reason_has_its_status_and_every_usual_reason_fits_it() -> None:
    assert all(rules.STATUS[reason] == status for status, reason in rules.USUAL_REASON.items())
    assert set(rules.STATUS.values()) == {400, 403, 404, 405, 410, 413, 429, 500, 503}
