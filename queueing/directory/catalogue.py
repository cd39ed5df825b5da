"""Institutions, groups and strategies: small, and what people's memberships are checked against.

An institution stays in its municipality and a group in its institution, since rosters are derived from that when
people are written. So what was read once may be remembered for good.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping

import msgspec

from engine.records.person import Group, Institution, Strategy
from engine.records.words import Category, Channel
from queueing.directory import keys
from queueing.link import Command, Link

CataloguePart = Institution | Group | Strategy


class Catalogue:
    """Parents by id, remembered as they are asked for: about 100 bytes a group."""

    def __init__(self, link: Link) -> None:
        self._link = link
        self._tenants: dict[str, str] = {}  # institution -> municipality
        self._institutions: dict[str, str] = {}  # group -> institution

    async def learn(
        self, institutions: Collection[str], groups: Collection[str]
    ) -> tuple[dict[str, str], dict[str, str]]:
        """Municipalities of institutions and institutions of groups; unknown ones are left out."""
        return (
            await self._parents(institutions, self._tenants, keys.INSTITUTIONS),
            await self._parents(groups, self._institutions, keys.GROUPS),
        )

    async def _parents(self, wanted: Collection[str], known: dict[str, str], key: bytes) -> dict[str, str]:
        missing = [id for id in wanted if id not in known]
        if missing:
            found = await self._link.ask("HMGET", key, *missing)
            known.update({id: parent.decode() for id, parent in zip(missing, found, strict=True) if parent})
        return {id: known[id] for id in wanted if id in known}

    def remember(self, tenants: Mapping[str, str], institutions: Mapping[str, str]) -> None:
        """What has just been written."""
        self._tenants.update(tenants)
        self._institutions.update(institutions)

    async def write(self, parts: Iterable[CataloguePart]) -> None:
        commands: list[Command] = []
        for part in parts:
            commands += _commands(part)
        await self._link.run(commands)

    async def scope_tenant(self, scope: str) -> str | None:
        """The municipality of `group/<id>` or `institution/<id>`."""
        kind, _, id = scope.partition("/")
        if kind == "group":
            _, parents = await self.learn((), [id])
            if id not in parents:
                return None
            id = parents[id]
        elif kind != "institution":
            return None
        tenants, _ = await self.learn([id], ())
        return tenants.get(id)

    async def strategy(self, tenant: str) -> Mapping[Category, frozenset[Channel]]:
        found = await self._link.ask("HGETALL", keys.strategies(tenant))
        return {
            Category(category.decode()): frozenset(Channel(name) for name in channels.decode().split())
            for category, channels in zip(found[::2], found[1::2], strict=True)
        }


def _commands(part: CataloguePart) -> list[Command]:
    match part:
        case Institution():
            facts = msgspec.msgpack.encode([part.name, part.sort])
            return [
                ("HSET", keys.INSTITUTIONS, part.id, part.tenant),
                ("HSET", keys.INSTITUTION_FACTS, part.id, facts),
            ]
        case Group():
            facts = msgspec.msgpack.encode([part.name])
            return [("HSET", keys.GROUPS, part.id, part.institution), ("HSET", keys.GROUP_FACTS, part.id, facts)]
        case Strategy():
            return [("HSET", keys.strategies(part.tenant), part.category, " ".join(part.channels))]
