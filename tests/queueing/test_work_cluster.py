"""Every script keeps to one hash slot: the same verbs on a store in cluster mode, which refuses anything else."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from pathlib import Path
from subprocess import Popen

import pytest

from engine.records.errors import StoreUnavailable
from engine.records.roster import roster_of
from engine.records.words import Stop
from queueing import embedded
from queueing.lanes import LaneLimit, StoreLanes
from queueing.link import Link
from queueing.work import StoreWork
from tests.queueing.work_examples import LEASE_MS, NOW_MS, PUSH, claimed, event, part, piece, planned, settlement


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Link]:
    """A cluster of one node that has all slots."""
    with socket.socket() as port:
        port.bind(("127.0.0.1", 0))
        number = port.getsockname()[1]
    socket_path = tmp_path / "store.sock"
    process = Popen(
        [
            *(embedded.find_binary(), "--port", str(number), "--bind", "127.0.0.1", "--cluster-enabled", "yes"),
            *("--cluster-port", "0" if number < 55_000 else str(number - 10_000), "--dir", tmp_path, "--save", ""),
            *("--unixsocket", socket_path, "--logfile", tmp_path / "store.log", "--daemonize", "no"),
        ]
    )
    link = Link(f"unix://{socket_path}")
    try:
        _wait_until_it_serves(link)
        yield link
    finally:
        link.close()
        embedded.stop(process)


def _wait_until_it_serves(link: Link) -> None:
    state = b""
    while b"cluster_state:ok" not in state:
        try:
            if b"cluster_slots_assigned:0" in state:
                link.run_now([("CLUSTER", "ADDSLOTSRANGE", 0, 16383)])
            state = link.run_now([("CLUSTER", "INFO")])[0]
        except StoreUnavailable:
            state = b""
        time.sleep(0.01)


async def test_every_verb_works_on_a_cluster(cluster: Link) -> None:
    work = StoreWork(cluster)
    small, cut = event("1", entity="0751/calendar/u/"), event("2", tenant="dk")
    await work.claim_entity(small)
    await planned(work, small, piece(small, "0"), piece(small, "1", due_ms=NOW_MS + 1))
    await work.admit([cut], [b""])
    await work.lease_unplanned(1, NOW_MS, LEASE_MS)
    assert await work.lease_unplanned(1, NOW_MS + LEASE_MS, LEASE_MS) == [cut]
    await work.freeze(cut, roster_of(block << 8 for block in range(16)), range(16))
    for block in range(16):
        await work.plan(part(cut, [piece(cut, "0", people=[block << 8], shard=block)], shard=block))
    await work.finish_planning(cut, NOW_MS)
    assert await work.promote(NOW_MS + 1, 10) == 1
    claims = await claimed(work)
    assert len(claims) == 18
    assert all(await work.mark([(claim, claim.slice.people) for claim in claims], NOW_MS))
    assert all(await work.extend(claims[:1], NOW_MS + 5, LEASE_MS))
    child = piece(small, "0.0", people=range(3), attempt=2, is_retry=True)
    (of_small, *_) = [claim for claim in claims if claim.slice.event == small.number and claim.slice.id == "0"]
    assert await work.settle([settlement(of_small, children=(child,))]) == [True]
    assert await work.reclaim(NOW_MS + LEASE_MS + 5, 100) == 17
    assert await work.stop(cut.number, Stop.CANCELLED, NOW_MS)
    assert await work.expire(small.expires_ms, 10) == [small.number]
    assert await work.sweep(NOW_MS, 100) == 18
    assert await work.story(cut.number, 256) is not None
    for one in (small, cut):
        report = await work.report(one.number)
        assert report is not None
        assert report.state == "closed"

    lanes = StoreLanes(cluster, {PUSH: LaneLimit(rate_per_second=1, burst=5)})
    assert (await lanes.take(PUSH, 9, NOW_MS)).granted == 5
    await lanes.give_back(PUSH, 1, NOW_MS)
    await lanes.slow(PUSH, NOW_MS + 1, "503")
    await lanes.park(PUSH, "403", NOW_MS)
    assert (await lanes.take(PUSH, 9, NOW_MS)).parked
    await lanes.resume(PUSH)
