"""A finished letter, spliced per recipient."""

from __future__ import annotations

from channels.email import headers
from channels.email.invitation import attendee

DATA_END = b".\r\n"


class Letter:
    """One event in one language, ready for any recipient.

    Args:
        common: all bytes after the personal header lines; dot-stuffed, with one gap or none.
        gap: the line of the calendar part that the recipient's ATTENDEE replaces; None without one.
        domain: right-hand side of the Message-ID.
        unsubscribe_url: start of the List-Unsubscribe address; None leaves both headers out.
    """

    __slots__ = ("_after_id", "_calendar_rest", "_common", "_unsubscribe")

    def __init__(self, common: bytes, gap: bytes | None, domain: str, unsubscribe_url: str | None) -> None:
        head, found, rest = common.partition(b"\r\n" + gap + b"\r\n") if gap else (common, b"", b"")
        if gap and not found:
            raise headers.UnsafeHeaders("the calendar part has lost the line of its attendee")
        self._common = head
        self._calendar_rest = rest if gap else None
        self._after_id = f"@{domain}>\r\n".encode()
        self._unsubscribe = f"List-Unsubscribe: <{unsubscribe_url}".encode() if unsubscribe_url else None

    def data(self, address: bytes, delivery: bytes, unsubscribe_token: bytes = b"") -> bytes:
        """What follows the relay's 354: the whole message for one recipient, and the final dot.

        Args:
            address: as `smtp.is_deliverable` lets it through; nothing is checked here.
            delivery: the 16 bytes of `engine.records.work.delivery_id`; the Message-ID comes of it.
            unsubscribe_token: URL-safe text; used only when an unsubscribe address is set.
        """
        # Hot path: one join. An f-string over bytes does not exist, and `%` was slower.
        pieces = [b"To: <", address, b">\r\nMessage-ID: <", delivery.hex().encode(), self._after_id]
        if self._unsubscribe is not None:
            pieces += (self._unsubscribe, unsubscribe_token, _ONE_CLICK)
        pieces.append(self._common)
        if self._calendar_rest is not None:
            pieces += (b"\r\n", attendee(address), b"\r\n", self._calendar_rest)
        pieces.append(DATA_END)
        return b"".join(pieces)


_ONE_CLICK = b">\r\nList-Unsubscribe-Post: List-Unsubscribe=One-Click\r\n"
