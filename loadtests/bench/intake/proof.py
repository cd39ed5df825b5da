"""Proof that 202 means durable: after a `kill -9` of the store what was answered is sent again.

An event that was kept is answered with the id it had; one that was lost would be admitted anew, under another number.
That asks the public API only, and asks about each event by itself.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import httpx
import msgspec

from loadtests.bench.intake.figures import Proof
from loadtests.bench.intake.requests import Load, Spelled

_EVENTS_A_REQUEST = 500
_TYPE = "application/cloudevents-batch+json"


class _Admitted(msgspec.Struct):
    id: str


class _Batch(msgspec.Struct):
    results: list[_Admitted]


class Kept(NamedTuple):
    """One event that was answered 202: its body, and the id it was given."""

    body: bytes
    id: str


def kept(load: Load, answers_file: Path, events_max: int) -> Iterator[Kept]:
    """What a phase was promised, from the generator's file: at most so many events, from its whole length."""
    answers: list[tuple[int, bytes]] = msgspec.msgpack.decode(answers_file.read_bytes())
    single = Spelled(msgspec.structs.replace(load, batch=1))
    step = max(1, len(answers) * load.batch // events_max)
    for number, body in answers[::-step][::-1]:
        ids = (
            [msgspec.json.decode(body, type=_Admitted)]
            if load.batch == 1
            else msgspec.json.decode(body, type=_Batch).results
        )
        for place, admitted in enumerate(ids):
            yield Kept(single.body(number * load.batch + place), admitted.id)


def ask(url: str, api_key: str, promised: Iterable[Kept]) -> Proof:
    """Send all of it again, in batches; count what is known under the id that was promised."""
    asked = known = 0
    headers = {"authorization": f"Bearer {api_key}", "content-type": _TYPE}
    with httpx.Client(base_url=url, headers=headers, timeout=60.0, trust_env=False) as client:
        for group in _groups(list(promised)):
            answer = client.post("/v1/events", content=b"[" + b",".join(one.body for one in group) + b"]")
            asked += len(group)
            if answer.status_code == httpx.codes.ACCEPTED:
                results = msgspec.json.decode(answer.content, type=_Batch).results
                known += count(group, [one.id for one in results])
    return Proof(asked, known)


def count(promised: Sequence[Kept], ids: Sequence[str]) -> int:
    """How many have the id that they were promised."""
    return sum(one.id == id for one, id in zip(promised, ids, strict=True))


def _groups(events: list[Kept]) -> Iterator[list[Kept]]:
    for at in range(0, len(events), _EVENTS_A_REQUEST):
        yield events[at : at + _EVENTS_A_REQUEST]
