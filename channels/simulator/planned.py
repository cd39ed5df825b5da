"""Addresses whose end is known beforehand, so that a demo or a test can plan it: the first letters decide. Pure.

Only in validating mode. The words are hexadecimal where APNs tokens must be; make all other tokens begin with a
digit, then none is hit by chance.

| prefix | APNs (token) | FCM (token) | mail (local part) |
|---|---|---|---|
| `dead` | 410 Unregistered, time stamp now | 404 UNREGISTERED | 550 5.1.1 no such user |
| `dead01d` | 410 Unregistered, time stamp 2020-01-01: registered anew since | 404 UNREGISTERED | 550 5.1.1 |
| `badd` | 400 BadDeviceToken | 400 INVALID_ARGUMENT on `message.token` | 550 5.1.3 bad address |
| `cafe` | 400 DeviceTokenNotForTopic | 403 SENDER_ID_MISMATCH | 550 5.7.1 policy |
| `feed` | 429 TooManyRequests once, then accepted | 429 QUOTA_EXCEEDED once, then accepted | 450 4.2.1 once |
| `fade` | 503 ServiceUnavailable once, then accepted | 503 UNAVAILABLE once, then accepted | 451 4.3.0 once |
| `busy` | - (not hexadecimal) | as `feed` | as `fade` |
| `deaf` | never answered | never answered | never answered |
| `bounce` | - | - | as `dead` |
| `full` | - | - | 452 4.2.2 mailbox full |
"""

from __future__ import annotations

from enum import StrEnum

OLD_MS = 1_577_836_800_000
"""2020-01-01T00:00:00Z: before any registration that a test makes."""


class Plan(StrEnum):
    DEAD = "dead"
    DEAD_BEFORE = "dead01d"
    BAD = "badd"
    STRANGER = "cafe"
    FEED = "feed"
    FADE = "fade"
    DEAF = "deaf"
    FULL = "full"


_PREFIXES: tuple[tuple[str, Plan], ...] = (
    ("dead01d", Plan.DEAD_BEFORE),
    ("dead", Plan.DEAD),
    ("badd", Plan.BAD),
    ("cafe", Plan.STRANGER),
    ("feed", Plan.FEED),
    ("fade", Plan.FADE),
    ("deaf", Plan.DEAF),
)
PUSH_WORDS: tuple[tuple[str, Plan], ...] = (*_PREFIXES, ("busy", Plan.FEED))
MAIL_WORDS: tuple[tuple[str, Plan], ...] = (
    *_PREFIXES,
    ("busy", Plan.FADE),
    ("bounce", Plan.DEAD),
    ("full", Plan.FULL),
)
HEX_WORDS = b"|".join(word.encode() for word, _ in _PREFIXES if word != "dead01d")
"""For a look-ahead in the hot path: what an ordinary APNs token does not begin with."""


class Planned:
    """Finds an address's plan; remembers which of the once-only ones were already turned away."""

    def __init__(self, words: tuple[tuple[str, Plan], ...]) -> None:
        self._words = words
        self._first = tuple(word for word, _ in words)
        self._turned_away: set[str] = set()

    def has(self, address: str) -> bool:
        """Whether an address begins with one of the words."""
        return address.lower().startswith(self._first)

    def of(self, address: str) -> Plan | None:
        """The plan of an address; asking counts as an attempt for those that are refused once."""
        if not self.has(address):
            return None
        lower = address.lower()
        plan = next((plan for word, plan in self._words if lower.startswith(word)), None)
        if plan in (Plan.FEED, Plan.FADE):
            if lower in self._turned_away:
                return None
            self._turned_away.add(lower)
        return plan
