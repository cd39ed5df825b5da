"""What a simulated provider is to the protocol that carries it: the door between http2/http1 and apns/fcm."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple, Protocol

from channels.simulator.answers import Answer, Ready
from channels.simulator.header_table import Field
from channels.simulator.shapes import Shape


class Fate(NamedTuple):
    """What a script wants for one request instead of the true answer. Status 0: never answer, `reason` says how."""

    status: int
    reason: str
    retry_after: str = ""


class Service(Protocol):
    """A provider's mind: judges whole requests. Has no sockets and no frames.

    The quick way is an optimisation of the full one and must come to the same answer: a request whose varying
    header values fit `shapes`, and whose constants were vouched for, is judged from those values and the body alone.
    """

    provider: str
    shapes: Mapping[bytes, Shape]
    wanted: Sequence[bytes]
    streams_at_first: int
    """Concurrent streams that a connection may open before its first accepted request."""
    streams: int

    def begin(self, unix_seconds: float) -> None:
        """Say what time it is, once for every batch of requests that was read."""
        ...

    def vouch(self, fields: Sequence[Field]) -> object | None:
        """Judge the constants of a layout by one sample; None: requests like this go the full way."""
        ...

    def quick(self, voucher: object, values: Sequence[bytes], body: bytes) -> Ready | None:
        """Answer a vouched request, and write it to the ledger; None (and nothing written): go the full way.

        `values` are the varying parts of the `wanted` headers (empty where one is missing), and one more that is empty.
        """
        ...

    def answer(self, fields: Sequence[Field], body: bytes, fate: Fate | None) -> Answer:
        """Judge one request in full, or do what the script says, and write it to the ledger."""
        ...
