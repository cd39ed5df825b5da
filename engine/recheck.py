"""Truth at send time, the shell: reads what changed, and asks audience, policy and quiet hours again.

One process follows the directory's journal for all its lanes. Planes that every slice needs (who is quiet now, who
reads English) are kept in memory until the journal names their block, so that a slice of which nothing changed costs
no read at all.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Iterable, Sequence
from typing import NamedTuple

from engine import resolving
from engine.combining import Combiner
from engine.ports import Directory
from engine.records.roster import Roster
from engine.records.words import Channel
from engine.records.work import Claim, Settled
from engine.rules import audience as audiences
from engine.rules import quiet, recheck
from engine.rules import roster as rosters
from engine.rules.journal import Journal
from engine.rules.planes import ENGLISH, Route
from engine.rules.policy import planes_needed
from engine.rules.settling import Child
from engine.side_by_side import side_by_side


class Checked(NamedTuple):
    """What of a slice may go out, and what becomes of the rest.

    `stamp` says how new this knowledge is; `is_touched`, that something about these people has changed since planning.
    """

    send: Roster
    english: Roster  # of all people of the asked blocks: who reads English
    ends: list[Settled]
    held: list[Child]
    stamp: str
    is_touched: bool


class Rechecker:
    """Checks slices right before they are sent; `run` must run."""

    def __init__(self, directory: Directory, now_ms: Callable[[], int]) -> None:
        self._directory = directory
        self._now_ms = now_ms
        self._strategies = resolving.Strategies(directory, now_ms)
        self._journal: Journal | None = None
        self._planes = PlaneCache(directory)
        self._catch_up = Combiner(self._read_journal)
        self._ask_planes = Combiner(self._planes.read)

    @property
    def services(self) -> tuple[Callable[[], Awaitable[None]], ...]:
        """What must run beside it."""
        return self._catch_up.run, self._ask_planes.run

    async def check(self, claim: Claim, people: Roster) -> Checked:
        """Say who of these people of a claim may be sent to now."""
        piece, event = claim.slice, claim.event
        route = Route(piece.lane, piece.slot)
        # The journal does not speak of strategies, so neither waits for the other.
        journal, allowed = await side_by_side(
            lambda: self._catch_up(piece.stamp), lambda: self._strategies.allowed(event)
        )
        stamp = journal.newest  # read before anything that is judged by it
        ends: list[Settled] = []
        is_touched = self._is_touched(journal, claim, people)
        if route.channel not in allowed or is_touched:
            people, ends = await self._stand(claim, route, people, allowed)
        is_noisy = quiet.respects_quiet(event.urgency, route.channel)
        now_ms = self._now_ms()
        plane_now = quiet.plane_now(now_ms)
        planes = await self._ask_planes(
            (frozenset((ENGLISH, plane_now)) if is_noisy else frozenset((ENGLISH,)), people)
        )
        held: list[Child] = []
        if is_noisy and (hushed := rosters.intersect(people, planes[plane_now])):
            releases = await resolving.releases(self._directory, hushed, now_ms, event.expires_ms)
            held = recheck.held_children(piece, releases, event.expires_ms)
            people = rosters.minus(people, hushed)
        return Checked(people, planes[ENGLISH], ends, held, stamp, is_touched)

    def _is_touched(self, journal: Journal, claim: Claim, people: Roster) -> bool:
        needs = audiences.needs(claim.event.audience)
        # A father of two in one class loses custody of one: no roster and no plane changes, so the journal is silent.
        # Audiences that name pupils are small; they are always asked again.
        return bool(needs.guardians_of) or journal.is_touched(claim.slice.stamp, people, needs.rosters)

    async def _stand(
        self, claim: Claim, route: Route, people: Roster, allowed: Collection[Channel]
    ) -> recheck.Standing:
        event, blocks = claim.event, list(people)
        audience = await resolving.resolve(self._directory, event.audience, blocks)
        planes = await self._directory.planes(blocks, planes_needed(event, [route], allowed))
        return recheck.stand(event, route, people, audience, planes, allowed)

    async def _read_journal(self, stamps: Sequence[str]) -> list[Journal]:
        """Read on from where we are, and once further back where a slice is older than our memory."""
        if self._journal is None:
            self._journal = Journal(await self._directory.stamp())
        journal = self._journal
        await self._learn(journal, journal.newest)
        if older := journal.reach_back_to(stamps):
            await self._learn(journal, older)
        return [journal] * len(stamps)

    async def _learn(self, journal: Journal, since: str) -> None:
        changes = await self._directory.changes_since(since)
        if changes is None:
            journal.lost(since, await self._directory.stamp())
            self._planes.forget_all()
        else:
            self._planes.forget(changes.blocks)
            journal.learn(since, changes.stamp, changes.blocks, changes.rosters)


class PlaneCache:
    """Planes by block, kept until the journal names the block.

    The quiet plane changes every half-hour: those of other half-hours are dropped when a new one is asked for.
    """

    def __init__(self, directory: Directory) -> None:
        self._directory = directory
        self._known: dict[str, Roster] = {}  # plane -> block -> mask; 0 is known to be empty
        self._forgotten: dict[int, int] = {}  # block -> at which tick
        self._ticks = 0

    def forget(self, blocks: Iterable[int]) -> None:
        """These blocks changed."""
        self._ticks += 1
        for block in blocks:
            self._forgotten[block] = self._ticks
            for known in self._known.values():
                known.pop(block, None)

    def forget_all(self) -> None:
        """We no longer know what changed."""
        self._ticks += 1
        self._forgotten = dict.fromkeys({block for known in self._known.values() for block in known}, self._ticks)
        self._known = {}

    async def read(self, asked: Sequence[tuple[frozenset[str], Roster]]) -> list[dict[str, Roster]]:
        """For each (names, people) those planes on the people's blocks; only what is not known is read, in one go."""
        blocks: dict[str, set[int]] = {}
        for names, people in asked:
            for name in names:
                blocks.setdefault(name, set()).update(people)
        # Taken before the read: what is known may be forgotten while we wait, and is not among what is read.
        masks = {name: self._known_on(name, some) for name, some in blocks.items()}
        missing = {name: some - masks[name].keys() for name, some in blocks.items()}
        fresh = await self._fetch({name: some for name, some in missing.items() if some})
        for name, some in missing.items():
            read = fresh.get(name, {})
            masks[name].update((block, read.get(block, 0)) for block in some)
        return [{name: {block: masks[name][block] for block in people} for name in names} for names, people in asked]

    def _known_on(self, name: str, blocks: Iterable[int]) -> Roster:
        known = self._known.get(name, {})
        return {block: known[block] for block in blocks if block in known}

    async def _fetch(self, missing: dict[str, set[int]]) -> dict[str, Roster]:
        if not missing:
            return {}
        started = self._ticks
        blocks = set().union(*missing.values())
        fresh = await self._directory.planes(blocks, list(missing))
        for name in missing:
            self._drop_other_half_hours(name)
            known = self._known.setdefault(name, {})
            for block in blocks:
                # What changed while we read may have been read before the change: use it now, do not keep it.
                if self._forgotten.get(block, 0) <= started:
                    known[block] = fresh.get(name, {}).get(block, 0)
        return fresh

    def _drop_other_half_hours(self, name: str) -> None:
        if name.startswith("quiet.") and name not in self._known:
            for other in [known for known in self._known if known.startswith("quiet.")]:
                del self._known[other]
