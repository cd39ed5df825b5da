"""Which sender is measured at which server, with what options. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, NamedTuple, get_args

from loadtests.bench.push.task import PEOPLE, Shape

Scenario = Literal["apns", "fcm", "refused", "latency", "small", "events", "peers"]
SCENARIOS: tuple[Scenario, ...] = get_args(Scenario)

LATENCY_MS = 60.0
REFUSED, UNAVAILABLE = 0.05, 0.01
_CLASS = 46  # people of a class message
_DISPATCHED = 16  # batches of 1,024 that a dispatcher has in flight on a lane (engine/dispatch.py, `people_max`)
_OFTEN = 2_048
_OURS = "loadtests.bench.push.ours"


class Run(NamedTuple):
    """One row: `name` begins with the sender's and ends with the server's name."""

    name: str
    module: str
    server: str  # nghttpd, haproxy, simulator; `apns`, `fcm` or `refusing` say which simulator
    options: dict[str, Any]
    is_far: bool = False  # behind the relay


def plan(scenarios: Sequence[Scenario], installed: frozenset[str], pushes: int) -> list[Run]:
    """The rows of one round, ours and theirs in turns. `installed` holds nghttpd, haproxy, h2load where they are."""
    fast = "nghttpd" if "nghttpd" in installed else "simulator"
    echoing = "haproxy" if "haproxy" in installed else "simulator"
    both = list(dict.fromkeys((fast, echoing)))
    runs: list[Run] = []
    if "apns" in scenarios or "peers" in scenarios:
        runs += [_ours("apns", server, pushes) for server in both]
    if "peers" in scenarios:
        if "h2load" in installed:
            # only where our own row stands beside it
            runs += [_peer("h2load", server, pushes) for server in both]
        runs += [_peer("aioapns", echoing, max(50, pushes // 100)), _peer("httpx", echoing, max(20, pushes // 400))]
    if "fcm" in scenarios:
        runs += [_ours("fcm", server, pushes) for server in both]
    if "refused" in scenarios:
        shares = {"refused": REFUSED, "unavailable": UNAVAILABLE}
        server = "haproxy" if echoing == "haproxy" else "refusing"
        runs.append(_ours("apns", server, min(pushes, PEOPLE) if server == "refusing" else pushes, "refused", **shares))
    if "latency" in scenarios:
        # From nothing to full rate is inside the run, so it must be long; few phones, since nghttpd and the relay share
        # a core and files that are often asked for cost nghttpd half.
        far = _ours("apns", fast, max(400_000, 2 * pushes), "latency", batches_at_once=_DISPATCHED, warm_up=0,
                    people=_OFTEN)  # fmt: skip
        runs.append(far._replace(is_far=True))
    if "small" in scenarios:
        runs.append(_ours("apns", fast, max(_CLASS, pushes // 2), "small", batch_people=_CLASS, batches_at_once=64,
                          events=16))  # fmt: skip
    if "events" in scenarios:
        runs.append(_ours("apns", fast, pushes, "events", batch_people=256, batches_at_once=64, events=64))
    return runs


def _ours(shape: Shape, server: str, pushes: int, what: str = "", **options: Any) -> Run:
    return Run(f"ours {what or shape} {server}", _OURS, server, {"shape": shape, "pushes": pushes, **options})


def _peer(name: str, server: str, pushes: int) -> Run:
    return Run(f"{name} {server}", f"loadtests.bench.push.with_{name}", server, {"shape": "apns", "pushes": pushes})
