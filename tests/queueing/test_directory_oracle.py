"""Whatever lines come in whatever batches, the directory equals the naive one; and after every possible cut, too."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress

import trio
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from engine.records.errors import StoreUnavailable
from engine.records.person import Line, Person
from queueing.directory import StoreDirectory
from queueing.link import Command, Link, Reply
from tests.queueing.directory_lines import IDS, lines
from tests.queueing.directory_oracle import CATALOGUE, DEVICES, Oracle, assert_in_keeping_with_itself, assert_same

NOW = 1_700_000_000_000
quickly = settings(
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.data_too_large],
    phases=[Phase.explicit, Phase.reuse, Phase.generate, Phase.shrink],
)


class CutLink(Link):
    """A connection that breaks: of trip number `cut` only the first `sent` share of the commands arrives."""

    def __init__(self, url: str, cut: int, sent: float) -> None:
        super().__init__(url)
        self.left = cut
        self.sent = sent

    async def run(self, commands: Sequence[Command]) -> list[Reply]:
        self.left -= 1
        if self.left >= 0:
            return await super().run(commands)
        if self.left == -1:
            await super().run(list(commands)[: int(len(commands) * self.sent)])
        raise StoreUnavailable("cut")


def numbered(batch: Sequence[Line]) -> list[tuple[int, Line]]:
    return list(enumerate(batch, 1))


@settings(quickly, max_examples=60)
@given(batches=st.lists(st.lists(lines, min_size=1, max_size=8), min_size=1, max_size=4))
def test_any_lines_in_any_batches_equal_the_naive_directory(store_url: str, batches: list[list[Line]]) -> None:
    async def play() -> None:
        link = Link(store_url)
        await link.ask("FLUSHALL")
        writers = [StoreDirectory(link, DEVICES), StoreDirectory(link, DEVICES)]
        oracle = Oracle()
        assert await writers[0].apply(numbered(CATALOGUE), NOW) == []
        for at, batch in enumerate(batches):
            writer = writers[at % 2]
            refused = await writer.apply(numbered(batch), NOW + at)
            assert [getattr(batch[refusal.line - 1], "id", "") for refusal in refused] == oracle.apply(batch)
            await assert_same(writers[0], oracle)
            stamp = await writer.stamp()
            present = list(oracle.people.values())
            assert await writer.apply(numbered(_guardians_first(present)), NOW + at + 1) == []
            assert await writer.stamp() == stamp, "applying what is there already changes nothing"
        await assert_same(writers[1], oracle)
        link.close()

    trio.run(play)


def _guardians_first(people: Sequence[Line]) -> list[Line]:
    return sorted(people, key=lambda person: bool(getattr(person, "guardians", ())))


@settings(quickly, max_examples=60)
@given(
    first=st.lists(lines, min_size=1, max_size=8),
    second=st.lists(lines, min_size=1, max_size=8),
    cut=st.integers(0, 20),
    sent=st.floats(0, 1),
)
def test_a_writer_cut_anywhere_leaves_nothing_half_done(
    store_url: str, first: list[Line], second: list[Line], cut: int, sent: float
) -> None:
    async def play() -> None:
        link = Link(store_url)
        await link.ask("FLUSHALL")
        oracle = Oracle()
        whole = StoreDirectory(link, DEVICES)
        await whole.apply(numbered([*CATALOGUE, *first]), NOW)
        oracle.apply(first)
        broken = StoreDirectory(CutLink(store_url, cut, sent), DEVICES)
        with suppress(StoreUnavailable):
            await broken.apply(numbered(second), NOW + 1)
        next_writer = StoreDirectory(link, DEVICES)
        await next_writer.repair()
        assert await next_writer.repair() == 0
        await assert_in_keeping_with_itself(next_writer, IDS)
        await next_writer.apply(numbered(second), NOW + 2)  # the client sends again what was not confirmed
        after = await assert_in_keeping_with_itself(next_writer, IDS)
        if all(isinstance(line, Person) and oracle.people.keys() >= set(line.guardians) for line in second):
            oracle.apply(second)  # no line depends on another one of the batch: the end is the same as without a cut
            assert after.people == oracle.people
        link.close()

    trio.run(play)
