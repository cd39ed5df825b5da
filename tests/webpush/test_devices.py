"""Which devices are taken: hostile endpoints, keys that are none, tokens in the wrong place. Nothing is repeated."""

from __future__ import annotations

import json
from base64 import urlsafe_b64decode
from typing import Any

import httpx
import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.records.person import Device, Subscription, SubscriptionKeys
from engine.records.web_push import device_of, pack, unpack
from engine.records.words import Platform
from engine.rules.devices import DeviceRules, PushService, is_point, origin_of
from queueing.directory import StoreDirectory
from queueing.directory.ndjson import read_line
from queueing.link import Link
from tests.intake.conftest import NOW_MS, Town, problem, settle
from tests.webpush.browsers import Browser, b64, browser
from tests.webpush.hostile import ELSEWHERE, GOOD, ORIGIN

RULES = DeviceRules(
    [PushService("webpush.all", ORIGIN), PushService("webpush.staff", "https://other.example", "staff")]
)
ENDPOINT = f"{ORIGIN}/push/secret-path"
TOKEN = "0123456789abcdef"


@pytest.mark.parametrize("endpoint", ELSEWHERE)
def test_an_endpoint_elsewhere_is_refused_without_being_repeated(endpoint: str) -> None:
    fault = RULES.fault_of(browser().device(endpoint))
    assert fault is not None
    assert fault.field == "subscription.endpoint"
    assert fault.sentence == f"not at a push service that is allowed for this app ({ORIGIN})"


@pytest.mark.parametrize("endpoint", GOOD)
def test_an_endpoint_of_an_allowed_origin_is_taken(endpoint: str) -> None:
    assert RULES.fault_of(browser().device(endpoint)) is None
    assert RULES.lane_of(browser().device(endpoint)) == "webpush.all"


@pytest.mark.parametrize(
    ("platform", "app", "sentence"),
    [
        (Platform.IOS, "parent", None),
        (Platform.ANDROID, "staff", None),
        (Platform.IOS, "staff", "no lane for this app on ios; must be one of parent, pupil"),
        (Platform.ANDROID, "parent", "no lane for this app on android; must be one of staff"),
    ],
)
def test_a_phone_is_taken_where_a_lane_reaches_its_app(platform: Platform, app: str, sentence: str | None) -> None:
    lanes = ["apns.parent", "apns.pupil", "fcm.staff", "webpush.all", "email"]
    rules = DeviceRules([PushService("webpush.all", ORIGIN)], lanes)
    device = Device(platform=platform, app=app, token=TOKEN)
    fault = rules.fault_of(device)
    if sentence is None:
        assert fault is None
    else:
        assert fault is not None
        assert fault.field == "app"
        assert fault.sentence.endswith(sentence)
    assert rules.fault_of_kept(device) is None
    assert DeviceRules().fault_of(device) is None
    assert rules.fault_of(browser().device(ENDPOINT)) is None


@given(
    st.text(max_size=80) | st.text("htps:/@.#?%\\ \n0123456789abexmlpush[]", max_size=60).map("https://push".__add__)
)
def test_whatever_is_taken_lies_under_the_origin(endpoint: str) -> None:
    origin = origin_of(endpoint)
    if origin == ORIGIN:
        url = httpx.URL(endpoint)
        assert (url.scheme, url.host, url.port, url.userinfo, url.fragment) == ("https", "push.example", None, b"", "")
        assert endpoint.startswith(ORIGIN + "/")


def test_a_lane_may_be_for_one_app() -> None:
    there = "https://other.example/push/1"
    assert RULES.lane_of(browser().device(there, "staff")) == "webpush.staff"
    assert RULES.fault_of(browser().device(there, "parent")) is not None


def test_without_a_lane_no_browser_is_taken() -> None:
    fault = DeviceRules().fault_of(browser().device(ENDPOINT))
    assert fault is not None
    assert "add a lane with provider webpush" in fault.sentence


PHONES = [
    (Device(platform=Platform.IOS, app="parent", token=TOKEN), None),
    (Device(platform=Platform.IOS, app="parent"), "token"),
    (Device(platform=Platform.WEB, app="parent"), "subscription"),
    (msgspec.structs.replace(browser().device(ENDPOINT), platform=Platform.ANDROID), "subscription"),
    (msgspec.structs.replace(browser().device(ENDPOINT), token=TOKEN), "token"),
]


@pytest.mark.parametrize(("device", "field"), PHONES)
def test_a_phone_has_a_token_and_a_browser_a_subscription(device: Device, field: str | None) -> None:
    fault = RULES.fault_of(device)
    assert (fault.field if fault else None) == field


@settings(max_examples=200)
@given(
    st.binary(min_size=64, max_size=64) | st.integers(1, 2**40).map(lambda d: point(d)[1:]), st.sampled_from([2, 3, 4])
)
def test_a_point_is_one_exactly_where_the_library_takes_it(rest: bytes, kind: int) -> None:
    key = bytes([kind]) + rest
    try:
        ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), key)
        expected = True
    except ValueError:
        expected = False
    assert is_point(key) == expected


def point(private: int) -> bytes:

    return Browser(ec.derive_private_key(private, ec.SECP256R1()), b"").point


BAD_KEYS = [b"\x04" + b"\x01" * 64, b"\x04" + b"\x00" * 64, b"\x00" * 65, b"\x04" + b"\xff" * 64]


@pytest.mark.parametrize("key", BAD_KEYS)
def test_a_key_off_the_curve_is_refused(key: bytes) -> None:
    keys = SubscriptionKeys(p256dh=b64(key), auth=b64(b"s" * 16))
    device = Device(platform=Platform.WEB, app="parent", subscription=Subscription(endpoint=ENDPOINT, keys=keys))
    fault = RULES.fault_of(device)
    assert fault is not None
    assert fault.field == "subscription.keys.p256dh"


@pytest.mark.parametrize("endpoint", GOOD)
def test_a_stored_subscription_is_the_one_that_came(endpoint: str) -> None:
    device = browser(3).device(endpoint, "staff")
    assert device.subscription is not None
    stored = pack("staff", device.subscription)
    assert device_of(stored) == device
    assert unpack(stored) == (browser(3).point, browser(3).secret, "staff", endpoint)
    padded = SubscriptionKeys(p256dh=device.subscription.keys.p256dh + "=", auth=device.subscription.keys.auth + "==")
    assert pack("staff", Subscription(endpoint=endpoint, keys=padded)) == stored
    assert stored[:65] == urlsafe_b64decode(padded.p256dh)


# --- over HTTP and in a file ---------------------------------------------------------------------------------------


def body(endpoint: str = ENDPOINT, **changes: Any) -> dict[str, Any]:
    """What an app sends: `PushSubscription.toJSON()` as it is."""
    keys = {"p256dh": b64(browser().point), "auth": b64(browser().secret)}
    subscription = {"endpoint": endpoint, "expirationTime": None, "keys": keys}
    return {"platform": "web", "app": "parent", "subscription": {**subscription, **changes}}


@pytest.fixture
async def web_town(link: Link) -> Town:
    town = Town(link, RULES)
    await settle(town.directory)
    town.make()
    return town


async def test_a_browser_registers_shows_up_and_signs_out(web_town: Town) -> None:
    async with web_town.client() as client:
        assert (await client.post("/v1/people/parent-0101/devices", json=body())).status_code == 204
        assert (await client.post("/v1/people/parent-0101/devices", json=body())).status_code == 204
        shown = (await client.get("/v1/people/parent-0101")).json()
        expected = body()
        del expected["subscription"]["expirationTime"]
        assert shown["devices"] == [expected]
        assert (await client.put("/v1/people/parent-0101", json=shown)).status_code == 204
        gone = {"endpoint": ENDPOINT}
        assert (await client.post("/v1/people/parent-0101/devices/remove", json=gone)).status_code == 204
        assert "devices" not in (await client.get("/v1/people/parent-0101")).json()
        for wrong in ({}, {"endpoint": ENDPOINT, "token": TOKEN}):
            problem(await client.post("/v1/people/parent-0101/devices/remove", json=wrong), 422, "invalid")


async def test_hostile_endpoints_are_refused_on_every_way_in(web_town: Town) -> None:
    async with web_town.client("all") as client:
        for at, endpoint in enumerate([*ELSEWHERE, f"{ORIGIN}/{'x' * 2000}"]):
            device = body(endpoint)
            answers = [
                await client.post("/v1/people/parent-0101/devices", json=device),
                await client.put("/v1/people/new", json={"tenant": "0101", "devices": [device]}),
            ]
            line = {"kind": "person", "id": "new", "tenant": "0101", "devices": [device]}
            chunk = json.dumps(line, ensure_ascii=True).encode()
            imported = await client.post(
                f"/v1/directory/imports/hostile-{at}", content=chunk, headers={"content-type": "application/x-ndjson"}
            )
            assert [answer.status_code for answer in answers] in ([422, 422], [400, 400]), endpoint
            assert imported.json()["taken"] == 0, endpoint
            for answer in (*answers, imported):
                rest = endpoint.replace(ORIGIN, "")
                assert len(rest) < 12 or rest not in answer.text
                assert "evil" not in answer.text
    assert await web_town.directory.person("new") is None


async def test_a_refusal_points_at_the_field_and_names_what_is_allowed(web_town: Town) -> None:
    async with web_town.client() as client:
        refused = await client.post("/v1/people/parent-0101/devices", json=body("https://evil.example/push/1"))
        (fault,) = problem(refused, 422, "invalid")["errors"]
        assert fault["pointer"] == "/subscription/endpoint"
        assert ORIGIN in fault["detail"]
        off_curve = {"p256dh": b64(BAD_KEYS[0]), "auth": b64(b"s" * 16)}
        refused = await client.post("/v1/people/parent-0101/devices", json=body(keys=off_curve))
        (fault,) = problem(refused, 422, "invalid")["errors"]
        assert fault["pointer"] == "/subscription/keys/p256dh"
        for keys in ({"p256dh": "short", "auth": b64(b"s" * 16)}, {"p256dh": b64(browser().point), "auth": "x"}):
            problem(await client.post("/v1/people/parent-0101/devices", json=body(keys=keys)), 422, "invalid")


def test_a_repeated_key_in_a_browsers_line_is_found() -> None:
    good = json.dumps({"kind": "person", "id": "p", "tenant": "0101", "devices": [body()]})
    assert not isinstance(read_line(good.encode()), str)
    for key in ("endpoint", "auth", "platform", "keys"):
        twice = good.replace(f'"{key}": ', f'"{key}": "x", "{key}": ', 1)
        assert isinstance(read_line(twice.encode()), str), key
        compact = twice.replace(": ", ":").replace(", ", ",")
        assert isinstance(read_line(compact.encode()), str), key


async def test_a_subscription_has_one_owner_and_moves_with_the_last_who_registers_it(link: Link) -> None:
    directory = StoreDirectory(link, RULES)
    await settle(directory)
    device = browser().device(ENDPOINT)
    assert await directory.register("parent-0101", device, NOW_MS)
    assert await directory.register("parent-0147", device, NOW_MS + 1)
    first, second = [await directory.person(id) for id in ("parent-0101", "parent-0147")]
    assert first is not None
    assert second is not None
    assert (first.devices, second.devices) == ((), (device,))


async def test_a_lane_that_was_taken_out_loses_no_subscription(link: Link) -> None:
    directory = StoreDirectory(link, RULES)
    await settle(directory)
    await directory.register("parent-0101", browser().device(ENDPOINT), NOW_MS)
    without = StoreDirectory(link)
    shown = await without.person("parent-0101")
    assert shown is not None
    assert shown.devices == ()
    changed = await without.change("parent-0101", lambda one: msgspec.structs.replace(one, email=None), NOW_MS + 1)
    assert changed is not None
    again = await directory.person("parent-0101")
    assert again is not None
    assert again.email is None
    assert again.devices == (browser().device(ENDPOINT),)
