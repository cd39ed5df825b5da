"""What a sending process is told and what it reports: one JSON line each way. Pure."""

from __future__ import annotations

from typing import Literal

import msgspec

Shape = Literal["apns", "fcm"]
PEOPLE = 20_000
"""Distinct tokens; a run of more pushes is so many more events to the same phones."""


class Task(msgspec.Struct, frozen=True, kw_only=True):
    """One run of one sender: what it sends, where to, and how it is to be measured."""

    shape: Shape
    url: str  # https://localhost:port
    ca_file: str
    pushes: int
    core: int | None  # the core that the process may use
    server_pids: tuple[int, ...] = ()  # whose CPU is counted along
    folder: str = ""  # for what the run writes
    token_url: str = ""  # where FCM's access token is fetched
    warm_up: int = 2_048  # pushes sent before the figures begin: connections, first streams, first compilation
    people: int = PEOPLE
    batch_people: int = 1_024
    batches_at_once: int = 8
    events: int = 1  # how many events take turns, batch by batch
    connections_max: int = 16
    refused: float = 0.0  # this share of the tokens is answered 400 or 410 ...
    unavailable: float = 0.0  # ... and this share 503


class Sample(msgspec.Struct, frozen=True, kw_only=True):
    """What one run came to. CPU is user and system time of the sending process during its send phase."""

    pushes: int
    accepted: int
    outcomes: dict[str, int]  # anything but accepted, by kind and reason
    seconds: float
    cpu_seconds: float
    server_cpu_seconds: float
    peak_rss_mb: float
    rss_mb: tuple[float, float, float] = (0.0, 0.0, 0.0)  # at the start, after a tenth, at the end
    connections: int = 0
    full_rate_after_seconds: float = 0.0  # until a tenth of a second went at nine tenths of the median rate
    full_rate: float = 0.0  # pushes a second from then on

    @property
    def rate(self) -> float:
        return self.pushes / self.seconds if self.seconds else 0.0

    @property
    def cpu_us(self) -> float:
        """CPU microseconds of the sender per push."""
        return self.cpu_seconds / self.pushes * 1e6 if self.pushes else 0.0

    @property
    def server_cpu_us(self) -> float:
        return self.server_cpu_seconds / self.pushes * 1e6 if self.pushes else 0.0
