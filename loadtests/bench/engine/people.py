"""What the population itself says before anything is sent: how many deliveries there must be, and which classes exist.

Counted from the NDJSON lines, apart from the engine, so that a delivery that was never planned is found missing too.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from typing import NamedTuple

import msgspec

CATEGORY = "message"
"""Of all events that the benchmark posts."""

CLASS_PEOPLE = 46
"""Guardians of a class in the issue's example, and nearly so in the population."""


class Expected(NamedTuple):
    """What a national message must come to, and the classes whose guardians are nearest to `CLASS_PEOPLE`."""

    people: int
    apns: int
    fcm: int
    inapp: int
    classes: list[tuple[str, str, int]]  # group, tenant, guardians

    @property
    def push(self) -> int:
        return self.apns + self.fcm


class _Device(msgspec.Struct):
    platform: str


class _Profile(msgspec.Struct):
    institution: str
    groups: list[str] = []


class _Line(msgspec.Struct):
    kind: str
    id: str = ""
    tenant: str = ""
    devices: list[_Device] = []
    off: dict[str, list[str]] = {}
    profiles: list[_Profile] = []
    guardians: list[str] = []


def expected(lines: Iterable[bytes], classes_max: int) -> Expected:
    """Count a population's lines."""
    decode = msgspec.json.Decoder(_Line).decode
    people = apns = fcm = inapp = 0
    guardians: defaultdict[str, set[str]] = defaultdict(set)
    tenants: dict[str, str] = {}  # by institution
    home: dict[str, str] = {}  # a group's institution
    for text in lines:
        line = decode(text)
        if line.kind == "institution":
            tenants[line.id] = line.tenant
        if line.kind != "person":
            continue
        people += 1
        if CATEGORY not in line.off.get("inapp", ()):
            inapp += 1
        if line.devices and CATEGORY not in line.off.get("push", ()):
            apple = sum(device.platform == "ios" for device in line.devices)
            apns += apple
            fcm += len(line.devices) - apple
        if line.guardians and line.profiles:
            profile = line.profiles[0]
            guardians[profile.groups[0]].update(line.guardians)
            home[profile.groups[0]] = profile.institution
    nearest = sorted(guardians, key=lambda group: (abs(len(guardians[group]) - CLASS_PEOPLE), group))[:classes_max]
    classes = [(group, tenants[home[group]], len(guardians[group])) for group in nearest]
    return Expected(people, apns, fcm, inapp, classes)
