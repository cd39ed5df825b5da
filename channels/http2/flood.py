"""What a peer may make one connection do for nothing (RFC 9113, section 10.5). Pure.

Two bounds: frames read that brought no answer, so that a flood costs little CPU, and replies to them that the peer has
not read yet, so that a flood costs little memory. Both are far above what a healthy server sends.
"""

from __future__ import annotations

from channels.http2.frames import ErrorCode, ProtocolError

USELESS_FRAMES_MAX = 10_000  # since the last answer and within the last second; a window update a request is normal
REPLIES_MAX = 10_000
_FORGIVE_SECONDS = 1.0


class FloodGuard:
    """Counts; raises ProtocolError ENHANCE_YOUR_CALM when it is too much."""

    __slots__ = ("_forgive_at", "_replies", "_useless")

    def __init__(self) -> None:
        self._useless = 0
        self._replies = 0
        self._forgive_at = 0.0

    def took_frame(self) -> None:
        """A frame was read the plain way."""
        self._useless += 1
        if self._useless > USELESS_FRAMES_MAX:
            raise ProtocolError(ErrorCode.ENHANCE_YOUR_CALM, "too many frames without an answer")

    def took_windows(self, count: int) -> None:
        """Window updates were passed over, all at once."""
        self._useless += count
        if self._useless > USELESS_FRAMES_MAX:
            raise ProtocolError(ErrorCode.ENHANCE_YOUR_CALM, "too many frames without an answer")

    def got_answer(self) -> None:
        """A request was settled: what came before was of use."""
        self._useless = 0

    def replied(self) -> None:
        """A frame of ours, which the peer caused, waits to be written."""
        self._replies += 1
        if self._replies > REPLIES_MAX:
            raise ProtocolError(ErrorCode.ENHANCE_YOUR_CALM, "too many frames that must be replied to")

    def wrote(self) -> None:
        """All replies have left."""
        self._replies = 0

    def look_at_clock(self, now: float) -> None:
        """An idle connection may get a PING now and then for days."""
        if now >= self._forgive_at:
            self._useless = 0
            self._forgive_at = now + _FORGIVE_SECONDS
