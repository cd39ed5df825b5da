"""One year roll: pupils move up, the oldest leave, families move and have more children, newcomers take the seats.

Nobody's serial changes, newcomers are appended. So the neighbourhood of recipient numbers erodes as in real life:
a class of ten-year-olds has families that joined in six different years, and some that moved in.
"""

from __future__ import annotations

from loadtests.population.places import AGES
from loadtests.population.society import CHILD, GONE, GUARDIAN, NOBODY, STAFF, Society

LEAVES = 0.012  # families that leave the platform: abroad, private school
MOVES_FAR = 0.035  # to another municipality
MOVES_NEAR = 0.045  # to other institutions of the same municipality
HAS_ANOTHER_CHILD = 0.10
STAFF_LEAVES = 0.08
GUARDIAN_STARTS_WORK = 0.007  # about as many as leave or move away
NEWCOMERS_ARE_YOUNG = 0.75  # newcomers mostly join with a first child in day-care


def roll(society: Society) -> None:
    """Age the society by one school year; it has its size again afterwards."""
    homeless = _move_up(society)
    _turn_over_staff(society)
    _recount(society)
    for child in homeless:
        _seat_again(society, child)
    _have_children(society)
    society.settle(young=NEWCOMERS_ARE_YOUNG)


def _move_up(society: Society) -> list[int]:
    """Age all children by a year; returns those who need another institution."""
    random = society.random
    weights = [float(share) for _, share in society.people]
    homeless: list[int] = []
    for family in range(len(society.first_guardian)):
        if society.first_child[family] == NOBODY:
            continue
        fate = random.random()
        if fate < LEAVES:
            _leave(society, family)
            continue
        moves = fate < LEAVES + MOVES_FAR + MOVES_NEAR
        if LEAVES <= fate < LEAVES + MOVES_FAR and len(society.people) > 1:
            society.municipality[family] = random.choices(range(len(weights)), weights)[0]
            _quit_jobs(society, family)
        for child in society.children_of(family):
            society.age[child] += 1
            if society.age[child] >= AGES:
                _graduate(society, family, child)
            elif moves or not _step_up(society, child):
                homeless.append(child)
        if society.first_child[family] == NOBODY:
            _leave(society, family)
    return homeless


def _step_up(society: Society, child: int) -> bool:
    """Move a child to the next rung of its own column; False when the ladder ends."""
    classroom = society.classroom[child]
    place = society.places[society.place_of_class[classroom]]
    age = society.age[child]
    if age - place.youngest >= place.ages:
        return False
    column = (classroom - place.first_class) // place.rungs
    society.classroom[child] = place.class_of(column, age)
    return True


def _graduate(society: Society, family: int, child: int) -> None:
    society.role[child] = GONE
    society.alive -= 1
    if society.first_child[family] == child:
        society.first_child[family] = society.next_child[child]
        return
    before = society.first_child[family]
    while society.next_child[before] != child:
        before = society.next_child[before]
    society.next_child[before] = society.next_child[child]


def _leave(society: Society, family: int) -> None:
    """A family leaves: its children go; guardians who work at an institution stay as staff."""
    for child in society.children_of(family):
        society.role[child] = GONE
        society.alive -= 1
    society.first_child[family] = NOBODY
    first = society.first_guardian[family]
    for guardian in range(first, first + society.guardians[family]):
        if society.workplace[guardian] != NOBODY:
            society.role[guardian] = STAFF
            society.family[guardian] = NOBODY
        else:
            society.role[guardian] = GONE
            society.alive -= 1


def _quit_jobs(society: Society, family: int) -> None:
    first = society.first_guardian[family]
    for guardian in range(first, first + society.guardians[family]):
        society.workplace[guardian] = NOBODY


def _turn_over_staff(society: Society) -> None:
    random = society.random
    for serial, role in enumerate(society.role):
        if role == GUARDIAN and random.random() < GUARDIAN_STARTS_WORK:
            home = society.municipality_of(serial)
            society.workplace[serial] = random.choice(society.of_municipality[home]).number
        elif society.workplace[serial] != NOBODY and role != GONE and random.random() < STAFF_LEAVES:
            society.workplace[serial] = NOBODY
            if role == STAFF:
                society.role[serial] = GONE
                society.alive -= 1


def _recount(society: Society) -> None:
    seated, staffed, homeless = society.seated, society.staffed, NOBODY
    for counters in (seated, staffed):
        for at in range(len(counters)):
            counters[at] = 0
    for serial, role in enumerate(society.role):
        if role == CHILD and society.classroom[serial] != homeless:
            seated[society.classroom[serial]] += 1
        elif role == STAFF:
            staffed[society.workplace[serial]] += 1


def _seat_again(society: Society, child: int) -> None:
    """Find a class for a child that moved or starts school, near its present institution where that is possible."""
    old = society.classroom[child]
    place = society.places[society.place_of_class[old]]
    home = society.municipality[society.family[child]]
    near = place if place.municipality == home else society.random.choice(society.of_municipality[home])
    seat = society.seat(near, society.age[child], crowded=6)
    if seat == NOBODY:
        seat = _any_seat(society, home, society.age[child])
    society.seated[old] -= 1
    society.classroom[child] = seat
    society.seated[seat] += 1


def _any_seat(society: Society, municipality: int, age: int) -> int:
    """The emptiest class for this age in a municipality, however full."""
    seats = [
        place.class_of(column, age)
        for place in society.of_municipality[municipality]
        if 0 <= age - place.youngest < place.ages
        for column in range(place.columns)
    ]
    return min(seats, key=society.seated.__getitem__)


def _have_children(society: Society) -> None:
    """Younger siblings join day-care: their line comes years after their guardians'."""
    random = society.random
    for family in range(len(society.first_guardian)):
        child = society.first_child[family]
        if child == NOBODY or society.alive >= society.recipients:
            continue
        ages = [society.age[one] for one in society.children_of(family)]
        if len(ages) < 3 and 2 <= min(ages) <= 8 and random.random() < HAS_ANOTHER_CHILD:
            near = random.choice(society.of_municipality[society.municipality[family]])
            seat = society.seat(near, 0, crowded=2)
            if seat != NOBODY:
                society.add_child(family, seat, 0)
