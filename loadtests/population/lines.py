"""The whole population as NDJSON: institutions, groups and strategies first, then people in the order they joined.

A child's line names its guardians, whose lines came before it (years before, when the population has aged).
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from random import Random

from loadtests.population import person_lines
from loadtests.population.municipalities import shares
from loadtests.population.person_lines import PersonLines, carrier_of_child
from loadtests.population.places import SCHOOL_AGE, Place
from loadtests.population.society import CHILD, GONE, NOBODY, Society
from loadtests.population.strategies import STRATEGIES
from loadtests.population.years import roll

_LINES_A_CHUNK = 1000
_CLUB_AGES = range(SCHOOL_AGE, SCHOOL_AGE + 4)
_IN_CLUB_OF_EIGHT = 5  # five in eight of the younger pupils go to the after-school club
_CLASSES_TAUGHT = 2


def society(recipients: int, seed: int, years: int = 0) -> Society:
    """Build the society and age it by so many year rolls."""
    model = Society(recipients, shares(recipients), Random(seed))
    model.settle()
    for _ in range(years):
        roll(model)
    return model


def population(
    recipients: int, seed: int, years: int = 0, web_origin: str = "", *, has_quiet_hours: bool = True
) -> Iterator[tuple[bytes, int]]:
    """Yield (NDJSON text of whole lines, how many of them are people), about a thousand lines at a time.

    With `web_origin` some guardians have a browser subscribed at that push service; all else stays the same.
    `has_quiet_hours=False` leaves everybody's quiet hours out, for benchmarks: nobody is held, whatever the time.
    """
    return spell(society(recipients, seed, years), seed, web_origin, has_quiet_hours=has_quiet_hours)


def spell(
    model: Society, seed: int, web_origin: str = "", *, has_quiet_hours: bool = True
) -> Iterator[tuple[bytes, int]]:
    """Write a society down; gives the same pieces as `population`."""
    yield "".join(_institutions_and_groups(model)).encode(), 0
    yield "".join(_strategies(model)).encode(), 0
    chunk: list[str] = []
    for line in _people(model, PersonLines(seed, web_origin, has_quiet_hours=has_quiet_hours)):
        chunk.append(line)
        if len(chunk) == _LINES_A_CHUNK:
            yield "".join(chunk).encode(), len(chunk)
            chunk.clear()
    if chunk:
        yield "".join(chunk).encode(), len(chunk)


def _institutions_and_groups(model: Society) -> Iterator[str]:
    for place in model.places:
        yield _json(
            {
                "kind": "institution",
                "id": place.id,
                "tenant": model.people[place.municipality][0].code,
                "name": place.name,
                "sort": "school" if place.is_school else "daycare",
            }
        )
    for place in model.places:
        for group, name in _groups(place):
            yield _json({"kind": "group", "id": group, "institution": place.id, "name": name})


def _groups(place: Place) -> Iterator[tuple[str, str]]:
    yield place.staff_group, "Personale"
    if place.is_school:
        yield place.club_group, "SFO"
    for classroom in place.classes:
        yield place.class_id(classroom), place.class_name(classroom)


def _strategies(model: Society) -> Iterator[str]:
    present = {municipality.code for municipality, _ in model.people}
    for tenant, category, channels in STRATEGIES:
        if tenant in present:
            yield _json({"kind": "strategy", "tenant": tenant, "category": category, "channels": channels})


def _json(line: dict[str, object]) -> str:
    return json.dumps(line, ensure_ascii=False, separators=(",", ":")) + "\n"


def _people(model: Society, spelled: PersonLines) -> Iterator[str]:
    profiles = _Profiles(model)
    tenants = [municipality.code for municipality, _ in model.people]
    for serial, role in enumerate(model.role):
        if role == GONE:
            continue
        tenant = tenants[model.municipality_of(serial)]
        if role == CHILD:
            age = model.age[serial]
            profile = profiles.pupil(serial, model.classroom[serial], age)
            yield spelled.line(serial, tenant, carrier_of_child(age), profile, _guardians(model, serial))
        elif model.workplace[serial] == NOBODY:
            yield spelled.line(serial, tenant, person_lines.GUARDIAN, "", "")
        else:
            carrier = person_lines.STAFF if model.family[serial] == NOBODY else person_lines.BOTH
            yield spelled.line(serial, tenant, carrier, profiles.staff(serial, model.workplace[serial]), "")


def _guardians(model: Society, child: int) -> str:
    family = model.family[child]
    first = model.first_guardian[family]
    if model.guardians[family] == 1:
        return f'"p-{first:07d}"'
    return f'"p-{first:07d}","p-{first + 1:07d}"'


class _Profiles:
    """The JSON text of profiles; those of a class are all alike and made once."""

    def __init__(self, model: Society) -> None:
        self._model = model
        self._of_class: dict[tuple[int, bool], str] = {}

    def pupil(self, serial: int, classroom: int, age: int) -> str:
        in_club = age in _CLUB_AGES and serial % 8 < _IN_CLUB_OF_EIGHT
        known = self._of_class.get((classroom, in_club))
        if known is None:
            place = self._model.places[self._model.place_of_class[classroom]]
            club = f',"{place.club_group}"' if in_club else ""
            groups = f'"{place.class_id(classroom)}"{club}'
            known = f'{{"institution":"{place.id}","role":"pupil","groups":[{groups}]}}'
            self._of_class[classroom, in_club] = known
        return known

    def staff(self, serial: int, workplace: int) -> str:
        """Staff belong to the staff group and to the classes they teach, drawn from the serial."""
        place = self._model.places[workplace]
        classes = place.classes
        taught = {classes[(serial * 7 + at * 13) % len(classes)] for at in range(_CLASSES_TAUGHT)}
        groups = "".join(f',"{place.class_id(classroom)}"' for classroom in sorted(taught))
        return f'{{"institution":"{place.id}","role":"staff","groups":["{place.staff_group}"{groups}]}}'
