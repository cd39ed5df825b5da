"""docs/api.md from top to bottom, by bash and curl, against a real engine: every status is the one it shows."""

from __future__ import annotations

import re
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from time import monotonic
from typing import NamedTuple

import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from engine.__main__ import service_block

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "api.md").read_text("utf-8")
STATUS = re.compile(r"# (\d{3})\b")
CALL = re.compile(r"^(?:curl|put) ", re.MULTILINE)

PRELUDE = """
curl() {  # the real one, which also notes status and answer; a live stream is listened to for a moment
  local patience=30; for word in "$@"; do [ "$word" = -N ] && patience=1; done
  : > last; command curl -s --max-time $patience -o last -w '%{stderr}STATUS %{http_code}\\n' "$@" 2>>statuses; cat last
}
report() { command curl -s $KLOKKE/v1/events/$1 -H "Authorization: Bearer $KEY"; }
planned() { until report $1 | grep -q '"planned":"'; do :; done; }
member() { sed -nE 's/.*"'$1'":"([^"]+)".*/\\1/p' $2 | head -1; }
"""


class Running(NamedTuple):
    """A running engine: where, and with which key."""

    folder: Path
    api: str
    gateway: str
    key: str


def free_ports(count: int) -> list[int]:
    doors = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [door.getsockname()[1] for door in doors]
    for door in doors:
        door.close()
    return ports


@pytest.fixture
def engine() -> Iterator[Running]:
    """The whole engine in one process, on loopback, with an inbox and an app's lane whose provider is away."""
    with TemporaryDirectory(prefix="klokke-docs-") as name:  # short: the store's socket has its path in it
        folder = Path(name)
        api, gateway, metrics, nobody = free_ports(4)
        key, service = service_block("docs", ["*"], ["events", "directory", "inbox", "ask"])
        pem = ec.generate_private_key(ec.SECP256R1()).private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        (folder / "apns.p8").write_bytes(pem)
        (folder / "ticket.key").write_bytes(b"k" * 32)
        (folder / "klokke.toml").write_text(
            f'[intake]\nlisten = "127.0.0.1:{api}"\n[gateway]\nlisten = "127.0.0.1:{gateway}"\n'
            f'ticket_key_file = "ticket.key"\n[metrics]\nfirst_port = {metrics}\n'
            '[processes]\nlayout = ["intake+gateway+fanout+upkeep+dispatch"]\n[lanes.inapp]\nprovider = "inapp"\n'
            f'[lanes."apns.parent"]\nprovider = "apns"\nurl = "https://127.0.0.1:{nobody}"\ntopic = "t"\n'
            f'team_id = "TEAM123456"\nkey_id = "KEY1234567"\nkey_file = "apns.p8"\n{service}\n'
        )
        with (folder / "log").open("wb") as log:
            command = [sys.executable, "-m", "engine", "run", "--config", str(folder / "klokke.toml")]
            process = subprocess.Popen(command, cwd=ROOT, stdout=log, stderr=log)
        running = Running(folder, f"http://127.0.0.1:{api}", f"http://127.0.0.1:{gateway}", key)
        try:
            until_ready(running, process)
            yield running
        finally:
            process.terminate()
            process.wait(60)


def until_ready(running: Running, process: subprocess.Popen[bytes]) -> None:
    deadline = monotonic() + 60
    with httpx.Client(trust_env=False) as client:
        for url in (f"{running.api}/readyz", f"{running.gateway}/healthz"):
            while True:
                assert process.poll() is None, (running.folder / "log").read_text()
                assert monotonic() < deadline, (running.folder / "log").read_text()
                try:
                    if client.get(url).status_code == 200:
                        break
                except httpx.TransportError:
                    pass


def script(page: str) -> str:
    """The page's commands; where it says "put it here" the script takes what the answers held."""
    blocks = "".join(re.findall(r"^```sh\n(.*?)^```", page, re.MULTILINE | re.DOTALL))
    blocks = re.sub(r"^EVENT=.*", "EVENT=$(member id first); planned $EVENT", blocks, flags=re.MULTILINE)
    blocks = re.sub(r"^TICKET=.*", "TICKET=$(member ticket ticket)", blocks, flags=re.MULTILINE)
    blocks = blocks.replace(
        '"link": "/messages/4711"}}\'   # 202\n', '"link": "/messages/4711"}}\'   # 202\ncp last first\n'
    )
    return re.sub(r"^(.*/v1/inbox-tickets .*)$", r"\1" + "\ncp last ticket", blocks, flags=re.MULTILINE)


@pytest.mark.skipif(not (shutil.which("bash") and shutil.which("curl")), reason="needs bash and curl")
def test_every_command_of_the_page_has_the_status_that_it_shows(engine: Running) -> None:
    text = script(PAGE)
    shown = STATUS.findall(text)
    assert len(shown) == len(CALL.findall(text)), "a status behind every command"
    exports = f"export KLOKKE={engine.api} GATEWAY={engine.gateway} KEY={engine.key}\n"
    done = subprocess.run(
        ["bash", "-c", PRELUDE + exports + text], cwd=engine.folder, capture_output=True, text=True, timeout=60
    )
    found = re.findall(r"STATUS (\d{3})", (engine.folder / "statuses").read_text())
    commands = [line for line in text.splitlines() if STATUS.search(line)]
    wrong = [f"{is_} instead of {line}" for is_, line in zip(found, commands, strict=False) if f"# {is_}" not in line]
    assert wrong == [], done.stdout + done.stderr
    assert len(found) == len(shown), done.stderr
    assert '"changed":' in done.stdout
    assert "retry: 3000" in done.stdout
