"""Which municipalities use which channels for a category, in the spirit of their published communication strategies.

Aarhus wants fewer and more targeted notifications (less stream, need to know before nice to know); the others are made
up. A category that is not named uses all channels.
"""

from __future__ import annotations

STRATEGIES: tuple[tuple[str, str, tuple[str, ...]], ...] = (
    ("0751", "post", ("inapp",)),
    ("0751", "survey", ("email", "inapp")),
    ("0461", "post", ("email", "inapp")),
    ("0461", "announcement", ("push", "inapp")),
    ("0851", "survey", ("inapp",)),
    ("0730", "post", ("inapp",)),
    ("0265", "calendar", ("push", "inapp")),
    ("0370", "presence", ("push",)),
    ("0561", "announcement", ("push", "email", "inapp")),
    ("0615", "survey", ("push", "inapp")),
    ("0791", "message", ("push", "inapp")),
    ("0400", "post", ("email", "inapp")),
)
