"""Reads the simulators' ledgers (docs/decisions/0001) as streams: a line per request, also for refused ones."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

COLUMNS = ("unix_ms", "provider", "status", "reason", "address", "delivery", "event", "collapse", "text")
CHANNEL_OF_PROVIDER = {"apns": "push", "fcm": "push", "webpush": "push", "smtp": "email"}
_ACCEPTED = {b"200", b"201", b"250"}


class LedgerUnreadable(Exception):
    """A ledger is missing or does not have the columns that docs/decisions/0001 names."""


class Received(NamedTuple):
    """One request as the simulated provider saw it."""

    unix_ms: int
    provider: str
    channel: str
    is_accepted: bool
    reason: str
    address: str
    delivery: bytes
    event: str
    text: str


def received(path: Path) -> Iterator[Received]:
    """Yield the whole lines of a ledger; a last line that is still being written is left out.

    Raises:
        LedgerUnreadable: no such file, or other columns.
    """
    try:
        file = path.open("rb")
    except OSError as error:
        raise LedgerUnreadable(f"the ledger {path} cannot be read: {error.strerror}") from None
    with file:
        heading = file.readline()
        if tuple(heading.decode().lstrip("# ").split()) != COLUMNS:
            raise LedgerUnreadable(f"the ledger {path} does not begin with `#` and the columns {' '.join(COLUMNS)}")
        for line in file:
            if not line.endswith(b"\n"):
                return
            fields = line[:-1].split(b"\t")
            if len(fields) != len(COLUMNS):
                raise LedgerUnreadable(
                    f"the ledger {path} has a line of {len(fields)} instead of {len(COLUMNS)} columns"
                )
            unix_ms, provider, status, reason, address, delivery, event, _, text = fields
            yield Received(
                int(unix_ms),
                provider.decode(),
                CHANNEL_OF_PROVIDER[provider.decode()],
                status in _ACCEPTED,
                reason.decode(),
                address.decode(),
                delivery,
                event.decode(),
                text.decode(),
            )
