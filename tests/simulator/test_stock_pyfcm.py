"""The stock pyfcm client (requests, HTTP/1.1, google-auth) against the simulated FCM and its token endpoint."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import trio
from pyfcm import FCMNotification
from pyfcm.errors import FCMNotRegisteredError, FCMSenderIdMismatchError, InvalidDataError

from channels.simulator.starting import Running, start
from tests.simulator.conftest import KeyPair


@pytest.fixture(scope="module")
def fcm(tmp_path_factory: pytest.TempPathFactory, rsa_key: KeyPair) -> Iterator[Running]:
    folder = tmp_path_factory.mktemp("fcm")
    with start("fcm", folder, public_key=rsa_key.public_file, project="school") as running:
        yield running


@pytest.fixture
def client(fcm: Running, tmp_path: Path, rsa_key: KeyPair, monkeypatch: pytest.MonkeyPatch) -> FCMNotification:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(fcm.ca_file))  # how `requests` is told what to trust

    class Here(FCMNotification):  # type: ignore[misc]
        FCM_END_POINT_BASE = f"{fcm.url}/v1/projects"

    account = {
        "type": "service_account",
        "project_id": "school",
        "client_email": "klokke@school.example",
        "private_key_id": "k1",
        "private_key": rsa_key.private,
        "token_uri": f"{fcm.url}/token",
    }
    file = tmp_path / "account.json"
    file.write_text(json.dumps(account))
    return Here(service_account_file=str(file), project_id="school")


async def notify(client: FCMNotification, **arguments: Any) -> Any:
    return await trio.to_thread.run_sync(lambda: client.notify(**arguments))


async def test_pyfcm_gets_its_token_and_its_messages_are_accepted(client: FCMNotification, fcm: Running) -> None:
    tag = {"notification": {"tag": "t1"}}
    data = {"event": "ev1", "delivery": "d1"}
    before = len(fcm.rows())
    answer = await notify(
        client,
        fcm_token="0token:abc",
        notification_title="Ny besked",
        notification_body="Fredagsbio",
        data_payload=data,
        android_config=tag,
    )
    assert answer["name"].startswith("projects/school/messages/")
    assert (await notify(client, fcm_token="0token:def", data_payload=data))["name"] != answer["name"]
    row = fcm.wait_for_rows(before + 2)[before]
    assert (row["status"], row["address"], row["delivery"]) == ("200", "0token:abc", "d1")
    assert (row["event"], row["collapse"]) == ("ev1", "t1")


@pytest.mark.parametrize(
    ("arguments", "error", "reason"),
    [
        ({"fcm_token": "dead0000"}, FCMNotRegisteredError, "UNREGISTERED"),
        ({"fcm_token": "cafe0000"}, FCMSenderIdMismatchError, "SENDER_ID_MISMATCH"),
        ({"fcm_token": "0token00", "data_payload": {"n": 1}}, InvalidDataError, "INVALID_ARGUMENT"),
        ({"fcm_token": "0token00", "topic_name": "news"}, InvalidDataError, "INVALID_ARGUMENT"),
        ({"fcm_token": "0token00", "data_payload": {"google.x": "1"}}, InvalidDataError, "INVALID_ARGUMENT"),
        ({"fcm_token": "0token00", "notification_body": "x" * 4097}, InvalidDataError, "INVALID_ARGUMENT"),
    ],
)
async def test_pyfcm_understands_the_refusals(
    client: FCMNotification, fcm: Running, arguments: dict[str, Any], error: type[Exception], reason: str
) -> None:
    before = len(fcm.rows())
    with pytest.raises(error):
        await notify(client, **arguments)
    assert fcm.wait_for_rows(before + 1)[-1]["reason"] == reason


async def test_pyfcm_waits_and_sends_again_when_the_quota_is_over(client: FCMNotification, fcm: Running) -> None:
    before = len(fcm.rows())
    await notify(client, fcm_token="busy0000", notification_body="x")
    assert [row["status"] for row in fcm.wait_for_rows(before + 2)[before:]] == ["429", "200"]
