"""httpx as a generic HTTP/2 client, and the process itself: ready line, signals, ledger, options."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlencode

import httpx
import jwt
import pytest

from channels.simulator.ledger import HEADING, text_digest
from channels.simulator.oauth import GRANT
from channels.simulator.starting import NotStarted, Running, start
from tests.simulator.conftest import TOPIC, KeyPair, trusting

PUSH = {"aps": {"alert": {"title": "T", "body": "B"}}, "klokke.event": "ev9"}


def client_of(running: Running) -> httpx.Client:
    return httpx.Client(http2=True, verify=trusting(running.ca_file), base_url=running.url, timeout=5)


def test_httpx_over_http2_is_answered_like_by_apple(
    tmp_path: Path, ec_key: KeyPair, bearer: Callable[..., str]
) -> None:
    with start("apns", tmp_path, public_key=ec_key.public_file) as apns, client_of(apns) as client:
        headers = {"authorization": bearer(), "apns-topic": TOPIC, "apns-push-type": "alert"}
        good = client.post("/3/device/" + "0a" * 32, headers=headers, json=PUSH)
        assert (good.http_version, good.status_code, good.content) == ("HTTP/2", 200, b"")
        assert len(good.headers["apns-id"]) == 36
        without = client.post("/3/device/" + "0a" * 32, headers={"apns-topic": TOPIC}, json=PUSH)
        assert (without.status_code, without.json()) == (403, {"reason": "MissingProviderToken"})
        get = client.get("/3/device/" + "0a" * 32, headers=headers)
        assert (get.status_code, get.json()) == (405, {"reason": "MethodNotAllowed"})
        large = client.post("/3/device/" + "0a" * 32, headers=headers, content=b"x" * 200_000)
        assert (large.status_code, large.json()) == (413, {"reason": "PayloadTooLarge"})
        row = apns.wait_for_rows(4)[0]
    assert row["event"] == "ev9"
    assert row["text"] == text_digest("T", "B").decode()
    assert row["delivery"] == good.headers["apns-id"]


def test_httpx_gets_an_access_token_and_sends(tmp_path: Path, rsa_key: KeyPair) -> None:
    with start("fcm", tmp_path, public_key=rsa_key.public_file, token_seconds=1) as fcm, client_of(fcm) as client:
        now = int(time.time())
        claims = {"iss": "a@b", "aud": fcm.url + "/token", "iat": now, "exp": now + 3600}
        claims["scope"] = "https://www.googleapis.com/auth/firebase.messaging"
        form = urlencode({"grant_type": GRANT, "assertion": jwt.encode(claims, rsa_key.private, "RS256")})
        token = client.post("/token", content=form, headers={"content-type": "application/x-www-form-urlencoded"})
        assert token.status_code == 200
        headers = {"authorization": "Bearer " + token.json()["access_token"]}
        body = {"message": {"token": "0token-1", "data": {"event": "e", "delivery": "d"}}}
        first = client.post("/v1/projects/p/messages:send", headers=headers, json=body)
        assert first.status_code == 200
        assert first.json()["name"].startswith("projects/p/messages/0:")
        statuses = [first.status_code]
        while statuses[-1] == 200 and time.time() < now + 10:  # until the token's second is over
            statuses.append(client.post("/v1/projects/p/messages:send", headers=headers, json=body).status_code)
        assert statuses[-1] == 401
        camel = {"message": {"token": "0token-1", "android": {"collapseKey": "k"}}, "validateOnly": True}
        unknown = client.post("/v1/projects/p/messages:send", headers={"authorization": "Bearer x"}, json=camel)
        assert unknown.json()["error"]["status"] == "UNAUTHENTICATED"


def test_a_simulator_ends_with_status_0_and_its_ledger_goes_on_in_the_same_file(tmp_path: Path) -> None:
    for stop in (signal.SIGTERM, signal.SIGINT):
        with start("apns", tmp_path, mode="accept-all") as apns, client_of(apns) as client:
            for _ in range(3):
                assert client.post("/3/device/00", json=PUSH).status_code == 200
            apns.process.send_signal(stop)
            assert apns.process.wait(10) == 0
    lines = apns.ledger.read_bytes().splitlines(keepends=True)
    assert lines[0] == HEADING
    assert len(lines) == 7
    assert not any(line.startswith(b"#") for line in lines[1:])


def test_the_ledger_is_on_disk_while_the_simulator_runs(tmp_path: Path) -> None:
    with start("apns", tmp_path, mode="accept-all") as apns, client_of(apns) as client:
        assert client.post("/3/device/00", json=PUSH).status_code == 200
        assert apns.wait_for_rows(1, seconds=5)[0]["address"] == "00"


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"listen": "0.0.0.0:0"}, "loopback only"),
        ({"listen": "8080"}, "HOST:PORT"),
        ({"script": "/none.toml"}, "cannot be read"),
        ({"public_key": "/none.pem"}, "cannot be read"),
        ({"mode": "sometimes"}, "accept-all"),
    ],
)
def test_a_wrong_option_is_named_without_a_traceback(tmp_path: Path, options: dict[str, str], said: str) -> None:
    with pytest.raises(NotStarted) as refused, start("apns", tmp_path, **options):
        pass
    assert said in str(refused.value)
    assert "Traceback" not in str(refused.value)


def test_a_taken_port_is_an_error_that_says_so(tmp_path: Path) -> None:
    with start("apns", tmp_path) as first:
        taken = f"127.0.0.1:{first.port}"
        with pytest.raises(NotStarted, match="in use"), start("apns", tmp_path / "second", listen=taken):
            pass


def test_a_simulator_dies_with_its_parent(tmp_path: Path) -> None:
    """A parent that is killed cannot clean up; the kernel tells the simulator."""
    code = f"""
        import sys, pathlib
        from channels.simulator.starting import launch
        running = launch("apns", pathlib.Path({str(tmp_path)!r}))
        print(running.process.pid, flush=True)
        sys.stdin.read()
    """
    command = [sys.executable, "-c", textwrap.dedent(code)]
    parent = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert parent.stdin is not None
    assert parent.stdout is not None
    child = int(parent.stdout.readline())
    parent.kill()
    parent.wait()
    deadline = time.monotonic() + 10
    while is_alive(child) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert not is_alive(child)
    parent.stdin.close()
    parent.stdout.close()


def is_alive(pid: int) -> bool:
    """Whether a process still runs; one that only waits to be reaped does not."""
    try:
        os.kill(pid, 0)
        return ") Z" not in Path(f"/proc/{pid}/stat").read_text()
    except (ProcessLookupError, FileNotFoundError):
        return False


def test_help_names_every_option() -> None:
    shown = subprocess.run(
        [sys.executable, "-m", "channels.simulator", "apns", "--help"], capture_output=True, text=True, check=True
    ).stdout
    for option in ("--listen", "--ledger", "--tls-folder", "--mode", "--script", "--seed", "--die-with-parent"):
        assert option in shown


@pytest.mark.parametrize(
    ("provider", "scheme"), [("apns", "https"), ("fcm", "https"), ("webpush", "https"), ("smtp", "smtp")]
)
def test_each_simulator_starts_by_itself_and_its_ready_line_is_json(provider: str, scheme: str) -> None:
    command = [sys.executable, "-m", "channels.simulator", provider]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    ready = json.loads(process.stdout.readline())
    process.terminate()
    assert process.wait(10) == 0
    process.stdout.close()
    assert ready["provider"] == provider
    assert ready["url"].startswith(f"{scheme}://127.0.0.1:")
