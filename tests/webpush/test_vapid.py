"""The VAPID token: what it claims, when it is renewed, and keys that are none."""

from __future__ import annotations

import re
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from channels.signed_token import RENEW_AGAIN_SECONDS
from channels.webpush.vapid import LIFE_SECONDS, RENEW_AFTER_SECONDS, VapidToken
from tests.webpush.browsers import application_key, unb64, vapid_pem

ORIGIN, CONTACT = "https://fcm.googleapis.com", "mailto:operator@example.dk"
START = 1_800_000_000.0


class Clock:
    def __init__(self) -> None:
        self.now = START

    def __call__(self) -> float:
        return self.now


def token_at(clock: Clock) -> VapidToken:
    return VapidToken(vapid_pem(), ORIGIN, CONTACT, clock)


def claims_of(header: bytes) -> dict[str, Any]:
    found = re.fullmatch(r"vapid t=([A-Za-z0-9_.\-]+), k=([A-Za-z0-9_\-]+)", header.decode())
    assert found
    assert found[2] == application_key()
    key = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), unb64(found[2]))
    options: Any = {"verify_exp": False, "verify_aud": False}
    return jwt.decode(found[1], key, algorithms=["ES256"], options=options)


def test_the_token_names_the_push_service_its_end_and_the_operator() -> None:
    claims = claims_of(token_at(Clock()).header())
    assert claims == {"aud": ORIGIN, "exp": START + LIFE_SECONDS, "sub": CONTACT}
    assert LIFE_SECONDS <= 24 * 3600


def test_the_token_is_kept_for_hours_and_renewed_long_before_its_end() -> None:
    clock = Clock()
    token = token_at(clock)
    first = token.header()
    clock.now += RENEW_AFTER_SECONDS - 1
    assert token.header() is first
    clock.now += 2
    assert claims_of(token.header())["exp"] == int(clock.now) + LIFE_SECONDS
    clock.now = START - 100  # our clock was set back
    assert claims_of(token.header())["exp"] == clock.now + LIFE_SECONDS


def test_many_refusals_make_one_renewal() -> None:
    clock = Clock()
    token = token_at(clock)
    used = token.header()
    clock.now += 60
    assert [token.renew_refused(used) for _ in range(50)] == [True] * 50
    second = token.header()
    assert second != used
    assert not token.renew_refused(second)
    assert token.header() is second
    clock.now += RENEW_AGAIN_SECONDS
    assert token.renew_refused(second)


def pem(key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey) -> bytes:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


@pytest.mark.parametrize(
    "key",
    [b"", b"secret-of-ours", pem(ec.generate_private_key(ec.SECP384R1())), pem(rsa.generate_private_key(65537, 2048))],
)
def test_a_key_that_is_none_is_named_by_its_setting_and_not_shown(key: bytes) -> None:
    with pytest.raises(ValueError, match=r"^vapid_key_file: ") as caught:
        VapidToken(key, ORIGIN, CONTACT)
    assert "secret-of-ours" not in str(caught.value)


@pytest.mark.parametrize("contact", ["", "operator@example.dk", "http://example.dk", "mailto:"])
def test_a_contact_must_be_one(contact: str) -> None:
    with pytest.raises(ValueError, match=r"^subject: "):
        VapidToken(vapid_pem(), ORIGIN, contact)
