"""Chooses whom the events are about: two classes, their school and municipality, a school that posts quietly."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import NamedTuple

from loadtests.stage.processes import StageFault

_PEOPLE_READ_MAX = 60_000  # the largest municipality comes first; enough to find full classes


class Cast(NamedTuple):
    """Ids for the audiences. `quiet_*` is a school in a municipality that keeps posts in the inbox, if there is one."""

    tenant: str
    municipality: str  # its name
    school: str
    school_name: str
    class_id: str
    class_name: str
    other_class_id: str
    quiet_tenant: str | None
    quiet_school: str | None


def choose(people_file: Path) -> Cast:
    """Read the beginning of the population and choose the largest class of its largest municipality.

    Raises:
        StageFault: the population has no school class with a guardian.
    """
    institutions: dict[str, dict[str, str]] = {}
    groups: dict[str, dict[str, str]] = {}
    keep_posts_in: list[str] = []
    pupils: Counter[str] = Counter()
    people = 0
    with people_file.open("rb") as file:
        for line in file:
            record = json.loads(line)
            match record["kind"]:
                case "institution":
                    institutions[record["id"]] = record
                case "group":
                    groups[record["id"]] = record
                case "strategy" if record["category"] == "post" and record["channels"] == ["inapp"]:
                    keep_posts_in.append(record["tenant"])
                case "person":
                    people += 1
                    if record.get("guardians"):
                        pupils[record["profiles"][0]["groups"][0]] += 1
            if people == _PEOPLE_READ_MAX:
                break
    return _cast(institutions, groups, keep_posts_in, pupils)


def _cast(
    institutions: dict[str, dict[str, str]],
    groups: dict[str, dict[str, str]],
    keep_posts_in: list[str],
    pupils: Counter[str],
) -> Cast:
    is_school = {id: one["sort"] == "school" for id, one in institutions.items()}
    classes = [group for group, _ in pupils.most_common() if is_school[groups[group]["institution"]]]
    if not classes:
        raise StageFault("so few people make no school class; ask for more with --recipients")
    tenants: Counter[str] = Counter()
    for group, count in pupils.items():
        tenants[institutions[groups[group]["institution"]]["tenant"]] += count
    largest = tenants.most_common(1)[0][0]
    at_home = [group for group in classes if institutions[groups[group]["institution"]]["tenant"] == largest]
    chosen = (at_home or classes)[0]
    school = institutions[groups[chosen]["institution"]]
    others = [group for group in classes if groups[group]["institution"] == school["id"] and group != chosen]
    quiet = [one for one in institutions.values() if one["tenant"] in keep_posts_in and one["sort"] == "school"]
    return Cast(
        tenant=school["tenant"],
        municipality=school["name"].rpartition(", ")[2],
        school=school["id"],
        school_name=school["name"].rpartition(", ")[0],
        class_id=chosen,
        class_name=groups[chosen]["name"],
        other_class_id=others[0] if others else chosen,
        quiet_tenant=quiet[0]["tenant"] if quiet else None,
        quiet_school=quiet[0]["id"] if quiet else None,
    )
