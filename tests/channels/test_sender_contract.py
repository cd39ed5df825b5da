"""One contract for every push sender, against its simulator's scripted faults on the wire.

Every batch has one outcome per endpoint, in order, all by the deadline; the simulator's own ledger agrees with them;
and no endpoint is sent twice unless the first time was surely not processed, or refused in a way that asks for it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import trio

from engine.outcomes import ACCEPTED, Accepted, Outcome, Rejected, Throttled, Unknown, Unreachable
from engine.ports import Sender
from engine.records.work import Batch, delivery_ids
from tests.channels.events import EVENT, batch_of, changed
from tests.channels.kinds import KINDS
from tests.channels.simulated import Kind, Simulated, ledger_name

LATE_SECONDS = 0.75
"""How much later than its deadline a batch may come back on a busy machine: the pool looks every 50 ms."""


@pytest.fixture(params=KINDS, ids=[kind.name for kind in KINDS])
def kind(request: pytest.FixtureRequest) -> Kind:
    found: Kind = request.param
    return found


class Contract:
    """A sender and its simulator; `send` checks what holds for every batch."""

    def __init__(self, kind: Kind, simulated: Simulated, sender: Sender) -> None:
        self.kind, self.simulated, self.sender = kind, simulated, sender
        self._sent = 0

    def batch(self, count: int, seconds: float = 5.0) -> Batch:
        """People who were never sent anything before, about an event of their own."""
        start, self._sent = self._sent, self._sent + count
        event = changed(EVENT, number=EVENT.number + start)
        addresses = self.kind.addresses(self.simulated.url, count, start)
        return batch_of(addresses, event, self.kind.lane, seconds)

    async def taken(self, requests: int) -> None:
        """Wait until the simulator has taken so many requests in all, answered or not."""
        with trio.fail_after(5):
            while len(self.simulated.rows()) < requests:
                await trio.sleep(0.005)

    async def send(self, batch: Batch, sends_max: int = 1) -> Sequence[Outcome]:
        started = trio.current_time()
        outcomes = await self.sender.send(batch)
        assert trio.current_time() - started <= batch.deadline_seconds + LATE_SECONDS, "a batch came back too late"
        self.agree(batch, outcomes, sends_max)
        return outcomes

    def asked(self, batch: Batch) -> dict[str, list[str]]:
        """Statuses that the simulator's ledger holds for a batch, by address; its delivery ids are those we derive."""
        ids = dict(zip((ledger_name(one.address) for one in batch.endpoints), delivery_ids(batch), strict=True))
        found: dict[str, list[str]] = {address: [] for address in ids}
        for row in self.simulated.rows():
            if row["address"] in ids:
                assert row["delivery"].replace("-", "") == ids[row["address"]].hex()
                found[row["address"]].append(row["status"])
        return found

    def agree(self, batch: Batch, outcomes: Sequence[Outcome], sends_max: int = 1) -> None:
        """One outcome per endpoint, in order, and the ledger says the same."""
        assert len(outcomes) == len(batch.endpoints)
        asked, accepted = self.asked(batch), self.kind.accepted
        for endpoint, outcome in zip(batch.endpoints, outcomes, strict=True):
            statuses = asked[ledger_name(endpoint.address)]
            assert len(statuses) <= sends_max, (outcome, statuses)
            assert statuses.count(accepted) <= 1, (outcome, statuses)
            if isinstance(outcome, Accepted):
                assert statuses[-1] == accepted, statuses
            elif not isinstance(outcome, Unknown):
                assert accepted not in statuses, (outcome, statuses)


@asynccontextmanager
async def contract(kind: Kind, folder: Path) -> AsyncIterator[Contract]:
    """A sender that has had its first push accepted, so that credentials and streams are there."""
    async with kind.simulated(folder) as simulated, kind.sending(simulated) as sender:
        made = Contract(kind, simulated, sender)
        assert await made.send(made.batch(1)) == [ACCEPTED]
        yield made


async def test_every_status_and_reason_on_the_wire_comes_to_its_outcome(kind: Kind, tmp_path: Path) -> None:
    async with contract(kind, tmp_path) as made:
        for status, reason, retry_after, expected, sends, pushes in kind.wanted():
            said = {"share": 1.0, "status": status, "reason": reason, "retry_after": retry_after}
            made.simulated.steer(answers=[said])
            batch = made.batch(pushes)
            outcomes = await made.send(batch, sends_max=sends)
            assert outcomes == [expected] * pushes, (status, reason, retry_after)
            assert Counter(map(len, made.asked(batch).values())) == {sends: pushes}, (status, reason)
            made.simulated.steer()
            assert await made.send(made.batch(1)) == [ACCEPTED]
        assert await made.send(made.batch(20)) == [ACCEPTED] * 20  # none of it has spoilt the sender


async def test_in_a_brown_out_each_push_has_its_own_outcome_in_its_place(kind: Kind, tmp_path: Path) -> None:
    async with contract(kind, tmp_path) as made:
        made.simulated.steer(answers=[{"share": 0.3, "status": 503, "retry_after": 2}], latency_ms=5, jitter_ms=20)
        batch = made.batch(300)
        outcomes = await made.send(batch)
        asked = made.asked(batch)
    throttled = Throttled(reason=next(o.reason for o in outcomes if isinstance(o, Throttled)), lane_wide=True,
                          retry_after_seconds=2.0)  # fmt: skip
    expected = [
        ACCEPTED if asked[ledger_name(one.address)] == [kind.accepted] else throttled for one in batch.endpoints
    ]
    assert outcomes == expected
    assert 40 < outcomes.count(throttled) < 150


async def test_a_silent_share_is_unknown_at_the_deadline_and_the_rest_is_not_held_up(
    kind: Kind, tmp_path: Path
) -> None:
    async with contract(kind, tmp_path) as made:
        made.simulated.steer(silent=0.2)
        batch = made.batch(60, seconds=0.6)
        outcomes = await made.send(batch)
        asked = made.asked(batch)
        for endpoint, outcome in zip(batch.endpoints, outcomes, strict=True):
            is_silent = asked[ledger_name(endpoint.address)] == ["0"]
            assert outcome == (Unknown(reason="no_answer_in_time") if is_silent else ACCEPTED)
        assert Unknown(reason="no_answer_in_time") in outcomes
        made.simulated.steer()
        assert await made.send(made.batch(60)) == [ACCEPTED] * 60  # on a connection that is not the silent one


async def test_complete_silence_ends_at_the_deadline(kind: Kind, tmp_path: Path) -> None:
    async with contract(kind, tmp_path) as made:
        made.simulated.steer(silent=True)
        assert await made.send(made.batch(30, seconds=0.4)) == [Unknown(reason="no_answer_in_time")] * 30
        made.simulated.steer()
        assert await made.send(made.batch(30)) == [ACCEPTED] * 30


@pytest.mark.parametrize("code", ["INTERNAL_ERROR", "CANCEL", "ENHANCE_YOUR_CALM"])
async def test_a_share_of_resets_is_unknown_and_never_sent_again(kind: Kind, code: str, tmp_path: Path) -> None:
    async with contract(kind, tmp_path) as made:
        made.simulated.steer(reset=0.3, reset_code=code)
        outcomes = await made.send(made.batch(100))
    assert set(outcomes) == {ACCEPTED, Unknown(reason=f"reset_{code.lower()}")}


async def test_refused_streams_are_sent_again_until_accepted_and_only_so_often(kind: Kind, tmp_path: Path) -> None:
    async with contract(kind, tmp_path) as made:
        made.simulated.steer(reset=0.4, reset_code="REFUSED_STREAM")
        batch = made.batch(100)
        outcomes = await made.send(batch, sends_max=4)
        tries = made.asked(batch)
        assert {len(statuses) for statuses in tries.values()} >= {1, 2, 3}
        for endpoint, outcome in zip(batch.endpoints, outcomes, strict=True):
            statuses = tries[ledger_name(endpoint.address)]
            refused = Unreachable(reason="refused_stream")
            assert outcome == (ACCEPTED if statuses[-1] == kind.accepted else refused)
            assert outcome == ACCEPTED or len(statuses) == 4


async def test_a_goaway_in_mid_flight_costs_nobody_anything(kind: Kind, tmp_path: Path) -> None:
    async with contract(kind, tmp_path) as made, trio.open_nursery() as nursery:
        made.simulated.steer(latency_ms=100)

        async def send() -> None:
            assert await made.send(made.batch(250)) == [ACCEPTED] * 250

        nursery.start_soon(send)
        await made.taken(50)
        made.simulated.steer(goaway=True, latency_ms=50)


async def test_connections_that_go_away_after_a_few_requests_send_nothing_twice(kind: Kind, tmp_path: Path) -> None:
    async with contract(kind, tmp_path) as made:
        made.simulated.steer(goaway_after=30)
        outcomes = await made.send(made.batch(100))
    assert set(outcomes) <= {ACCEPTED, Unreachable(reason="goaway")}
    assert outcomes.count(ACCEPTED) >= 30


async def test_one_stream_at_a_time_is_enough(kind: Kind, tmp_path: Path) -> None:
    async with contract(kind, tmp_path) as made:
        made.simulated.steer(max_streams=1, latency_ms=1)
        assert await made.send(made.batch(60)) == [ACCEPTED] * 60
        made.simulated.steer()
        assert await made.send(made.batch(200)) == [ACCEPTED] * 200


async def test_streams_lowered_in_mid_flight_lose_nothing(kind: Kind, tmp_path: Path) -> None:
    async with contract(kind, tmp_path) as made, trio.open_nursery() as nursery:
        made.simulated.steer(latency_ms=40)

        async def send() -> None:
            assert await made.send(made.batch(300), sends_max=1) == [ACCEPTED] * 300

        nursery.start_soon(send)
        await made.taken(80)
        made.simulated.steer(max_streams=3)
        await made.taken(150)
        made.simulated.steer(max_streams=50, latency_ms=5)


async def test_a_provider_that_is_down_takes_nothing_and_is_found_again_when_it_is_back(
    kind: Kind, tmp_path: Path
) -> None:
    async with contract(kind, tmp_path) as made:
        made.simulated.steer(down=True)
        outcomes = await made.send(made.batch(40, seconds=0.8))
        assert {type(outcome) for outcome in outcomes} <= {Unreachable, Throttled, Unknown}
        made.simulated.steer()
        with trio.fail_after(10):
            while (await made.send(made.batch(5)))[0] != ACCEPTED:
                pass


async def test_a_provider_that_goes_down_with_pushes_in_flight_leaves_them_unknown(kind: Kind, tmp_path: Path) -> None:
    async with contract(kind, tmp_path) as made, trio.open_nursery() as nursery:
        made.simulated.steer(latency_ms=300)

        async def send() -> None:
            outcomes = await made.send(made.batch(50))
            assert {type(outcome) for outcome in outcomes} == {Unknown}

        nursery.start_soon(send)
        await made.taken(51)
        made.simulated.steer(down=True)


async def test_latency_and_jitter_change_neither_order_nor_outcome(kind: Kind, tmp_path: Path) -> None:
    async with contract(kind, tmp_path) as made:
        refused = {"share": 0.3, "status": kind.gone[0], "reason": kind.gone[1]}
        made.simulated.steer(latency_ms=20, jitter_ms=60, answers=[refused])
        batch = made.batch(250)
        outcomes = await made.send(batch)
        asked = made.asked(batch)
    for endpoint, outcome in zip(batch.endpoints, outcomes, strict=True):
        assert (asked[ledger_name(endpoint.address)] == [kind.accepted]) == (outcome == ACCEPTED)
        assert outcome == ACCEPTED or (isinstance(outcome, Rejected) and outcome.endpoint_gone)


async def test_cancelling_one_batch_touches_no_other(kind: Kind, tmp_path: Path) -> None:
    async with contract(kind, tmp_path) as made, trio.open_nursery() as nursery:
        made.simulated.steer(latency_ms=150)
        leaving, scope = made.batch(400), trio.CancelScope()

        async def stay(count: int) -> None:
            assert await made.send(made.batch(count)) == [ACCEPTED] * count

        async def leave() -> None:
            with scope:
                await made.sender.send(leaving)

        nursery.start_soon(stay, 30)
        nursery.start_soon(leave)
        nursery.start_soon(stay, 60)
        await made.taken(100)
        scope.cancel()
        await stay(20)
        assert scope.cancelled_caught
        assert {len(statuses) for statuses in made.asked(leaving).values()} == {0, 1}  # some were under way


async def test_many_batches_at_once_each_get_their_own_outcomes(kind: Kind, tmp_path: Path) -> None:
    async with contract(kind, tmp_path) as made, trio.open_nursery() as nursery:
        status, reason = kind.gone
        made.simulated.steer(
            latency_ms=5,
            jitter_ms=20,
            answers=[
                {"share": 0.1, "status": status, "reason": reason},
                {"share": 0.05, "status": 503},
            ],
            silent=0.05,
            reset=0.05,
            reset_code="REFUSED_STREAM",
        )

        async def send(count: int) -> None:
            await made.send(made.batch(count, seconds=1.0), sends_max=4)  # `agree` compares each with the ledger

        for count in (1, 3, 200, 46, 46, 500, 7):
            nursery.start_soon(send, count)
