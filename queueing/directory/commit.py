"""Writes changes of people, so that no crash and no second writer leaves anything half done for good.

A block is written by one script if its version is still the one that was read; otherwise it is read again. The same
script notes what the write owes elsewhere: masks in rosters, digests in the token index, a line in the journal,
letters to guardians' cards. These are paid next. Whoever finds a block that still owes (its writer died) pays for it
first; rosters and index compare versions, so that paying twice or late changes nothing.

A device token has one owner. A claim in the index comes before the block is written; when another person owns the
token, it is first taken off that person's card, and that write fences off whoever is about to add it there.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import trio

from queueing.directory import journal, keys
from queueing.directory.card import Card, decode
from queueing.directory.draft import VERSION, Change, Draft, Owed, decode_owed
from queueing.directory.family import Letter, read_letter
from queueing.directory.mutations import Hear, Mutation, Release
from queueing.directory.spread import CLAIM, FINISH, FORGET, GATHER, ROSTERS, Spread
from queueing.link import Command, Link


class Entry:
    """One mutation of one person, and whether it changed anything."""

    __slots__ = ("changed", "done", "mutation", "number")

    def __init__(self, number: int, mutation: Mutation) -> None:
        self.number = number
        self.mutation = mutation
        self.changed = False
        self.done = False


class Debt(NamedTuple):
    """What one version of one block owes."""

    block: int
    version: int
    owed: Owed | None
    letters: Sequence[Letter] = ()


class Committer:
    """Commits entries through one link. Two commits at a time are safe, but would only conflict with each other."""

    def __init__(self, link: Link) -> None:
        self._link = link

    async def commit(self, entries: Sequence[Entry]) -> None:
        """Write all entries with everything that follows from them, guardians' cards and journal included."""
        letters = await self._commit(entries)
        await self._deliver(letters)

    async def repair(self) -> int:
        """Pay what writers that died still owe; answers how many blocks owed."""
        sets = await self._link.run([("SMEMBERS", keys.open_blocks(tag)) for tag in range(keys.TAGS)])
        blocks = sorted(int(block) for members in sets for block in members)
        for block in blocks:
            (version, owed), letters = await self._link.run(
                [("HMGET", keys.meta(block), keys.VERSION, keys.OWED), ("HGETALL", keys.letters(block))]
            )
            await self._pay([Debt(block, int(version or 0), decode_owed(owed) if owed else None)])
            found = zip(letters[::2], letters[1::2], strict=True)
            await self._deliver([(block, read_letter(field, value)) for field, value in found])
        return len(blocks)

    async def _commit(self, entries: Sequence[Entry]) -> list[tuple[int, Letter]]:
        letters: list[tuple[int, Letter]] = []
        waiting: Sequence[Entry] = entries
        while waiting:
            drafts = await self._draft(waiting)
            if drafts is None:
                continue
            conflicted = await self._write(drafts)
            if conflicted is None:
                continue
            letters += [
                (draft.block, letter)
                for draft in drafts
                if draft.dirty and draft.block not in conflicted
                for letter in draft.letters
            ]
            for entry in waiting:
                entry.done = entry.number >> 8 not in conflicted
            waiting = [entry for entry in waiting if not entry.done]
        return letters

    async def _deliver(self, letters: Sequence[tuple[int, Letter]]) -> None:
        if not letters:
            return
        await self._commit([Entry(letter.guardian, Hear(letter.follow)) for _, letter in letters])
        heard: dict[int, list[Letter]] = {}
        for block, letter in letters:
            heard.setdefault(block, []).append(letter)
        await self._link.run([_finish(Debt(block, 0, None, told)) for block, told in heard.items()])

    # --- reading -----------------------------------------------------------------------------------------------

    async def _draft(self, waiting: Sequence[Entry]) -> list[Draft] | None:
        """Read the blocks and work the mutations; None when a block owed something, which is paid now."""
        by_block: dict[int, dict[int, list[Entry]]] = {}
        for entry in waiting:
            by_block.setdefault(entry.number >> 8, {}).setdefault(entry.number, []).append(entry)
        commands: list[Command] = []
        for block, people in by_block.items():  # the version before the cards: a write in between is then noticed
            commands.append(("HMGET", keys.meta(block), keys.VERSION, keys.OWED))
            commands.append(("HMGET", keys.cards(block), *[keys.OFFSETS[number & 255] for number in people]))
        replies = await self._link.run(commands)
        debts = [
            Debt(block, int(version), decode_owed(owed))
            for block, (version, owed) in zip(by_block, replies[::2], strict=True)
            if owed
        ]
        if debts:
            await self._pay(debts)
            return None
        drafts = []
        for (block, people), (version, _), packed in zip(by_block.items(), replies[::2], replies[1::2], strict=True):
            draft = Draft(block, int(version or 0))
            changes = {
                number: _change(draft, number, steps, decode(card))
                for (number, steps), card in zip(people.items(), packed, strict=True)
            }
            draft.work(changes)
            draft.name_masks()
            drafts.append(draft)
            await trio.lowlevel.checkpoint()  # a block is at most 256 people: about 5 ms
        return drafts

    # --- writing -----------------------------------------------------------------------------------------------

    async def _write(self, drafts: Sequence[Draft]) -> set[int] | None:
        """Write the drafts; answers the blocks that somebody else wrote first, None when a token changes hands."""
        dirty = [draft for draft in drafts if draft.dirty]
        if not dirty:
            return set()
        rosters, claims = Spread(GATHER), Spread(CLAIM)
        masks: list[Command] = []
        claimed: list[bytes] = []
        for draft in dirty:
            if draft.plane_names:
                masks.append(("HMGET", keys.planes(draft.block), *draft.plane_names))
            if draft.quiet_names:
                masks.append(("HMGET", keys.quiet(draft.block), *draft.quiet_names))
            for name in draft.roster_names:
                rosters.add(keys.roster(name), draft.block)
            for digest, number in draft.claims:
                owner = VERSION.pack(number) + VERSION.pack(draft.version + 1)
                claims.add(keys.token(digest), digest[2:], owner)
                claimed.append(digest)
        roster_commands, claim_commands = rosters.commands(), claims.commands()
        replies = await self._link.run([*masks, *roster_commands, *claim_commands])
        told = claims.replies(replies[len(masks) + len(roster_commands) :])
        others = [(VERSION.unpack_from(owner)[0], digest) for digest, owner in zip(claimed, told, strict=True) if owner]
        if others:
            await self.commit([Entry(number, Release(digest)) for number, digest in others])
            return None
        present = iter(replies[: len(masks)])
        present_rosters = iter(rosters.replies(replies[len(masks) : len(masks) + len(roster_commands)]))
        commands = []
        for draft in dirty:
            planes = next(present) if draft.plane_names else ()
            quiet = next(present) if draft.quiet_names else ()
            commands.append(draft.command(planes, quiet, [next(present_rosters) for _ in draft.roster_names]))
            await trio.lowlevel.checkpoint()
        written = await self._link.run(commands)
        await self._pay(
            [Debt(d.block, d.version + 1, d.owed) for d, done in zip(dirty, written, strict=True) if done and d.owed]
        )
        return {draft.block for draft, done in zip(dirty, written, strict=True) if not done}

    async def _pay(self, debts: Sequence[Debt]) -> None:
        """Write rosters and index, then the journal, then strike the debts out."""
        owing = [(debt, debt.owed) for debt in debts if debt.owed is not None]
        if not owing:
            return
        forget = Spread(FORGET)
        by_roster: dict[str, list[bytes | int]] = {}
        blocks: set[int] = set()
        for debt, owed in owing:
            version = VERSION.pack(debt.version)
            for name, mask in owed.rosters:
                by_roster.setdefault(name, []).extend((debt.block, version + mask))
            for digest, number in owed.forget:
                forget.add(keys.token(digest), digest[2:], VERSION.pack(number) + version)
            if owed.planes_changed:
                blocks.add(debt.block)
        rosters = Spread(ROSTERS)
        for name, pairs in by_roster.items():
            rosters.add(keys.roster(name), len(pairs) // 2, *pairs)
        await self._link.run([*rosters.commands(), *forget.commands()])
        news: list[Command] = [journal.entry(blocks, by_roster)] if blocks or by_roster else []
        await self._link.run([*news, *[_finish(debt) for debt, _ in owing]])


def _change(draft: Draft, number: int, steps: Iterable[Entry], old: Card | None) -> Change:
    change = Change(old, old, {})
    for step in steps:
        mutation = step.mutation
        card = mutation.on(change.new)
        step.changed = card != change.new
        change.new = card
        if mutation.addresses:
            change.addresses.update(mutation.addresses)
        if mutation.touch:
            change.touched = True
            change.remind = change.remind or mutation.remind
        if mutation.forget:
            draft.forget += [(digest, number) for digest in mutation.forget]
    return change


def _finish(debt: Debt) -> Command:
    told = [part for letter in debt.letters for part in (letter.field, letter.value)]
    block = debt.block
    return FINISH.call([keys.meta(block), keys.letters(block), keys.open_blocks(block)], [debt.version, block, *told])
