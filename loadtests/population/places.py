"""Schools and day-care institutions, planned from how many people a municipality has on the platform.

Every institution is a ladder: children of one age stand on one rung, and parallel classes are columns of the ladder.
A normal school column has ten rungs (grades 0 to 9), a day-care column two (small and large children). An island
school has fewer rungs than grades: its classes take several grades together, as in real life.
"""

from __future__ import annotations

from random import Random
from typing import NamedTuple

from loadtests.population.municipalities import Municipality

CLASS_SIZE = 22
SCHOOL_AGE = 6
AGES = 16  # 0 to 5 in day-care, 6 to 15 in grades 0 to 9

PEOPLE_PER_CHILD = 2.36  # the model gives 2.2; too few seats are filled up evenly, too many are not
STAFF_PER_CHILD = 0.19
_COLUMNS_OF_A_SCHOOL = (1, 2, 2, 2, 3, 3, 4)
_COLUMNS_OF_A_DAYCARE = (1, 1, 2, 2, 3)


def _words(text: str) -> list[str]:
    return text.split()


_SCHOOL_STEMS = _words("""
    Søndre Lindevang Bakke Mølle Ellebæk Rosenkilde Højagerdal Strand Tved Kirkebjerg Fjordblik Skovvang Vestermark
    Østerbro Nørrevang Kildemark Egebjerg Hasle Bøgelund Solvang Åkær Enghave Langeskov Provste Grønløkke
""")
_DAYCARE_STEMS = _words("""
    Solstrålen Mælkevejen Regnbuen Spiren Myretuen Humlebien Kastanien Egernet Troldehøj Stjerneskuddet Mariehønen
    Skovtrolden Bakkebo Pilehytten Kernehuset Lærken Spilloppen Ærtebjerg Tumlehuset Valmuen Bøgely Dragen
""")
_ROOMS = ("Blå", "Rød", "Grøn", "Gul", "Lilla", "Orange")


class Place(NamedTuple):
    """One school or day-care institution. Its classes are numbered from `first_class`, column by column."""

    number: int
    municipality: int  # index into the municipalities of this population
    id: str
    name: str
    is_school: bool
    columns: int
    rungs: int
    first_class: int
    target: int  # children a class should have

    @property
    def youngest(self) -> int:
        return SCHOOL_AGE if self.is_school else 0

    @property
    def ages(self) -> int:
        return AGES - SCHOOL_AGE if self.is_school else SCHOOL_AGE

    @property
    def classes(self) -> range:
        return range(self.first_class, self.first_class + self.columns * self.rungs)

    def class_of(self, column: int, age: int) -> int:
        return self.first_class + column * self.rungs + (age - self.youngest) * self.rungs // self.ages

    def ages_of(self, classroom: int) -> list[int]:
        """The ages that sit in a class, youngest first."""
        rung = (classroom - self.first_class) % self.rungs
        return [self.youngest + step for step in range(self.ages) if step * self.rungs // self.ages == rung]

    def class_name(self, classroom: int) -> str:
        column, rung = divmod(classroom - self.first_class, self.rungs)
        if not self.is_school:
            return f"{_ROOMS[(column * self.rungs + rung) % len(_ROOMS)]} stue"
        grades = [age - SCHOOL_AGE for age in self.ages_of(classroom)]
        letter = chr(ord("A") + column)
        return f"{grades[0]}.{letter}" if len(grades) == 1 else f"{grades[0]}.-{grades[-1]}.{letter}"

    def class_id(self, classroom: int) -> str:
        column, rung = divmod(classroom - self.first_class, self.rungs)
        return f"g{self.id[1:]}-{rung}{chr(ord('a') + column)}"

    @property
    def staff_group(self) -> str:
        return f"g{self.id[1:]}-staff"

    @property
    def club_group(self) -> str:
        """The after-school club (SFO) of grades 0 to 3; schools only."""
        return f"g{self.id[1:]}-sfo"

    @property
    def staff_wanted(self) -> int:
        return max(1, round(self.columns * self.rungs * self.target * STAFF_PER_CHILD))


def plan_places(people: list[tuple[Municipality, int]], random: Random) -> list[Place]:
    """Plan all institutions, municipality by municipality, so that classes come out at about 22 children."""
    places: list[Place] = []
    next_class = 0
    for index, (municipality, head_count) in enumerate(people):
        children = head_count / PEOPLE_PER_CHILD
        school_children = children * (AGES - SCHOOL_AGE) / AGES
        for is_school, wanted in ((True, school_children), (False, children - school_children)):
            for serial, (columns, rungs, target) in enumerate(_ladders(is_school, wanted, random), 1):
                place = Place(
                    number=len(places),
                    municipality=index,
                    id=f"i-{municipality.code}-{'s' if is_school else 'd'}{serial:03d}",
                    name=_name(is_school, serial, municipality.name),
                    is_school=is_school,
                    columns=columns,
                    rungs=rungs,
                    first_class=next_class,
                    target=target,
                )
                places.append(place)
                next_class += columns * rungs
    return places


def _ladders(is_school: bool, children: float, random: Random) -> list[tuple[int, int, int]]:
    """(columns, rungs, children a class) of each institution of one sort in one municipality."""
    rungs = 10 if is_school else 2
    classes = max(1, round(children / CLASS_SIZE))
    target = max(1, round(children / classes))
    columns_left, rungs_left = divmod(classes, rungs)
    ladders = []
    while columns_left:
        columns = min(columns_left, random.choice(_COLUMNS_OF_A_SCHOOL if is_school else _COLUMNS_OF_A_DAYCARE))
        ladders.append((columns, rungs, target))
        columns_left -= columns
    if rungs_left:  # the rest is a small institution whose classes take several ages together
        ladders.append((1, rungs_left, target))
    return ladders


def _name(is_school: bool, serial: int, municipality: str) -> str:
    stems = _SCHOOL_STEMS if is_school else _DAYCARE_STEMS
    round_, at = divmod(serial - 1, len(stems))
    again = f" {round_ + 1}" if round_ else ""
    return (
        f"{stems[at]}skolen{again}, {municipality}" if is_school else f"Børnehuset {stems[at]}{again}, {municipality}"
    )
