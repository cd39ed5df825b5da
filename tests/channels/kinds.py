"""The push channels as the joint sender contract sees them: one entry each, with a simulator in this process.

A new channel joins with one `Kind` in `KINDS`: how its simulator is built, how its sender is built, what its addresses
look like, and what each scripted answer must come to.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from email.utils import formatdate
from functools import cache
from pathlib import Path
from typing import Any

import msgspec
import trio
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_public_key

from channels.apns.client import ApnsSender, ApnsSettings
from channels.apns.credential import ProviderToken
from channels.fcm.client import FcmSender, FcmSettings
from channels.simulator.answers import Answer
from channels.simulator.apns import Apns
from channels.simulator.apns_rules import Sender as KnownSender
from channels.simulator.fcm import Fcm
from channels.simulator.ledger import Ledger
from channels.simulator.oauth import OAuth
from channels.simulator.provider_tokens import PublicKey
from channels.simulator.webpush import WebPush
from channels.simulator.webpush_keys import subscription
from channels.webpush.client import WebPushSender, WebPushSettings
from engine.records.person import Subscription
from engine.records.web_push import pack
from tests.channels.meanings import fault, gone, later, park, quota, slow
from tests.channels.simulated import Kind, Wanted
from tests.channels.test_push_clients import ec_key, pem, rsa_key
from tests.webpush.browsers import application_key, vapid_pem

STREAMS = 100
TOPIC, KEY_ID, TEAM_ID, PROJECT = "dk.klokke.parent", "KEY4567890", "TEAM567890", "klokke-test"


class CountedOAuth(OAuth):
    """A token endpoint that counts the tokens it gave."""

    def __init__(self, key: PublicKey | None, token_seconds: float, is_ours: Callable[[str], bool]) -> None:
        super().__init__(key, token_seconds, is_ours)
        self.given_at: list[float] = []
        """When it gave one, by trio's clock."""

    def answer(self, body: bytes, now: float) -> Answer:
        answer = super().answer(body, now)
        if answer.status == 200:
            self.given_at.append(trio.current_time())
        return answer

    @property
    def given(self) -> int:
        return len(self.given_at)

    def forget(self) -> None:
        """From now on no token given so far is good."""
        self._ends.clear()


# --- APNs ---


@cache
def public(key: str) -> Any:
    """The public half of a test key, as the simulators take it."""
    private = ec_key() if key == "ec" else rsa_key()
    return load_pem_public_key(private.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))


def apns_service(ledger: Ledger, url: str, topic: str = TOPIC) -> Apns:
    sender = KnownSender(public("ec"), KEY_ID, TEAM_ID, frozenset({topic}))
    return Apns(ledger, validating=True, sender=sender, streams=STREAMS, streams_at_first=1)


def apns_settings(url: str, ca_file: Path, topic: str = TOPIC) -> ApnsSettings:
    return ApnsSettings(
        topic=topic, team_id=TEAM_ID, key_id=KEY_ID, private_key_pem=pem(ec_key()), base_url=url, ca_file=str(ca_file),
        connections_max=2,
    )  # fmt: skip


def apns_sender(url: str, ca_file: Path, token: ProviderToken | None = None) -> ApnsSender:
    return ApnsSender(apns_settings(url, ca_file), token)


def _http_date(seconds_from_now: float) -> str:
    return formatdate(time.time() + seconds_from_now, usegmt=True)


def apns_wanted() -> list[Wanted]:
    """Apple's table (provider-semantics 1.4). 410 carries a time stamp, which the test looks at by itself."""
    ours = ("BadCollapseId", "BadExpirationDate", "BadMessageId", "BadPriority", "InvalidPushType", "DuplicateHeaders",
            "PayloadEmpty", "MissingDeviceToken")  # fmt: skip
    parks = ("InvalidProviderToken", "MissingProviderToken", "BadCertificate", "BadCertificateEnvironment",
             "BadEnvironmentKeyIdInToken", "Forbidden")  # fmt: skip
    return [
        Wanted(400, "BadDeviceToken", "", gone("BadDeviceToken")),
        Wanted(400, "DeviceTokenNotForTopic", "", gone("DeviceTokenNotForTopic")),
        *(Wanted(400, reason, "", fault(reason)) for reason in ours),
        *(Wanted(400, reason, "", park(reason)) for reason in ("BadTopic", "MissingTopic", "TopicDisallowed")),
        Wanted(400, "IdleTimeout", "", later("IdleTimeout"), 2),
        *(Wanted(403, reason, "", park(reason)) for reason in parks),
        Wanted(403, "UnrelatedKeyIdInToken", "", later("UnrelatedKeyIdInToken"), 2),
        Wanted(403, "ExpiredProviderToken", "", park("ExpiredProviderToken"), 2),
        Wanted(403, "ExpiredProviderToken", "", park("ExpiredProviderToken"), 1),  # renewed just now
        Wanted(404, "BadPath", "", fault("BadPath")),
        Wanted(405, "MethodNotAllowed", "", fault("MethodNotAllowed")),
        Wanted(413, "PayloadTooLarge", "", fault("PayloadTooLarge"), 2),
        Wanted(429, "TooManyRequests", "", slow("TooManyRequests", False)),
        Wanted(429, "TooManyRequests", 7, slow("TooManyRequests", False, 7.0)),
        Wanted(429, "TooManyProviderTokenUpdates", "", slow("TooManyProviderTokenUpdates", True)),
        Wanted(500, "InternalServerError", "", later("InternalServerError")),
        Wanted(503, "ServiceUnavailable", 0, slow("ServiceUnavailable", True, 1.0)),
        Wanted(503, "ServiceUnavailable", _http_date(7_200), slow("ServiceUnavailable", True, 3_600.0)),
        Wanted(503, "ServiceUnavailable", "soon", slow("ServiceUnavailable", True)),
        Wanted(503, "Shutdown", "", later("Shutdown"), 2),
        Wanted(400, "Brandnew", "", later("unrecognised_4xx")),
        Wanted(418, "Teapot", "", later("unrecognised_4xx")),
        Wanted(502, "BadGateway", "", later("unrecognised_5xx")),
        Wanted(302, "", "", later("unrecognised_3xx")),
    ]


# --- FCM ---


def fcm_service(ledger: Ledger, url: str, project: str = PROJECT) -> Fcm:
    oauth = CountedOAuth(public("rsa"), 3_600, {f"{url}/token"}.__contains__)
    return Fcm(ledger, oauth, validating=True, project=project, streams=STREAMS)


def fcm_settings(url: str, ca_file: Path, project: str = PROJECT) -> FcmSettings:
    return FcmSettings(
        project_id=project, client_email="push@klokke-test.example", private_key_pem=pem(rsa_key()),
        token_uri=f"{url}/token", base_url=url, ca_file=str(ca_file), connections_max=2,
    )  # fmt: skip


def fcm_sender(url: str, ca_file: Path) -> FcmSender:
    return FcmSender(fcm_settings(url, ca_file))


def fcm_wanted() -> list[Wanted]:
    """Google's table (provider-semantics 2.3)."""
    return [
        Wanted(400, "INVALID_ARGUMENT", "", fault("INVALID_ARGUMENT")),
        Wanted(401, "THIRD_PARTY_AUTH_ERROR", "", park("THIRD_PARTY_AUTH_ERROR")),
        Wanted(401, "UNAUTHENTICATED", "", park("UNAUTHENTICATED"), 2),
        Wanted(403, "SENDER_ID_MISMATCH", "", gone("SENDER_ID_MISMATCH")),
        Wanted(403, "PERMISSION_DENIED", "", park("PERMISSION_DENIED")),
        Wanted(404, "UNREGISTERED", "", gone("UNREGISTERED")),
        Wanted(404, "NOT_FOUND", "", park("NOT_FOUND")),
        Wanted(429, "QUOTA_EXCEEDED", "", quota(60.0)),
        Wanted(429, "QUOTA_EXCEEDED", 17, quota(17.0)),
        Wanted(429, "QUOTA_EXCEEDED", _http_date(7_200), quota(3_600.0)),
        Wanted(500, "INTERNAL", "", later("INTERNAL")),
        Wanted(502, "UNAVAILABLE", "", slow("UNAVAILABLE", True, 10.0)),
        Wanted(503, "UNAVAILABLE", 0, slow("UNAVAILABLE", True, 1.0)),
        Wanted(503, "busy", "soon", slow("UNAVAILABLE", True, 10.0)),
        Wanted(418, "TEAPOT", "", later("unrecognised_4xx")),
        Wanted(504, "", "", later("unrecognised_5xx")),
        Wanted(302, "", "", later("unrecognised_3xx")),
    ]


# --- Web Push ---


def webpush_service(ledger: Ledger, url: str) -> WebPush:
    return WebPush(ledger, origins=[url], validating=True, key=application_key(), streams=STREAMS)


def webpush_settings(url: str, ca_file: Path, private_key_pem: bytes = b"") -> WebPushSettings:
    return WebPushSettings(
        origin=url, private_key_pem=private_key_pem or vapid_pem(), subject="mailto:operator@example.dk",
        ca_file=str(ca_file), allow_private=True, connections_max=2,
    )  # fmt: skip


def webpush_sender(url: str, ca_file: Path) -> WebPushSender:
    return WebPushSender(webpush_settings(url, ca_file))


def webpush_address(url: str, token: bytes) -> bytes:
    return pack("parent", msgspec.convert(subscription(url, token.decode()), Subscription))


def webpush_wanted() -> list[Wanted]:
    """The push services' statuses (provider-semantics 3). The service took a push just before each of them."""
    other_key = gone("subscribed_with_another_key")
    keys = (
        (403, "the VAPID credentials do not correspond to those of the subscription"),  # Google, and RFC 8292
        (401, "VAPID public key mismatch"),  # Mozilla
        (400, "VapidPkHashMismatch"),  # Apple
    )
    return [
        Wanted(302, "", "", later("redirect_refused")),
        Wanted(400, "BadTtl", "", fault("bad_request")),
        Wanted(401, "Unauthorized", "", later("vapid_token_refused"), 2),  # a renewed token was refused as well
        Wanted(401, "Unauthorized", "", later("vapid_token_refused")),  # renewed just now
        Wanted(401, "Unauthorized", "", park("vapid_refused"), pushes=8),
        *(Wanted(status, reason, "", other_key) for status, reason in keys),
        *(Wanted(status, reason, "", park("vapid_refused"), pushes=8) for status, reason in keys),
        Wanted(404, "NotFound", "", gone("not_found")),
        Wanted(405, "MethodNotAllowed", "", fault("method_not_allowed")),
        Wanted(406, "", "", slow("too_many_requests", True)),
        Wanted(410, "Gone", "", gone("gone")),
        Wanted(411, "", "", fault("bad_request")),
        Wanted(413, "TooLarge", "", fault("payload_too_large"), 2),
        Wanted(415, "", "", fault("bad_request")),
        Wanted(429, "", "", slow("too_many_requests", True)),
        Wanted(429, "", 17, slow("too_many_requests", True, 17.0)),
        Wanted(429, "", _http_date(7_200), slow("too_many_requests", True, 3_600.0)),
        Wanted(500, "", "", later("internal")),
        Wanted(502, "", "", later("unavailable")),
        Wanted(503, "", 120, slow("unavailable", True, 120.0)),  # what Mozilla says
        Wanted(503, "", 0, slow("unavailable", True, 1.0)),
        Wanted(503, "", "soon", later("unavailable")),
        Wanted(504, "", "", later("unavailable")),
        Wanted(418, "Teapot", "", later("unrecognised_4xx")),
        Wanted(507, "", "", later("unrecognised_5xx")),
    ]


KINDS = (
    Kind(
        name="apns",
        lane="apns.parent",
        token=lambda n: b"%064x" % n,
        service=apns_service,
        speaks_http1=False,
        sender=apns_sender,
        wanted=apns_wanted,
        gone=(400, "BadDeviceToken"),
    ),
    Kind(
        name="fcm",
        lane="fcm.parent",
        token=lambda n: b"0dQw4w9WgXcQ:APA91b_%06d" % n,
        service=fcm_service,
        speaks_http1=True,
        sender=fcm_sender,
        wanted=fcm_wanted,
        gone=(404, "UNREGISTERED"),
    ),
    Kind(
        name="webpush",
        lane="webpush.test",
        token=lambda n: b"0browser-%06d" % n,
        service=webpush_service,
        speaks_http1=True,
        sender=webpush_sender,
        wanted=webpush_wanted,
        gone=(410, "Gone"),
        address=webpush_address,
        accepted="201",
    ),
)
