"""The endpoints of claimed slices: those of many slices on one lane and slot are read together."""

from __future__ import annotations

from collections.abc import Sequence

from engine.combining import Combiner
from engine.ports import Directory
from engine.records.roster import Roster, headcount, numbers_of
from engine.records.words import Channel
from engine.records.work import Endpoint
from engine.rules import roster as rosters
from engine.rules.planes import Route

TOGETHER_MAX = 8  # of 1,024 people each: 8 ms at a microsecond an address, then other tasks have their turn

_Asked = tuple[Route, Roster]


class Addresses:
    """Reads addresses right before they are used; nothing is kept."""

    def __init__(self, directory: Directory) -> None:
        self._directory = directory
        self._read = Combiner(self._read_many, TOGETHER_MAX)
        self.run = self._read.run

    async def find(self, route: Route, people: Roster) -> list[Endpoint]:
        """The endpoints of these people there, ascending; in the inbox everyone has one, without an address."""
        if route.channel is Channel.INAPP:
            return [Endpoint(number, 0, b"") for number in numbers_of(people)]
        return await self._read((route, people))

    async def _read_many(self, asked: Sequence[_Asked]) -> list[list[Endpoint]]:
        """One read a route, for all slices on it; then each slice takes its own."""
        answers: list[list[Endpoint]] = [[] for _ in asked]
        by_route: dict[Route, list[int]] = {}
        for place, (route, _) in enumerate(asked):
            by_route.setdefault(route, []).append(place)
        for route, places in by_route.items():
            together = rosters.union(*(asked[place][1] for place in places))
            found = await self._directory.endpoints(route.lane, route.slot, together)
            if len(places) == 1:
                answers[places[0]] = found
                continue
            # Slices of one event hold different people, of two events often the same.
            at = {endpoint.number: endpoint for endpoint in found}
            for place in places:
                people = asked[place][1]
                if headcount(people):
                    answers[place] = [at[number] for number in numbers_of(people) if number in at]
        return answers
