"""What writing to the inbox can come to. Writing again changes nothing, so a doubtful write counts as not done."""

from __future__ import annotations

from engine.outcomes import ACCEPTED, Outcome, Unreachable

ANSWERS: dict[str, Outcome] = {
    "written": ACCEPTED,  # now or before
    "store_unavailable": Unreachable(reason="store_unavailable"),
}
