"""Reads `klokke.toml` and checks it as a whole, so that every fault is reported at once.

Nothing here reads the environment at import; `load` is called once, by the supervisor and by each process.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Any, NamedTuple, get_type_hints

import msgspec

from engine.config_rules import (
    burst_faults,
    door_faults,
    doors,
    lane_title,
    relay_faults,
    service_faults,
    shared_origin_faults,
    shared_quota_faults,
    web_lane_faults,
)
from engine.intake.faults import faults_in
from engine.intake.keys import Service
from engine.records.person import AppName
from engine.records.words import EMAIL_LANE, INAPP_LANE
from engine.settings import (
    GATEWAY_LISTEN,
    LANES,
    ROLES,
    TABLES,
    URGENT,
    Config,
    EmailLane,
    FcmLane,
    Gateway,
    Intake,
    Metrics,
    Port,
    Processes,
    Setting,
)

NO_FILE = "(none)"
"""Stands for the ticket key in a configuration that lacks it."""

_INDEX = re.compile(r"/([0-9]+)")


class ConfigFaulty(Exception):
    """The configuration has faults; each is one line that names the setting and the remedy."""

    def __init__(self, source: str, faults: list[str]) -> None:
        self.faults = faults
        super().__init__(f"{source} has {len(faults)} fault(s):\n" + "\n".join(f"  - {fault}" for fault in faults))


class _Doors(Setting, frozen=True, kw_only=True):
    intake: Intake
    metrics: Metrics
    processes: Processes


class Reading(NamedTuple):
    """What a file says: every fault, and a configuration of what is sound in it, for checks that look further."""

    config: Config
    faults: list[str]


def load(path: Path) -> Config:
    """Read and check a configuration file. Relative paths in it count from the file's folder.

    Raises:
        ConfigFaulty: with every fault of the file.
    """
    reading = examine(path)
    if reading.faults:
        raise ConfigFaulty(str(path), reading.faults)
    return reading.config


def examine(path: Path) -> Reading:
    """Read a configuration file and list its faults.

    Raises:
        ConfigFaulty: it cannot be read at all.
    """
    try:
        raw = tomllib.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        raise ConfigFaulty(str(path), ["there is no such file; copy klokke.example.toml to it and change it"]) from None
    except OSError as error:
        raise ConfigFaulty(str(path), [f"cannot be read: {error.strerror}"]) from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigFaulty(str(path), [f"is not TOML: {error}"]) from None
    faults = [*_faults(raw), *_file_faults(raw, path.parent)]
    return Reading(_sound(raw, path.parent) if faults else msgspec.convert(raw, Config), faults)


def _sound(raw: Mapping[str, Any], folder: Path) -> Config:
    """The tables and lanes without a fault; in place of the others what counts where nothing is said."""
    sound: dict[str, Any] = {}
    for name, struct in TABLES.items():
        table = raw.get(name, {})
        if not [*_table_faults(name, table, struct), *_file_faults({name: table}, folder)]:
            sound[name] = table
    if list(_layout_faults(raw.get("processes", {}))):
        sound.pop("processes", None)
    lanes = raw.get("lanes", {})
    if isinstance(lanes, dict):
        found = {name: lane for name, lane in lanes.items() if isinstance(lane, dict)}
        sound["lanes"] = {
            name: lane for name, lane in found.items() if not [*_lane_faults({name: lane}), *_file_faults(lane, folder)]
        }
    gateway = raw.get("gateway", {})
    if "gateway" not in sound and isinstance(gateway, dict):
        key = {"ticket_key_file": gateway.get("ticket_key_file")}
        readable = not [*_table_faults("", key, Gateway), *_file_faults(key, folder)]
        sound["gateway"] = key if readable else {"ticket_key_file": NO_FILE}
    return msgspec.convert({"gateway": {"ticket_key_file": NO_FILE}, **sound}, Config)


def _faults(raw: Mapping[str, Any]) -> Iterator[str]:
    yield from _unknown("", raw, (*TABLES, "lanes", "service"))
    for name, struct in TABLES.items():
        yield from _table_faults(name, raw.get(name, {}), struct)
    lanes = raw.get("lanes", {})
    yield from _lane_faults(lanes)
    if isinstance(lanes, dict):
        tables = {name: lane for name, lane in lanes.items() if isinstance(lane, dict)}
        yield from shared_quota_faults(tables)
        yield from shared_origin_faults(tables)
    services = raw.get("service", [])
    if not isinstance(services, list):
        yield "service: must be a list of tables, written [[service]]"
        return
    for at, service in enumerate(services):
        yield from _table_faults(f"service[{at}]", service, Service)
    yield from service_faults(services)
    yield from _layout_faults(raw.get("processes", {}))
    yield from _door_faults(raw)


def _door_faults(raw: Mapping[str, Any]) -> Iterator[str]:
    """Asked where the tables of the doors are sound."""
    names = ("intake", "metrics", "processes")
    if any([*_table_faults(name, raw.get(name, {}), TABLES[name])] for name in names):
        return
    gateway = raw.get("gateway", {})
    listen = gateway.get("listen", GATEWAY_LISTEN) if isinstance(gateway, dict) else None
    if not isinstance(listen, str) or faults_in(listen, Port):
        return
    part = msgspec.convert({name: raw.get(name, {}) for name in names}, _Doors)
    metrics, processes = part.metrics, len(part.processes.layout)
    yield from door_faults(doors(part.intake.listen, listen, metrics.host, metrics.first_port, processes))


def _table_faults(name: str, table: Any, struct: type[msgspec.Struct]) -> Iterator[str]:
    """Check one table field by field, so that one fault does not hide the next."""
    if not isinstance(table, dict):
        yield f"{name}: must be a table, written [{name}]"
        return
    fields = {field.encode_name: field for field in msgspec.structs.fields(struct)}
    tag = struct.__struct_config__.tag_field
    yield from _unknown(f"{name}.", table, (*fields, *([tag] if tag else [])))
    hints = get_type_hints(struct, include_extras=True)
    for key, field in fields.items():
        if key not in table:
            if field.required:
                yield f"{name}.{key}: is missing"
            continue
        for fault in faults_in(table[key], hints[field.name]):
            place = _INDEX.sub(r"[\1]", fault.pointer)
            yield f"{name}.{key}{place}: {fault.detail}"


def _lane_faults(lanes: Any) -> Iterator[str]:
    if not isinstance(lanes, dict):
        yield 'lanes: must be tables, written [lanes."apns.parent"]'
        return
    for name, lane in lanes.items():
        title = lane_title(name)
        provider = lane.get("provider") if isinstance(lane, dict) else None
        struct = LANES.get(str(provider))
        if struct is None:
            yield f"{title}.provider: must be one of {', '.join(LANES)}"
            continue
        wanted = {"smtp": EMAIL_LANE, "inapp": INAPP_LANE}.get(str(provider))
        if wanted and name != wanted:
            yield f"{title}: a lane with provider {provider} must be called {wanted}"
        if provider == "webpush":
            yield from web_lane_faults(name, lane)
        elif not wanted and not name.startswith(f"{provider}."):
            yield f"{title}: must be called {provider}.<app>, as in {provider}.parent"
        elif not wanted and faults_in(name.removeprefix(f"{provider}."), AppName):
            yield f"{title}: the app after {provider}. must be 1 to 12 letters from a to z, as in {provider}.parent"
        yield from _table_faults(title, lane, struct)
        if struct is EmailLane:
            yield from relay_faults(title, lane)
        if struct is FcmLane:
            yield from burst_faults(title, lane)


def _layout_faults(processes: Any) -> Iterator[str]:
    layout = processes.get("layout", Processes().layout) if isinstance(processes, dict) else ()
    if not isinstance(layout, list | tuple):
        return
    asked = [role for entry in layout if isinstance(entry, str) for role in entry.split("+")]
    for role in asked:
        if role not in (*ROLES, URGENT):
            yield f"processes.layout: there is no role {role!r}; roles are {', '.join((*ROLES, URGENT))}"
    for role in ROLES:
        if role not in asked:
            yield f"processes.layout: no process has the role {role}"
    for role in ("intake", "gateway"):
        if asked.count(role) > 1:
            yield f"processes.layout: only one process can listen as {role}"


def _unknown(prefix: str, table: Mapping[str, Any], known: tuple[str, ...]) -> Iterator[str]:
    for key in table:
        if key not in known:
            close = get_close_matches(key, known, 1)
            yield f"{prefix}{key}: unknown setting" + (f"; did you mean {close[0]}?" if close else "")


def _file_faults(table: Mapping[str, Any], folder: Path, prefix: str = "") -> Iterator[str]:
    """Every setting that ends in `_file` must name a readable file."""
    for key, value in table.items():
        if isinstance(value, dict):
            yield from _file_faults(value, folder, f"{lane_title(key) if prefix == 'lanes.' else prefix + key}.")
        elif key.endswith("_file") and isinstance(value, str):
            path = folder / value
            try:
                path.open("rb").close()
            except OSError as error:
                said = "there is no such file" if isinstance(error, FileNotFoundError) else error.strerror
                yield f"{prefix}{key}: {path} cannot be read: {said}"
