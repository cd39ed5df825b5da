"""The stock aioapns client, in a thread with its own asyncio loop, against the simulated APNs."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from typing import Any

import aioapns
import pytest
import trio
from aioapns.connection import APNsProductionClientProtocol

from channels.simulator.starting import Running, start
from tests.simulator.conftest import KEY_ID, TEAM_ID, TOPIC, KeyPair, trusting

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")


def send_all(running: Running, key: str, requests: list[aioapns.NotificationRequest]) -> list[Any]:
    """Send one after another with aioapns; gives its results."""

    class Here(APNsProductionClientProtocol):
        APNS_SERVER = "127.0.0.1"
        APNS_PORT = running.port

    async def main() -> list[Any]:
        async def quiet(request: Any, result: Any) -> None: ...

        client = aioapns.APNs(
            key=key,
            key_id=KEY_ID,
            team_id=TEAM_ID,
            topic=TOPIC,
            ssl_context=trusting(running.ca_file),
            err_func=quiet,
            max_connection_attempts=1,
        )
        client.pool.protocol_class = Here
        results = [await asyncio.wait_for(client.send_notification(request), 5) for request in requests]
        client.pool.close()
        return results

    return asyncio.run(main())


def request(token: str, **more: Any) -> aioapns.NotificationRequest:
    message = {"aps": {"alert": {"title": "Ny besked", "body": "Æblegrød på fredag"}}, "klokke": {"event": "ev1"}}
    return aioapns.NotificationRequest(**{"device_token": token, "message": message, **more})


async def test_aioapns_is_accepted_and_refused_as_by_apple(tmp_path: Path, ec_key: KeyPair) -> None:
    requests = [
        request("0a" * 32, collapse_key="c1", time_to_live=600, push_type=aioapns.PushType.ALERT),
        request("1b" * 32, priority=5),
        request("dead" + "0" * 60),
        request("not-hex"),
        request("0c" * 32, message={"aps": {"alert": "x" * 4100}}),
        request("0d" * 32, collapse_key="c" * 65),
        request("0e" * 32, push_type=aioapns.PushType.BACKGROUND),  # it says priority 10 if not told otherwise
        request("0e" * 32, push_type=aioapns.PushType.BACKGROUND, priority=5),
        request("feed" + "1" * 60),
        request("feed" + "1" * 60),
        request("0f" * 32),
    ]
    with start("apns", tmp_path, public_key=ec_key.public_file, key_id=KEY_ID, topic=TOPIC) as apns:
        before = time.time() * 1000
        results = await trio.to_thread.run_sync(send_all, apns, ec_key.private, requests)
        assert [(result.status, result.description) for result in results] == [
            ("200", None),
            ("200", None),
            ("410", "Unregistered"),
            ("400", "BadDeviceToken"),
            ("413", "PayloadTooLarge"),
            ("400", "BadCollapseId"),
            ("400", "BadPriority"),
            ("400", "InvalidPushType"),
            ("429", "TooManyRequests"),
            ("200", None),
            ("200", None),
        ]
        assert before - 1 <= results[2].timestamp <= time.time() * 1000
        assert [result.notification_id for result in results] == [request.notification_id for request in requests]
        apns.stop()
        rows = apns.rows()
    assert [row["status"] for row in rows] == [result.status for result in results]
    assert rows[0]["collapse"] == "c1"
    assert {row["event"] for row in rows} == {"ev1", ""}


async def test_a_key_that_the_provider_does_not_know_is_refused(tmp_path: Path, ec_key: KeyPair) -> None:
    with start("apns", tmp_path, public_key=ec_key.public_file, key_id="OTHERKEY00") as apns:
        results = await trio.to_thread.run_sync(send_all, apns, ec_key.private, [request("0a" * 32)])
    assert [(result.status, result.description) for result in results] == [("403", "InvalidProviderToken")]
