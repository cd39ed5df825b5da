"""Who lives with whom and who goes where, as columns of integers: one entry a person, in the order of joining.

A family is a run of neighbouring guardians and a chain of children. Families join class by class, so that those of
an institution get neighbouring recipient numbers; siblings sit in other classes and institutions, staff are often
parents too. People who leave keep their place in the columns (numbers are never reused) and are not written.
"""

from __future__ import annotations

from array import array
from random import Random

from loadtests.population.municipalities import Municipality, divide
from loadtests.population.places import AGES, Place, plan_places

GUARDIAN, CHILD, STAFF, GONE = range(4)
NOBODY = -1

_SINGLE_GUARDIAN = 0.18
_GUARDIAN_WORKS_HERE = 0.05  # guardians who are also staff: about three in ten of all staff
_STAFF_ONLY = 0.70
_SIBLINGS = (0, 0, 0, 1, 1, 1, 1, 1, 2, 2)  # mean 0.9, less what falls outside the ages
_SAME_PLACE = 0.85  # siblings of the right age go to the same institution this often
_CROWDED = 2  # children above target before a class takes no more siblings


class Society:
    """All people of the model. `role`, `family`, `age`, `classroom`, `workplace` and `next_child` are by person."""

    def __init__(self, recipients: int, people: list[tuple[Municipality, int]], random: Random) -> None:
        self.recipients = recipients
        self.people = people
        self.random = random
        self.places = plan_places(people, random)
        self.of_municipality: list[list[Place]] = [[] for _ in people]
        for place in self.places:
            self.of_municipality[place.municipality].append(place)
        self.place_of_class = array("i", [place.number for place in self.places for _ in place.classes])
        self.seated = array("i", bytes(4 * len(self.place_of_class)))  # children in each class
        self.staffed = array("i", bytes(4 * len(self.places)))
        self.role = bytearray()
        self.family = array("i")
        self.age = bytearray()
        self.classroom = array("i")
        self.workplace = array("i")
        self.next_child = array("i")
        self.first_guardian = array("i")  # these four are by family
        self.guardians = bytearray()
        self.first_child = array("i")
        self.municipality = bytearray()
        self.alive = 0
        self._young = 0.0

    def settle(self, *, young: float = 0.0) -> None:
        """Let people join until the population has its size, each municipality its share.

        `young` is the chance that a child who joins a class is of its youngest age; else any age of the class.
        """
        self._young = young
        missing = self.recipients - self.alive
        present = self._present()
        short = [max(0, wanted - present[at]) for at, (_, wanted) in enumerate(self.people)]
        for index, quota in enumerate(divide(missing, [float(number) for number in short])):
            self._fill(index, quota)

    def _present(self) -> list[int]:
        present = [0] * len(self.people)
        for serial, role in enumerate(self.role):
            if role != GONE:
                present[self.municipality_of(serial)] += 1
        return present

    def municipality_of(self, serial: int) -> int:
        family = self.family[serial]
        if family != NOBODY:
            return self.municipality[family]
        return self.places[self.workplace[serial]].municipality

    # --- joining -------------------------------------------------------------------------------------------------

    def _fill(self, municipality: int, quota: int) -> None:
        """Add people to the institutions in order, first to their size, then one child a class more at a time."""
        end = self.alive + quota
        extra = 0
        while self.alive < end:
            for place in self.of_municipality[municipality]:
                wanted = place.staff_wanted * _STAFF_ONLY + extra
                while self.staffed[place.number] < wanted and self.alive < end:
                    self._add(STAFF, NOBODY, workplace=place.number)
                for classroom in place.classes:
                    while self.seated[classroom] < place.target + extra and self.alive < end:
                        self._add_family(place, classroom, end - self.alive)
            extra += 1

    def _add(self, role: int, family: int, *, workplace: int = NOBODY) -> int:
        serial = len(self.role)
        self.role.append(role)
        self.family.append(family)
        self.age.append(0)
        self.classroom.append(NOBODY)
        self.workplace.append(workplace)
        self.next_child.append(NOBODY)
        if workplace != NOBODY:
            self.staffed[workplace] += 1
        self.alive += 1
        return serial

    def _add_family(self, place: Place, classroom: int, room: int) -> None:
        """Add a family for a child in this class, at most `room` people; one person alone becomes staff."""
        if room < 2:
            self._add(STAFF, NOBODY, workplace=place.number)
            return
        random = self.random
        family = len(self.first_guardian)
        self.first_guardian.append(len(self.role))
        guardians = 1 if room < 3 or random.random() < _SINGLE_GUARDIAN else 2
        self.guardians.append(guardians)
        self.first_child.append(NOBODY)
        self.municipality.append(place.municipality)
        for _ in range(guardians):
            works_here = random.random() < _GUARDIAN_WORKS_HERE
            workplace = random.choice(self.of_municipality[place.municipality]).number if works_here else NOBODY
            self._add(GUARDIAN, family, workplace=workplace)
            if workplace != NOBODY:
                self.staffed[workplace] -= 1  # counts staff who are nothing else
        ages = place.ages_of(classroom)
        age = ages[0] if random.random() < self._young else random.choice(ages)
        self.add_child(family, classroom, age)
        for _ in range(min(random.choice(_SIBLINGS), room - guardians - 1)):
            age += random.choice((-4, -3, -2, -2, 2, 2, 3, 4))
            if 0 <= age < AGES:
                seat = self.seat(place, age, crowded=_CROWDED)
                if seat != NOBODY:
                    self.add_child(family, seat, age)

    def add_child(self, family: int, classroom: int, age: int) -> None:
        """Add a child as the newest person; its guardians may have joined years ago."""
        serial = self._add(CHILD, family)
        self.age[serial] = age
        self.classroom[serial] = classroom
        self.seated[classroom] += 1
        self.next_child[serial] = self.first_child[family]
        self.first_child[family] = serial

    def seat(self, near: Place, age: int, *, crowded: int) -> int:
        """Find a class for an age, here or in the same municipality; NOBODY when those looked at are full."""
        random = self.random
        others = self.of_municipality[near.municipality]
        place = near if random.random() < _SAME_PLACE else random.choice(others)
        for _ in range(6):
            if 0 <= age - place.youngest < place.ages:
                seats = [place.class_of(column, age) for column in range(place.columns)]
                best = min(seats, key=self.seated.__getitem__)
                if self.seated[best] < place.target + crowded:
                    return best
            place = random.choice(others)
        return NOBODY

    def children_of(self, family: int) -> list[int]:
        """The serials of a family's children, newest first."""
        children = []
        child = self.first_child[family]
        while child != NOBODY:
            children.append(child)
            child = self.next_child[child]
        return children
