"""The port `Directory` over the store."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Collection, Mapping, Sequence
from contextlib import asynccontextmanager

import trio

from engine.ports import Changes, Refusal
from engine.records.errors import ChangeRefused
from engine.records.family import Family
from engine.records.person import Device, Line, Person
from engine.records.roster import Roster
from engine.records.words import Category, Channel
from engine.records.work import Endpoint
from engine.rules.devices import DeviceRules
from queueing.directory import journal, reads
from queueing.directory.addresses import address_of
from queueing.directory.apply import Importer, batches
from queueing.directory.catalogue import Catalogue
from queueing.directory.commit import Committer, Entry
from queueing.directory.index import Digests, read_secret
from queueing.directory.mutations import Mutation, Retire, register
from queueing.directory.spread import SCRIPTS
from queueing.link import Link


class StoreDirectory:
    """People, groups and planes (see `engine.ports.Directory`). Many processes may write at the same time.

    Args:
        devices: which devices are taken; without it phones of every app, and no browser.
    """

    def __init__(self, link: Link, devices: DeviceRules | None = None) -> None:
        link.know(SCRIPTS)
        self._devices = devices or DeviceRules()
        self._link = link
        self._catalogue = Catalogue(link)
        self._committer = Committer(link)
        self._importer: Importer | None = None  # made by the first write, and again after one that failed
        self._writing = trio.Lock()  # two writers in one process would only read each other's blocks again
        self._waiting: list[Entry] = []  # single changes that came while a write was under way go together

    # --- reading -----------------------------------------------------------------------------------------------

    async def stamp(self) -> str:
        return await journal.stamp(self._link)

    async def changes_since(self, stamp: str) -> Changes | None:
        return await journal.changes_since(self._link, stamp)

    async def rosters(self, names: Collection[str], blocks: Collection[int] | None = None) -> dict[str, Roster]:
        return await reads.read_rosters(self._link, names, blocks)

    async def numbers(self, ids: Collection[str]) -> dict[str, int]:
        return await reads.read_living(self._link, ids)

    async def guardians(self, ids: Collection[str]) -> Roster:
        return await reads.read_guardians(self._link, ids)

    async def families(self, people: Roster) -> dict[int, Family]:
        return await reads.read_families(self._link, people)

    async def planes(self, blocks: Collection[int], names: Collection[str]) -> dict[str, Roster]:
        return await reads.read_planes(self._link, blocks, names)

    async def endpoints(self, lane: str, slot: int, people: Roster) -> list[Endpoint]:
        return await reads.read_endpoints(self._link, lane, slot, people)

    async def strategy(self, tenant: str) -> Mapping[Category, frozenset[Channel]]:
        return await self._catalogue.strategy(tenant)

    async def scope_tenant(self, scope: str) -> str | None:
        return await self._catalogue.scope_tenant(scope)

    async def person(self, id: str) -> Person | None:
        found = await reads.read_person(self._link, id, self._devices)
        return None if found is None else found[0]

    async def lives(self, number: int) -> bool:
        """Whether the person of this number is still on the platform."""
        return await reads.read_lives(self._link, number)

    # --- writing -----------------------------------------------------------------------------------------------

    async def apply(self, lines: Sequence[tuple[int, Line]], now_ms: int) -> list[Refusal]:
        refused: list[Refusal] = []
        for batch in batches(lines):
            async with self._turn() as importer:
                refused += await importer.apply(batch, now_ms)
        return refused

    async def change(self, id: str, edit: Callable[[Person], Person], now_ms: int) -> Person | None:
        """See the port. `edit` may run more than once.

        Raises:
            ChangeRefused: the edited record is not taken; the text names the field.
        """
        while True:
            async with self._turn() as importer:
                found = await reads.read_person(self._link, id, self._devices)
                if found is None:
                    return None
                present, card = found
                wanted = edit(present)
                if wanted.id != id:
                    raise ChangeRefused("id: a person keeps its id; add a new person instead")
                if wanted == present or await importer.revise(wanted, card, now_ms):
                    return wanted

    async def register(self, id: str, device: Device, now_ms: int) -> bool:
        """An app reports its token: added, taken over from another person, or its registration time renewed.

        Unlike `change` it tells a repeated registration from none, which is what a late 410 must know.
        False when there is no such person.

        Raises:
            ChangeRefused: the device is not taken: no lane reaches its app, or its push service is not configured.
        """
        fault = self._devices.fault_of(device)
        if fault is not None:
            raise ChangeRefused(f"{fault.field}: {fault.sentence}")
        number = (await reads.read_living(self._link, [id])).get(id)
        if number is None:
            return False
        address = address_of(device)
        digest = Digests(await read_secret(self._link)).of(address)
        return await self._mutate(number, register(self._devices.lane_of(device), digest, address, now_ms))

    async def retire(self, lane: str, slot: int, number: int, generation: int, gone_since_ms: int | None) -> bool:
        return await self._mutate(
            number, Retire(lane=lane, slot=slot, generation=generation, gone_since_ms=gone_since_ms)
        )

    async def repair(self) -> int:
        """Finish what writers that died left half done; answers how many blocks that were.

        Runs by itself before the first write of a process and after a failed one; upkeep may call it now and then.
        """
        async with self._turn():
            return await self._committer.repair()

    # --- inside ------------------------------------------------------------------------------------------------

    @asynccontextmanager
    async def _turn(self) -> AsyncIterator[Importer]:
        """This process's turn to write. A write that failed half-way is finished before the next one."""
        async with self._writing:
            if self._importer is None:
                digests = Digests(await read_secret(self._link))
                await self._committer.repair()
                self._importer = Importer(self._link, self._committer, self._catalogue, digests, self._devices)
            try:
                yield self._importer
            except ChangeRefused:
                raise
            except BaseException:
                self._importer = None
                raise

    async def _mutate(self, number: int, mutation: Mutation) -> bool:
        entry = Entry(number, mutation)
        self._waiting.append(entry)
        async with self._turn():
            if not entry.done:
                await self._write_waiting()
        return entry.changed

    async def _write_waiting(self) -> None:
        together, self._waiting = self._waiting, []
        try:
            await self._committer.commit(together)
        except BaseException:
            self._waiting = [entry for entry in together if not entry.done] + self._waiting
            raise
