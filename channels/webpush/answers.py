"""What each answer of a push service means. Pure: a table by status, and one judgement that needs more than one answer.

Sources: RFC 8030 (sections 5, 7.3, 8.4), RFC 8292 section 4.2, autopush's error page; the actions are ours. Bodies are
for people and differ from service to service, so only the status counts, but for two: a subscription made with another
key gets 403 of Google and in the RFC, 401 of Mozilla (autopush, `VapidError::KeyMismatch`), 400 of Apple.
"""

from __future__ import annotations

from channels.http2.jobs import Answer
from channels.wire_outcomes import retry_after_seconds, unrecognised
from engine.outcomes import ACCEPTED, Outcome, Rejected, Throttled, Unreachable

KEY_REFUSED = Unreachable(reason="vapid_refused", park=True)
KEY_DOUBTED = Unreachable(reason="vapid_refused")  # our key's fault or one subscription's: `KeyStanding` tells
TOKEN_DOUBTED = Unreachable(reason="vapid_token_refused")  # never a subscription's fault
DOUBTS = (KEY_DOUBTED, TOKEN_DOUBTED)
OTHER_KEY = Rejected(reason="subscribed_with_another_key", endpoint_gone=True)
TOO_LARGE = Rejected(reason="payload_too_large", our_fault=True)
TOO_MANY = Throttled(reason="too_many_requests", lane_wide=True)
UNAVAILABLE = Unreachable(reason="unavailable")

TABLE: dict[int, Outcome] = {
    200: ACCEPTED,
    201: ACCEPTED,  # what RFC 8030 asks for
    202: ACCEPTED,  # with a receipt to follow
    204: ACCEPTED,
    301: Unreachable(reason="redirect_refused"),  # a subscription must not lead us elsewhere: not followed
    302: Unreachable(reason="redirect_refused"),
    303: Unreachable(reason="redirect_refused"),
    307: Unreachable(reason="redirect_refused"),
    308: Unreachable(reason="redirect_refused"),
    400: Rejected(reason="bad_request", our_fault=True),  # TTL, Topic, encryption: never the endpoint's fault
    401: TOKEN_DOUBTED,  # after a renewed token was refused too; KEY_REFUSED if it goes on
    403: KEY_DOUBTED,  # or OTHER_KEY, or KEY_REFUSED
    404: Rejected(reason="not_found", endpoint_gone=True),  # RFC 8030 section 7.3: expired
    405: Rejected(reason="method_not_allowed", our_fault=True),
    406: TOO_MANY,  # Windows' push service says so
    410: Rejected(reason="gone", endpoint_gone=True),
    411: Rejected(reason="bad_request", our_fault=True),
    413: TOO_LARGE,
    415: Rejected(reason="bad_request", our_fault=True),
    429: TOO_MANY,
    500: Unreachable(reason="internal"),
    502: UNAVAILABLE,
    503: UNAVAILABLE,
    504: UNAVAILABLE,
}

_NAMES_OTHER_KEY = {401: b"key mismatch", 400: b"VapidPkHashMismatch"}

REFUSALS_IN_A_ROW_MAX = 5


def outcome(answer: Answer, now_seconds: float) -> Outcome:
    """Say what one answer means; `now_seconds` is for a Retry-After given as a date."""
    found = TABLE.get(answer.status)
    if found is None:
        return unrecognised(answer.status)
    words = _NAMES_OTHER_KEY.get(answer.status)
    if words is not None and words in answer.body:
        return KEY_DOUBTED
    if found is TOO_MANY or found is UNAVAILABLE:
        wait = retry_after_seconds(answer.header(b"retry-after"), now_seconds)
        if wait is not None:
            return Throttled(reason=found.reason, lane_wide=True, retry_after_seconds=wait)
    return found


class KeyStanding:
    """Tells a subscription that was made with another key from a key of ours that is wrong.

    Both get the same answer. While the service takes other pushes our key is right, and the subscription is of no use
    to us any more: it goes, behind the mass guard. Several refusals in a row with nothing taken in between are about
    the key: the lane parks and nothing is deleted. Before anything was ever taken, a few refusals wait for their retry.
    """

    def __init__(self) -> None:
        self._is_proven = False
        self._refused_in_a_row = 0

    def hear(self, accepted: int, refused: int) -> Outcome:
        """Take in how a batch went, and say what its `KEY_DOUBTED` means; see `meant`.

        Args:
            refused: how many of its answers are `DOUBTS`.
        """
        if accepted:
            self._is_proven = True
            self._refused_in_a_row = 0
            return OTHER_KEY
        self._refused_in_a_row += refused
        if self._refused_in_a_row >= REFUSALS_IN_A_ROW_MAX:
            self._is_proven = False
            return KEY_REFUSED
        return OTHER_KEY if self._is_proven else KEY_DOUBTED


def meant(doubt: Outcome, verdict: Outcome) -> Outcome:
    """What one of `DOUBTS` comes to: the verdict, but a refused token takes nobody's subscription."""
    return doubt if doubt == TOKEN_DOUBTED and verdict != KEY_REFUSED else verdict
