"""What an operator says about e-mail: the relay, who we are, how patient we are."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

_ADDRESS = re.compile(r"[!#$%&'*+/=?^_`{|}~A-Za-z0-9.\-]+@[A-Za-z0-9](?:[A-Za-z0-9.\-]*[A-Za-z0-9])?")
_HOST = re.compile(r"[A-Za-z0-9\[](?:[A-Za-z0-9.:\-\[\]]*[A-Za-z0-9\]])?")
_PRINTABLE = re.compile(r"[^\x00-\x1f\x7f-\x9f\u2028\u2029]*")


@dataclass(frozen=True, kw_only=True)
class EmailSettings:
    """Settings of the e-mail lane. Every fault is reported at once.

    Raises:
        ValueError: the faults, one a line, each naming its field and the remedy.
    """

    host: str
    """The relay: your own Postfix or an e-mail service. Shaping per receiving domain is the relay's work."""
    port: int = 25
    """25 for a relay on the own network, 587 with `starttls`, 465 with `implicit`."""
    tls: Literal["none", "starttls", "implicit"] = "starttls"
    """`none` only on a loopback or a private network. Certificates are always verified."""
    ca_file: Path | None = None
    """PEM file of the authorities to trust; None means those of the system."""
    username: str | None = None
    """With `password`: log in with AUTH PLAIN or LOGIN. Refused without TLS, so that it never travels in the clear."""
    password: str | None = None

    from_address: str
    """The visible sender, and the organizer of invitations. Its domain needs SPF, DKIM and DMARC."""
    from_name: str = "Klokke"
    envelope_from: str | None = None
    """Where bounces go (MAIL FROM); None means `from_address`."""
    message_id_domain: str | None = None
    """Right-hand side of Message-ID; None means the domain of `from_address`. Changing it makes retries look new."""
    helo_name: str = "localhost"
    """Our own host name, as the relay may look it up."""

    portal_url: str | None = None
    """Where people log in: the only link in a sensitive message, which never carries the event's own."""
    unsubscribe_url: str | None = None
    """Start of the one-click address (RFC 8058); a signed token is appended. It must take POST without a login."""
    unsubscribe_secret: bytes = b""
    """Signs those tokens; at least 32 bytes. The intake checks them with `engine.rules.tickets`."""

    connections_max: int = 10
    """Sessions with the relay. One is bound by wake-ups; ten saturate a core."""
    urgent_connections_max: int = 2
    """Further sessions that only urgent and emergency events use, so that a blast never stands before them."""
    connect_seconds: float = 10.0
    answer_seconds: float = 60.0
    """Patience for one reply, and for one write. RFC 5321 would allow minutes; a notification cannot wait that long."""
    idle_seconds: float = 30.0
    """An unused session is ended after this; Postfix hangs up after 300 s, others sooner."""

    def __post_init__(self) -> None:
        faults = self._faults()
        if faults:
            raise ValueError("\n".join(faults))

    @property
    def sender(self) -> str:
        return self.envelope_from or self.from_address

    @property
    def domain(self) -> str:
        return self.message_id_domain or self.from_address.rpartition("@")[2]

    def _faults(self) -> list[str]:
        checks = (
            (_HOST.fullmatch(self.host), "host: give the relay's host name or address"),
            (0 < self.port < 65536, "port: give a number from 1 to 65535"),
            (self.tls in ("none", "starttls", "implicit"), "tls: choose none, starttls or implicit"),
            (self.ca_file is None or self.ca_file.is_file(), "ca_file: there is no such file"),
            ((self.username is None) == (self.password is None), "username, password: give both or neither"),
            (self.username is None or self.tls != "none", "username: needs tls starttls or implicit"),
            (_ADDRESS.fullmatch(self.from_address), "from_address: give a plain ASCII address, name@domain"),
            (_ADDRESS.fullmatch(self.sender), "envelope_from: give a plain ASCII address, name@domain"),
            (_HOST.fullmatch(self.domain), "message_id_domain: give a domain"),
            (_HOST.fullmatch(self.helo_name), "helo_name: give a host name"),
            (_PRINTABLE.fullmatch(self.from_name) and "=?" not in self.from_name, "from_name: no control characters"),
            (_is_https(self.portal_url), "portal_url: give an https address"),
            (_is_https(self.unsubscribe_url), "unsubscribe_url: give an https address"),
            (
                self.unsubscribe_url is None or len(self.unsubscribe_secret) >= 32,
                "unsubscribe_secret: give at least 32 bytes when unsubscribe_url is set",
            ),
            (self.connections_max >= 1, "connections_max: give at least 1"),
            (self.urgent_connections_max >= 1, "urgent_connections_max: give at least 1"),
            (self.connect_seconds > 0, "connect_seconds: give more than 0"),
            (self.answer_seconds > 0, "answer_seconds: give more than 0"),
            (self.idle_seconds > 0, "idle_seconds: give more than 0"),
        )
        return [sentence for is_right, sentence in checks if not is_right]

    def __repr__(self) -> str:
        return f"EmailSettings(host={self.host!r}, port={self.port}, tls={self.tls!r})"  # never the secrets


def _is_https(url: str | None) -> bool:
    return url is None or re.fullmatch(r"https://[!-~]+", url) is not None
