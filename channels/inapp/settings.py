"""What an operator may say about the inbox gateway."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class GatewaySettings:
    """Limits and deadlines of one gateway process. TLS ends before it, at the load balancer.

    Raises:
        ValueError: the faults, one a line, each naming its field and the remedy.
    """

    host: str = "127.0.0.1"
    port: int = 8601
    """0 lets the system choose one (tests)."""
    connections_max: int = 20_000
    """Sockets at a time; one more is answered with 503. Raise the process's limit of open files above it."""
    streams_per_person_max: int = 8
    """One more live stream of the same person ends their oldest."""
    requests_per_second: float = 10.0
    """What one person may ask for in the long run; beyond `requests_burst` they get 429."""
    requests_burst: int = 40

    header_seconds: float = 10.0
    """Patience for a request's head, from its first byte; beyond it 408."""
    body_seconds: float = 10.0
    idle_seconds: float = 30.0
    """How long a connection may wait between requests."""
    write_seconds: float = 20.0
    """How long an answer, or a blocked live stream, may take to move on."""
    header_bytes_max: int = 16_384
    body_bytes_max: int = 65_536
    backlog_bytes_max: int = 65_536
    """What waits for a slow stream; beyond it the stream ends, and resumes by Last-Event-ID."""

    heartbeat_seconds: int = 25
    """A comment on idle streams: keeps proxies from closing them, and finds those whose app is gone."""
    gap_check_seconds: float = 2.0
    """How often the store's clocks are compared with what was heard, so that a lost hint is made good."""

    def __post_init__(self) -> None:
        faults = [f"{name}: give more than 0" for name, value in vars(self).items() if name not in _FREE and value <= 0]
        if not 0 <= self.port < 65_536:
            faults.append("port: give a number from 0 to 65535")
        if not self.host:
            faults.append("host: give an address to listen on")
        if faults:
            raise ValueError("\n".join(faults))


_FREE = ("host", "port")
