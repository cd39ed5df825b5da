"""The oracle names a browser as the simulated push service's ledger does, and takes 201 for accepted."""

from __future__ import annotations

import json
from pathlib import Path

from channels.simulator.ledger import HEADING, line
from loadtests.oracle.ledger import received
from loadtests.oracle.people import Surroundings, everybody
from loadtests.population.web_subscriptions import web_device


def test_browser_and_ledger_line_meet(tmp_path: Path) -> None:
    device = json.loads(web_device("parent", "https://localhost:8444", "0browser-of-a"))
    phone = {"platform": "ios", "app": "parent", "token": "0123456789"}
    people, ledger = tmp_path / "people.ndjson", tmp_path / "webpush.tsv"
    people.write_text(json.dumps({"kind": "person", "id": "a", "tenant": "0101", "devices": [phone, device]}) + "\n")
    (found,) = everybody(people, Surroundings(people, lambda id: True))
    assert found.devices == ("0123456789", "0browser-of-a")
    rows = [line(1, b"webpush", status, b"", b"0browser-of-a", b"d", b"e", b"c", b"t") for status in (201, 410)]
    ledger.write_bytes(HEADING + b"".join(rows))
    accepted, refused = received(ledger)
    assert (accepted.channel, accepted.is_accepted, accepted.address) == ("push", True, "0browser-of-a")
    assert not refused.is_accepted
