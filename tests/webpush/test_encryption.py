"""Encryption against the RFC's own example and against a decryptor written from the RFC."""

from __future__ import annotations

import pytest
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import given, settings
from hypothesis import strategies as st

from channels.webpush.encryption import BODY_BYTES_MAX, PAD_STEP_BYTES, PLAIN_BYTES_MAX, encrypt, padded_bytes, seal
from tests.webpush.browsers import CURVE, Browser, browser, unb64

# RFC 8291 appendix A
TEXT = b"When I grow up, I want to be a watermelon"
SENDER = "yfWPiYE-n46HLnH0KqZOF1fJJU3MYrct3AELtAQ-oRw"
RECEIVER = "q1dXpw3UpT5VOmu_cf_v6ih07Aems3njxI-JWgLcM94"
RECEIVER_POINT = "BCVxsr7N_eNgVRqvHtD0zTZsEc6-VV-JvLexhqUzORcxaOzi6-AYWXvTBHm4bjyPjs7Vd8pZGH6SRpkNtoIAiw4"
SECRET = "BTBZMqHH6r4Tts7J_aSIgg"
SALT = "DGv6ra1nlYgDCS1FRnbzlw"
BODY = (
    "DGv6ra1nlYgDCS1FRnbzlwAAEABBBP4z9KsN6nGRTbVYI_c7VJSPQTBtkgcy27mlmlMoZIIgDll6e3vCYLocInmYWAmS6TlzAC8wEqKK6PBru3jl7A_"
    "yl95bQpu6cVPTpK4Mqgkf1CXztLVBSt2Ks3oZwbuwXPXLWyouBWLVWGNWQexSgSxsj_Qulcy4a-fN"
)


def private(text: str) -> ec.EllipticCurvePrivateKey:
    return ec.derive_private_key(int.from_bytes(unb64(text), "big"), CURVE)


def test_the_example_of_the_rfc_comes_out_to_the_letter() -> None:
    made = seal(TEXT, unb64(RECEIVER_POINT), unb64(SECRET), private(SENDER), unb64(SALT), len(TEXT))
    assert made == unb64(BODY)


def test_the_tests_own_decryptor_opens_the_example_of_the_rfc() -> None:
    receiver = Browser(private(RECEIVER), unb64(SECRET))
    assert receiver.point == unb64(RECEIVER_POINT)
    assert receiver.open(unb64(BODY)) == TEXT


@settings(max_examples=60, deadline=None)
@given(st.binary(max_size=PLAIN_BYTES_MAX), st.integers(0, 5), st.integers(0, 5))
def test_the_browser_opens_what_was_encrypted_for_it_and_no_other_does(text: bytes, one: int, other: int) -> None:
    receiver = browser(one)
    body = encrypt(text, receiver.point, receiver.secret)
    assert receiver.open(body) == text
    assert len(body) <= BODY_BYTES_MAX
    if one != other:
        with pytest.raises(InvalidTag):
            browser(other).open(body)


def test_every_message_has_a_salt_and_a_key_of_its_own() -> None:
    receiver = browser()
    bodies = [encrypt(b"the same", receiver.point, receiver.secret) for _ in range(20)]
    assert len({body[:16] for body in bodies}) == len({body[21:86] for body in bodies}) == 20


def test_lengths_tell_no_more_than_a_step_of_padding() -> None:
    receiver = browser()
    sizes = {len(encrypt(b"x" * size, receiver.point, receiver.secret)) for size in range(0, PAD_STEP_BYTES, 37)}
    assert len(sizes) == 1
    assert [padded_bytes(size) for size in (0, 1, 512, 513, 3900, 3993)] == [512, 512, 512, 1024, 3993, 3993]


def test_a_text_that_does_not_fit_one_record_is_refused() -> None:
    receiver = browser()
    assert len(encrypt(b"x" * PLAIN_BYTES_MAX, receiver.point, receiver.secret)) == BODY_BYTES_MAX
    with pytest.raises(ValueError, match="one record"):
        encrypt(b"x" * (PLAIN_BYTES_MAX + 1), receiver.point, receiver.secret)


@pytest.mark.parametrize("point", [b"", b"\x04" + b"\x01" * 64, b"\x02" + b"\x01" * 32, b"\x00" * 65])
def test_a_key_that_is_no_point_of_the_curve_is_refused(point: bytes) -> None:
    with pytest.raises(ValueError, match=r"(?i)point|key|curve|invalid|unsupported|empty"):
        encrypt(b"text", point, b"s" * 16)
