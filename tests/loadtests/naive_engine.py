"""A stand-in for the engine: answers the same HTTP from naive facts, for tests of the demo's own parts.

It delivers by writing ledger lines itself, one person at a time, so that what the demo shows and judges can be tested
without store, fan-out and dispatch. What it does wrong is planted by the test.
"""

from __future__ import annotations

import json
import re
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from loadtests.oracle.expectation import DEAD_PREFIX, Need, Rules
from loadtests.oracle.ledger import COLUMNS
from loadtests.oracle.people import Surroundings, everybody
from loadtests.oracle.posted import Posted
from loadtests.oracle.wording import children_words, expected_digest

KEY = "test-key"


class NaiveEngine:
    """Keeps what was imported and posted; `reports` and `lines` may be changed by a test before they are asked for."""

    def __init__(self, folder: Path) -> None:
        self.people_file = folder / "imported.ndjson"
        self.people_file.touch()
        self.next_line = 1
        self.posted: list[Posted] = []
        self.reports: dict[str, dict[str, Any]] = {}
        self.lines: list[str] = []
        self.inboxes: dict[str, list[str]] = defaultdict(list)
        self.refuse_line: int | None = None

    def take(self, first_line: int, chunk: bytes) -> dict[str, Any]:
        assert first_line == self.next_line
        with self.people_file.open("ab") as file:
            file.write(chunk)
        self.next_line += chunk.count(b"\n")
        refused = [{"line": self.refuse_line, "reason": "id: is missing"}] if self.refuse_line else []
        return {"taken": chunk.count(b"\n") - len(refused), "refused": refused, "next_line": self.next_line}

    def admit(self, body: dict[str, Any]) -> str:
        event = Posted(f"e{len(self.posted)}", int(time.time() * 1000), body)
        self.posted.append(event)
        self._deliver(event)
        return event.id

    def _deliver(self, event: Posted) -> None:
        """Do at once what is due, and count it as the engine's report does."""
        surroundings = Surroundings(self.people_file, lambda _: True)
        rules = Rules(event, [event], surroundings.strategies, event.posted_ms)
        counts: dict[str, Counter[str]] = {channel: Counter() for channel in ("push", "email", "inapp")}
        suppressed: dict[str, Counter[str]] = defaultdict(Counter)
        audience = 0
        for someone in everybody(self.people_file, surroundings):
            outcome = rules.expect(someone)
            audience += outcome is not None
            for one in outcome or ():
                if one.reason:
                    suppressed[one.channel][one.reason] += 1
                    continue
                counts[one.channel]["people"] += 1
                if one.channel == "inapp":
                    self.inboxes[someone.id].append(event.id)
                    counts["inapp"].update(planned=1, accepted=1)
                for address in one.addresses:
                    is_dead = address.startswith(DEAD_PREFIX) and one.channel == "push"
                    end = "live" if one.need is Need.HELD else "rejected" if is_dead else "accepted"
                    counts[one.channel].update({"planned": 1, end: 1})
                    if end != "live":
                        text = expected_digest(event, one.channel, someone.language, children_words(event, someone))
                        self.lines.append(_line(event.id, one.channel, address, text, is_accepted=end == "accepted"))
        self.reports[event.id] = _report(event, audience, counts, suppressed)


def _line(event: str, channel: str, address: str, text: str, *, is_accepted: bool) -> str:
    provider = "smtp" if channel == "email" else "apns" if len(address) == 64 else "fcm"
    status, reason = ("250" if provider == "smtp" else "200", "") if is_accepted else ("410", "Unregistered")
    now_ms = int(time.time() * 1000)
    return f"{now_ms}\t{provider}\t{status}\t{reason}\t{address}\t{event}-{address}\t{event}\t\t{text}\n"


def _report(
    event: Posted, audience: int, counts: dict[str, Counter[str]], suppressed: dict[str, Counter[str]]
) -> dict[str, Any]:
    channels = {
        channel: {
            "people": count["people"],
            "suppressed": dict(suppressed[channel]),
            "planned": count["planned"],
            "ends": {end: count[end] for end in ("accepted", "rejected") if count[end]},
            "rejected_reasons": {"Unregistered": count["rejected"]} if count["rejected"] else {},
            "retries": 0,
            "unknown": 0,
            "live": count["live"],
            "held": count["live"],
        }
        for channel, count in counts.items()
    }
    return {
        "id": event.id,
        "urgency": event.data.get("urgency", "normal"),
        "state": "planned" if any(one["live"] for one in channels.values()) else "closed",
        "stop": None,
        "audience": audience,
        "channels": channels,
        "balanced": True,
        "last_settled": None,
    }


def write_ledger(path: Path, lines: list[str]) -> Path:
    path.write_text("#" + "\t".join(COLUMNS) + "\n" + "".join(lines), "utf-8")
    return path


@contextmanager
def serving(engine: NaiveEngine) -> Iterator[str]:
    """Serve the engine's and the gateway's HTTP on one loopback port; gives its URL."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if found := re.fullmatch(r"/v1/events/(.+)", self.path):
                self._answer(200, engine.reports[found[1]])
            elif self.path.startswith("/v1/inbox?"):
                person = (self.headers["authorization"] or "").removeprefix("Bearer ticket-")
                self._answer(200, _page(engine.inboxes[person], self.path))
            else:
                self._answer(404, {"title": "there is no such address"})

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            if self.path != "/v1/inbox-tickets" and self.headers["authorization"] != f"Bearer {KEY}":
                self._answer(401, {"title": "the key is missing or wrong"})
            elif found := re.fullmatch(r"/v1/directory/imports/demo\?first_line=(\d+)", self.path):
                self._answer(200, engine.take(int(found[1]), body))
            elif self.path == "/v1/events":
                self._answer(202, {"id": engine.admit(json.loads(body)), "status_url": "/"})
            else:
                self._answer(200, {"ticket": "ticket-" + json.loads(body)["person"], "expires": ""})

        def _answer(self, status: int, content: dict[str, Any]) -> None:
            text = json.dumps(content).encode()
            self.send_response(status)
            self.send_header("content-length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

        def log_message(self, *_: object) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def _page(items: list[str], path: str) -> dict[str, Any]:
    """Two items a page, so that the demo must turn pages."""
    found = re.search(r"before=(\d+)", path)
    start = int(found[1]) if found else 0
    rest = len(items) > start + 2
    return {"items": [{"event": id} for id in items[start : start + 2]], "next": str(start + 2) if rest else None}
