"""The journal says what changed since a stamp, and admits when it does not reach back."""

from __future__ import annotations

import pytest

from engine.ports import Changes
from engine.records.person import Gone
from engine.records.words import Language
from queueing.directory import StoreDirectory, journal
from queueing.link import Link
from tests.queueing.test_directory_people import directory, members, person, pupil, take

__all__ = ["directory"]  # a fixture

EVERY_PUPIL = {"institution/s1/pupil", "municipality/0101/pupil", "everyone/pupil"}


async def since(directory: StoreDirectory, stamp: str) -> Changes:
    changes = await directory.changes_since(stamp)
    assert changes is not None
    assert changes.stamp == await directory.stamp()
    return changes


async def test_an_empty_directory_has_a_stamp(link: Link) -> None:
    fresh = StoreDirectory(link)
    stamp = await fresh.stamp()
    assert await fresh.changes_since(stamp) == Changes(stamp, frozenset(), frozenset())
    await take(fresh, person("a"))
    assert (await since(fresh, stamp)).blocks == {0}


async def test_blocks_and_rosters_that_a_change_touched_are_told(directory: StoreDirectory) -> None:
    await take(directory, *(person(f"p{at}") for at in range(600)), pupil("child", "1a"))
    stamp = await directory.stamp()
    await take(directory, pupil("child", "1b", "p1"))
    changes = await since(directory, stamp)
    guardian = {name.replace("pupil", "guardian") for name in EVERY_PUPIL}
    assert changes.blocks == {0}, "the guardian's planes changed, the child's did not"
    assert changes.rosters == {"group/1a/pupil", "group/1b/pupil", "group/1b/guardian"} | guardian
    await take(directory, person("p300", language=Language.EN))
    assert (await since(directory, changes.stamp)) == Changes(await directory.stamp(), frozenset({1}), frozenset())


async def test_what_changes_nothing_that_matters_is_not_told(directory: StoreDirectory) -> None:
    await take(directory, person("mum", "t1"), pupil("child", "1a", "mum"))
    stamp = await directory.stamp()
    await take(directory, person("mum", "t1"), pupil("child", "1a", "mum"), person("mum", "t1", tenant="0147"))
    assert await directory.stamp() == stamp
    assert (await directory.person("mum")) == person("mum", "t1", tenant="0147")
    await take(directory, Gone(id="child"))
    assert await directory.stamp() != stamp


async def test_a_batch_that_touches_a_thousand_rosters_is_told_whole(link: Link) -> None:
    names = {f"group/{at}/pupil" for at in range(1000)}
    await link.run([journal.entry({5, 70_000}, names)])
    changes = await StoreDirectory(link).changes_since("0-0")
    assert changes is not None
    assert changes.blocks == {5, 70_000}
    assert changes.rosters == names


@pytest.mark.parametrize("kept", [1, 2])
async def test_a_trimmed_journal_says_that_it_does_not_know(directory: StoreDirectory, link: Link, kept: int) -> None:
    beginning = "0-0"
    stamps = []
    for at in range(3):
        await take(directory, person(f"p{at}"))
        stamps.append(await directory.stamp())
    assert (await since(directory, beginning)).blocks == {0}
    await link.ask("XTRIM", "directory:journal", "MAXLEN", kept)
    assert await directory.changes_since(beginning) is None
    assert await directory.changes_since(stamps[2 - kept]) is None
    assert (await since(directory, stamps[3 - kept])).stamp == stamps[2]


async def test_rosters_are_written_before_the_journal_tells_of_them(directory: StoreDirectory) -> None:
    await take(directory, pupil("child", "1a"))
    assert await members(directory, "group/1a/pupil") == 1
