"""The events as they were posted: what the oracle knows about each, and which later one replaced it."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple

NATIONAL = "dk"


class Posted(NamedTuple):
    """One event: the body that was posted, the id that it got, and when (Unix milliseconds)."""

    id: str
    posted_ms: int
    body: dict[str, Any]
    cancelled_ms: int | None = None  # when DELETE was called

    @property
    def tenant(self) -> str:
        return str(self.body.get("tenant", NATIONAL))

    @property
    def data(self) -> dict[str, Any]:
        return dict(self.body["data"])

    @property
    def is_calendar(self) -> bool:
        return ".calendar." in str(self.body["type"])

    @property
    def category(self) -> str:
        return str(self.data.get("category", "calendar" if self.is_calendar else "message"))

    @property
    def is_emergency(self) -> bool:
        return str(self.data.get("urgency")) == "emergency"

    @property
    def expires_ms(self) -> int | None:
        text = self.data.get("expires")
        return int(datetime.fromisoformat(text).timestamp() * 1000) if text else None

    @property
    def entry(self) -> tuple[str, str, str, int] | None:
        """(tenant, uid, recurrence, sequence) of a calendar event."""
        data = self.data
        if given := data.get("calendar"):
            return self.tenant, given["uid"], given.get("recurrence_id", ""), given.get("sequence", 0)
        if text := data.get("icalendar"):
            uid, recurrence, sequence = (_property(text, name) for name in ("UID", "RECURRENCE-ID", "SEQUENCE"))
            return self.tenant, uid, recurrence, int(sequence or 0)
        return None

    def narrow_scopes(self) -> set[str]:
        """The groups and institutions that the audience names."""
        terms = self.data["audience"]["include"]
        return {term[key] for term in terms for key in ("group", "institution") if key in term}

    def named_people(self) -> set[str]:
        """The people and pupils that the audience names by id."""
        terms = self.data["audience"]["include"]
        return {id for term in terms for key in ("people", "guardians_of") for id in term.get(key, ())}


def _property(icalendar: str, name: str) -> str:
    """The first value of a property of a VEVENT, unfolded (RFC 5545 section 3.1)."""
    unfolded = re.sub(r"\r?\n[ \t]", "", icalendar)
    in_event = unfolded.split("BEGIN:VEVENT", 1)[-1]
    found = re.search(rf"^{name}(?:;[^:\r\n]*)?:(.*?)\r?$", in_event, re.MULTILINE)
    return found[1] if found else ""


def replaced_ms(event: Posted, events: Sequence[Posted]) -> int | None:
    """When a newer version of the same calendar entry was posted, or the event was cancelled; None when neither."""
    times = [] if event.cancelled_ms is None else [event.cancelled_ms]
    mine = event.entry
    for other in events:
        theirs = other.entry
        if mine and theirs and theirs[:3] == mine[:3] and theirs[3] > mine[3]:
            times.append(other.posted_ms)
    return min(times, default=None)


def write(folder: Path, at: int, event: Posted) -> None:
    """Write one posted event where `read` finds it; `at` gives the order."""
    text = json.dumps(event._asdict(), ensure_ascii=False, indent=1)
    (folder / f"{at:03d}.json").write_text(text, "utf-8")


def read(folder: Path) -> list[Posted]:
    """Read all posted events of a folder in their order."""
    return [Posted(**json.loads(path.read_text("utf-8"))) for path in sorted(folder.glob("*.json"))]
