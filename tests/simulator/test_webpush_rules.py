"""The simulated push service: its rules, browsers behind names, both ways of judging, and the process itself."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import httpx
import jwt
import pytest

from channels.simulator.answers import Answer, ready
from channels.simulator.header_table import Field
from channels.simulator.ledger import Ledger, text_digest
from channels.simulator.service import Fate
from channels.simulator.starting import start
from channels.simulator.webpush import WebPush
from channels.simulator.webpush_keys import browser as simulated
from channels.simulator.webpush_keys import subscription
from channels.webpush.encryption import encrypt
from loadtests.population.web_subscriptions import web_device
from tests.simulator.conftest import trusting
from tests.webpush.browsers import application_key, vapid_pem

NOW = 1_800_000_000.0
ORIGIN = "https://localhost:8444"
NAME = "0browser-of-a-test"
MESSAGE = json.dumps({"title": "T", "body": "B", "event": "ev1", "delivery": "d1"}).encode()


def vapid(now: float = NOW, **claims: Any) -> str:
    said = {"aud": ORIGIN, "exp": int(now) + 3600, "sub": "mailto:a@b.dk", **claims}
    said = {name: value for name, value in said.items() if value is not None}
    return f"vapid t={jwt.encode(said, vapid_pem(), 'ES256')}, k={application_key()}"


def body_for(name: str, text: bytes = MESSAGE) -> bytes:
    receiver = simulated(name.encode())
    return encrypt(text, receiver.point, receiver.secret)


def fields(name: str = NAME, /, **changes: str | None) -> list[Field]:
    given: dict[str, str | None] = {
        ":method": "POST",
        ":path": f"/push/{name}",
        "ttl": "60",
        "urgency": "high",
        "topic": "topic-1",
        "content-encoding": "aes128gcm",
        "authorization": vapid(),
    }
    given |= {key.replace("_", "-").replace("--", ":"): value for key, value in changes.items()}
    return [(key.encode(), value.encode()) for key, value in given.items() if value is not None]


def service(ledger: Path | None = None, *, validating: bool = True, key: str = "") -> WebPush:
    made = WebPush(Ledger(ledger), origins=(ORIGIN,), validating=validating, key=key, streams=100)
    made.begin(NOW)
    return made


def said(answer: Answer) -> tuple[int, str]:
    return answer.status, answer.body.decode()


def test_a_right_push_is_taken_and_has_a_place_of_its_own() -> None:
    push = service()
    places = set()
    for _ in range(3):
        answer = push.answer(fields(), body_for(NAME), None)
        assert said(answer) == (201, "")
        found = dict(answer.fields)
        assert found[b"ttl"] == b"60"
        places.add(found[b"location"])
    assert len(places) == 3


WRONG: list[tuple[Mapping[str, str | None], int, str]] = [
    ({"ttl": None}, 400, "MissingTtl"),
    ({"ttl": "soon"}, 400, "BadTtl"),
    ({"ttl": "-1"}, 400, "BadTtl"),
    ({"ttl": "2592001"}, 400, "BadTtl"),
    ({"urgency": "urgent"}, 400, "BadUrgency"),
    ({"topic": "x" * 33}, 400, "BadTopic"),
    ({"topic": "a b"}, 400, "BadTopic"),
    ({"content_encoding": "aesgcm"}, 400, "BadEncoding"),
    ({"authorization": None}, 401, "MissingVapid"),
    ({"authorization": "bearer x"}, 401, "BadVapid"),
    ({"authorization": vapid(aud="https://fcm.googleapis.com")}, 401, "BadVapid"),
    ({"authorization": vapid(sub=None)}, 401, "BadVapid"),
    ({"authorization": vapid(sub="operator")}, 401, "BadVapid"),
    ({"authorization": vapid(exp=int(NOW) - 1)}, 401, "VapidExpired"),
    ({"authorization": vapid(exp=int(NOW) + 24 * 3600 + 60)}, 401, "VapidExpired"),
    ({"authorization": vapid()[:-10] + "AAAAAAAAAA"}, 401, "BadVapid"),
    ({"__path": "/push/short"}, 404, "NotFound"),
    ({"__path": "/elsewhere"}, 404, "NotFound"),
    ({"__method": "PUT"}, 405, "MethodNotAllowed"),
]


@pytest.mark.parametrize(("change", "status", "reason"), WRONG)
def test_each_rule_is_held(change: Mapping[str, str | None], status: int, reason: str) -> None:
    assert said(service().answer(fields(**change), body_for(NAME), None)) == (status, reason)


@pytest.mark.parametrize(
    ("body", "status", "reason"),
    [
        (b"", 400, "Undecryptable"),
        (body_for("0another-browser"), 400, "Undecryptable"),
        (body_for(NAME)[:-1], 400, "Undecryptable"),
        (body_for(NAME)[:20] + b"\x40" + body_for(NAME)[21:], 400, "Undecryptable"),
        (body_for(NAME) + b"x" * 4096, 413, "TooLarge"),
    ],
)
def test_a_body_that_the_browser_could_not_open_is_told(body: bytes, status: int, reason: str) -> None:
    assert said(service().answer(fields(), body, None)) == (status, reason)


def test_a_key_that_nobody_subscribed_with_is_refused() -> None:
    assert said(service(key=application_key()).answer(fields(), body_for(NAME), None)) == (201, "")
    assert said(service(key="B" + "A" * 86).answer(fields(), body_for(NAME), None)) == (403, "OtherVapidKey")


@pytest.mark.parametrize(
    ("word", "ends"),
    [("dead", [410, 410]), ("dead01d", [404, 404]), ("cafe", [403, 403]), ("feed", [429, 201]), ("fade", [503, 201]),
     ("busy", [429, 201]), ("deaf", [0, 0])],
)  # fmt: skip
def test_names_plan_their_end(word: str, ends: list[int]) -> None:
    push, name = service(), f"{word}-browser"
    answers = [push.answer(fields(name), body_for(name), None) for _ in ends]
    assert [answer.status for answer in answers] == ends
    if ends[0] in (429, 503):
        assert dict(answers[0].fields)[b"retry-after"] == b"1"


def test_a_script_decides_before_the_rules() -> None:
    assert said(service().answer(fields(ttl=None), b"", Fate(503, "", "9"))) == (503, "Unavailable")
    assert service().answer(fields(ttl=None), b"", Fate(200, "")).status == 201


@pytest.mark.parametrize("validating", [True, False])
@pytest.mark.parametrize("name", [NAME, "0other-browser"])
def test_the_quick_way_comes_to_the_same_answer_and_line(tmp_path: Path, validating: bool, name: str) -> None:
    full, quick = (service(tmp_path / way, validating=validating) for way in ("full", "quick"))
    body = body_for(name)
    voucher = quick.vouch(fields(name))
    assert voucher is not None
    assert quick.quick(voucher, (name.encode(), b"", b""), body) == ready(full.answer(fields(name), body, None))
    lines = []
    for made, way in ((full, "full"), (quick, "quick")):
        made._ledger.flush()
        lines.append((tmp_path / way).read_text())
    assert lines[0] == lines[1]
    if validating:
        assert quick.quick(voucher, (name.encode(), b"", b""), body[:-1] + bytes([body[-1] ^ 1])) is None
        quick.begin(NOW + 3601)
        assert quick.quick(voucher, (name.encode(), b"", b""), body) is None
        assert quick.vouch(fields(ttl=None)) is None


@pytest.mark.parametrize("name", [NAME, "dead-browser", "0-_ABCxyz"])
def test_the_population_derives_the_browsers_that_the_simulator_derives(name: str) -> None:
    made = json.loads(web_device("parent", ORIGIN, name))["subscription"]
    assert {**made, "expirationTime": None} == subscription(ORIGIN, name)


@pytest.mark.parametrize("http2", [True, False])
def test_the_process_mints_a_subscription_and_opens_what_is_sent_to_it(tmp_path: Path, http2: bool) -> None:
    with (
        start("webpush", tmp_path, vapid_key=application_key()) as push,
        httpx.Client(http2=http2, verify=trusting(push.ca_file), base_url=push.url, timeout=5) as client,
    ):
        minted = client.get(f"/subscription/{NAME}").json()
        assert minted["endpoint"] == f"{push.url}/push/{NAME}"
        headers = {key.decode(): value.decode() for key, value in fields() if not key.startswith(b":")}
        headers["authorization"] = vapid(time.time(), aud=push.url)
        good = client.post(f"/push/{NAME}", headers=headers, content=body_for(NAME))
        assert (good.status_code, good.content) == (201, b"")
        assert good.headers["location"].startswith(f"{push.url}/message/")
        assert client.post(f"/push/{NAME}", headers=headers, content=b"x").status_code == 400
        first, second = push.wait_for_rows(2)
    assert (first["provider"], first["status"], first["address"]) == ("webpush", "201", NAME)
    assert (first["event"], first["delivery"], first["collapse"]) == ("ev1", "d1", "topic-1")
    assert first["text"] == text_digest("T", "B").decode()
    assert (second["status"], second["reason"]) == ("400", "Undecryptable")
