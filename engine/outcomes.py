"""What a provider answered, as values: five outcomes, each with what it means for message, endpoint and lane.

A channel's `answers.py` maps every provider answer to one of these; `engine/rules/retry.py` decides what comes next.
"""

from __future__ import annotations

import msgspec


class Accepted(msgspec.Struct, frozen=True):
    """The provider took responsibility. It does not mean that a person has seen anything."""


class Rejected(msgspec.Struct, frozen=True, kw_only=True):
    """Final for this delivery.

    `endpoint_gone` asks the directory to retire the endpoint, behind the mass guard; `gone_since_ms` limits that to
    registrations older than the provider's time stamp. `our_fault` counts as an alert: the payload was wrong.
    """

    reason: str
    endpoint_gone: bool = False
    gone_since_ms: int | None = None
    our_fault: bool = False


class Throttled(msgspec.Struct, frozen=True, kw_only=True):
    """Not now. Waiting is not failing: with `lane_wide` no attempt is used up and the whole lane slows down.

    `is_certain`: a single such answer speaks for the whole lane (its quota is used up), not for one busy server.
    """

    reason: str
    lane_wide: bool
    retry_after_seconds: float | None = None
    is_certain: bool = False


class Unreachable(msgspec.Struct, frozen=True, kw_only=True):
    """Surely not processed: refused connection, refused stream, 5xx. `park` stops the lane until an operator acts."""

    reason: str
    park: bool = False


class Unknown(msgspec.Struct, frozen=True, kw_only=True):
    """It may have been processed: no answer in time, or the connection broke after the bytes had left."""

    reason: str


Outcome = Accepted | Rejected | Throttled | Unreachable | Unknown

ACCEPTED = Accepted()
