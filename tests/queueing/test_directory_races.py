"""Two writers, one held up between two of its trips: the orders that random play seldom finds."""

from __future__ import annotations

from collections.abc import Sequence

import trio

from queueing.directory import StoreDirectory
from queueing.directory.spread import COMMIT, FINISH, FORGET, ROSTERS
from queueing.link import Command, Link, Reply, Script
from tests.queueing.directory_oracle import CATALOGUE, assert_in_keeping_with_itself
from tests.queueing.test_directory_people import members, person, pupil, take


class HeldLink(Link):
    """A connection that waits, once, before the trip that calls a certain script."""

    def __init__(self, url: str, before: Script) -> None:
        super().__init__(url)
        self._before = before.sha
        self.reached = trio.Event()
        self.go_on = trio.Event()

    async def run(self, commands: Sequence[Command]) -> list[Reply]:
        if not self.reached.is_set() and any(command[1] == self._before for command in commands if len(command) > 1):
            self.reached.set()
            await self.go_on.wait()
        return await super().run(commands)


async def test_a_token_claimed_by_two_ends_on_one(link: Link, store_url: str) -> None:
    directory = StoreDirectory(link)
    await take(directory, *CATALOGUE, person("a"), person("b"))
    held = HeldLink(store_url, COMMIT)
    slow = StoreDirectory(held)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(take, slow, person("b", "t"))
        await held.reached.wait()  # b has claimed the token, its card is not written yet
        await take(directory, person("a", "t"))
        held.go_on.set()
    assert (await directory.person("a"), await directory.person("b")) == (person("a"), person("b", "t"))
    await assert_in_keeping_with_itself(directory, ["a", "b"])


async def test_a_late_roster_write_does_not_undo_a_newer_one(link: Link, store_url: str) -> None:
    directory = StoreDirectory(link)
    await take(directory, *CATALOGUE, person("a"))
    held = HeldLink(store_url, ROSTERS)
    slow = StoreDirectory(held)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(take, slow, pupil("a", "1a"))
        await held.reached.wait()  # the block is written, the rosters are not
        await take(directory, pupil("a", "1b"))  # pays for the slow one first
        assert await members(directory, "group/1a/pupil") == 0
        held.go_on.set()
    assert await members(directory, "group/1a/pupil") == 0
    assert await members(directory, "group/1b/pupil") == 1
    assert await directory.repair() == 0


async def test_forgetting_late_does_not_forget_a_newer_claim(link: Link, store_url: str) -> None:
    directory = StoreDirectory(link)
    await take(directory, person("a", "t"), person("b"))
    held = HeldLink(store_url, FORGET)
    slow = StoreDirectory(held)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(take, slow, person("a"))
        await held.reached.wait()  # the card is without the token, the index still names it
        await take(directory, person("a", "t"))
        held.go_on.set()
    await take(directory, person("b", "t"))  # finds the owner only if the index was kept
    await assert_in_keeping_with_itself(directory, ["a", "b"])
    assert await directory.person("a") == person("a")


async def test_a_guardian_hears_of_the_newest_place_however_the_letters_come(link: Link, store_url: str) -> None:
    directory = StoreDirectory(link)
    await take(directory, *CATALOGUE, person("mum"), pupil("child", "1a", "mum"))
    held = HeldLink(store_url, FINISH)
    slow = StoreDirectory(held)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(take, slow, pupil("child", "1b", "mum"))
        await held.reached.wait()  # the child's card is written, its letter not heard
        await take(directory, pupil("child", "2a", "mum"))
        held.go_on.set()
    assert await members(directory, "group/1b/guardian") == 0
    assert await members(directory, "group/2a/guardian") == 1
    assert await directory.repair() == 0


async def test_a_writer_that_dies_between_claim_and_card_blocks_nobody(link: Link, store_url: str) -> None:
    directory = StoreDirectory(link)
    await take(directory, person("a"), person("b"))
    held = HeldLink(store_url, COMMIT)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(take, StoreDirectory(held), person("a", "t"))
        await held.reached.wait()
        nursery.cancel_scope.cancel()
    await take(directory, person("b", "t"))
    assert (await directory.person("a"), await directory.person("b")) == (person("a"), person("b", "t"))
