"""`klokke.toml`: what it may say, read and checked as a whole, so that every fault is reported at once.

Secrets never stand in the file: a setting that ends in `_file` names a file that holds one.
Nothing here reads the environment at import; `load` is called once, by the supervisor and by each process.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple, get_type_hints

import msgspec
from msgspec import Meta

from engine.config_rules import door_faults, doors, relay_faults, service_faults
from engine.intake.faults import faults_in
from engine.intake.keys import Service
from engine.records.forms import form
from engine.records.person import AppName
from engine.records.words import EMAIL_LANE, INAPP_LANE

_PORT = "([1-9][0-9]{0,3}|[1-5][0-9]{4}|6[0-4][0-9]{3}|65[0-4][0-9]{2}|655[0-2][0-9]|6553[0-5])"
Port = Annotated[
    str,
    form(
        rf"^([A-Za-z0-9.\-]+|\[[0-9A-Fa-f:.]+\]):{_PORT}$(?!\n)",
        "a host and a port from 1 to 65535, as 127.0.0.1:8600 or [::1]:8600",
    ),
]
Positive = Annotated[float, Meta(gt=0)]
Count = Annotated[int, Meta(ge=1)]
Text = Annotated[str, Meta(min_length=1)]

_INDEX = re.compile(r"/([0-9]+)")

ROLES = ("intake", "gateway", "fanout", "upkeep", "dispatch")


class ConfigFaulty(Exception):
    """The configuration has faults; each is one line that names the setting and the remedy."""

    def __init__(self, source: str, faults: list[str]) -> None:
        self.faults = faults
        super().__init__(f"{source} has {len(faults)} fault(s):\n" + "\n".join(f"  - {fault}" for fault in faults))


class Setting(msgspec.Struct, frozen=True, kw_only=True):
    """Base of every table of the file."""


class Store(Setting, frozen=True, kw_only=True):
    """Where everything is remembered. Without `url` the bundled server runs in `folder`."""

    url: (
        Annotated[str, form(r"^(unix|redis|rediss)://.+", "an address that starts with redis://, rediss:// or unix://")]
        | None
    ) = None
    folder: Text = "var/store"


class Intake(Setting, frozen=True, kw_only=True):
    listen: Port = "127.0.0.1:8600"


GATEWAY_LISTEN = "127.0.0.1:8601"


class Gateway(Setting, frozen=True, kw_only=True):
    """The inbox for people's apps. `ticket_key_file` holds at least 32 random bytes that sign tickets."""

    listen: Port = GATEWAY_LISTEN
    ticket_key_file: Text


class Metrics(Setting, frozen=True, kw_only=True):
    """Every process serves `/metrics` on a port of its own, counted up from `first_port`."""

    host: Text = "127.0.0.1"
    first_port: Annotated[int, Meta(ge=1, le=65000)] = 9600


class Processes(Setting, frozen=True, kw_only=True):
    """One entry a process: its roles, joined by `+`. Dispatchers may be as many as there are cores."""

    layout: tuple[Text, ...] = ("intake+gateway", "fanout+upkeep", "dispatch", "dispatch")


class Dispatch(Setting, frozen=True, kw_only=True):
    """How long a worker may hold a slice without a heartbeat, and how long a stop waits for what is in hand."""

    lease_seconds: Positive = 30.0
    drain_seconds: Positive = 20.0
    answer_seconds: Positive = 15.0


class Limited(Setting, frozen=True, kw_only=True):
    """Base of every lane: people per second and burst; without a rate the lane is as fast as it can."""

    rate_per_second: Positive | None = None
    burst: Count | None = None


class ApnsLane(Limited, frozen=True, kw_only=True, tag_field="provider", tag="apns"):
    """Apple's push service: one lane per app (topic)."""

    url: Text = "https://api.push.apple.com"
    topic: Text
    team_id: Text
    key_id: Text
    key_file: Text  # the .p8 file: an ES256 private key in PEM
    ca_file: Text | None = None
    connections_max: Count = 4


class FcmLane(Limited, frozen=True, kw_only=True, tag_field="provider", tag="fcm"):
    """Firebase Cloud Messaging: one lane per project. The quota of a project is 600,000 a minute by default."""

    url: Text = "https://fcm.googleapis.com"
    service_account_file: Text  # the JSON file with project_id, client_email, private_key, token_uri
    ca_file: Text | None = None
    connections_max: Count = 4


class EmailLane(Limited, frozen=True, kw_only=True, tag_field="provider", tag="smtp"):
    """A mail relay."""

    relay: Port
    sender: Text  # the From address
    sender_name: Text = "Klokke"
    tls: Literal["none", "starttls", "implicit"] = "starttls"
    ca_file: Text | None = None
    username: Text | None = None
    password_file: Text | None = None
    connections_max: Count = 10
    portal_url: Text | None = None  # where people log in: the only link in a sensitive message


class InappLane(Limited, frozen=True, kw_only=True, tag_field="provider", tag="inapp"):
    """The inbox; its lane is called `inapp`."""


Lane = ApnsLane | FcmLane | EmailLane | InappLane
LANES: dict[str, type[Setting]] = {"apns": ApnsLane, "fcm": FcmLane, "smtp": EmailLane, "inapp": InappLane}


class Config(Setting, frozen=True, kw_only=True):
    """The whole file."""

    gateway: Gateway
    store: Store = Store()
    intake: Intake = Intake()
    metrics: Metrics = Metrics()
    processes: Processes = Processes()
    dispatch: Dispatch = Dispatch()
    lanes: dict[str, Lane] = {}
    service: tuple[Service, ...] = ()


TABLES: dict[str, type[Setting]] = {
    "store": Store,
    "intake": Intake,
    "gateway": Gateway,
    "metrics": Metrics,
    "processes": Processes,
    "dispatch": Dispatch,
}
NO_FILE = "(none)"
"""Stands for the ticket key in a configuration that lacks it."""


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
    yield from _lane_faults(raw.get("lanes", {}))
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
        if not wanted and not name.startswith(f"{provider}."):
            yield f"{title}: must be called {provider}.<app>, as in {provider}.parent"
        elif not wanted and faults_in(name.removeprefix(f"{provider}."), AppName):
            yield f"{title}: the app after {provider}. must be 1 to 12 letters from a to z, as in {provider}.parent"
        yield from _table_faults(title, lane, struct)
        if struct is EmailLane:
            yield from relay_faults(title, lane)


def lane_title(name: str) -> str:
    """A lane's table as TOML spells it: a name with a dot stands in quotation marks."""
    return f'lanes."{name}"' if "." in name else f"lanes.{name}"


def _layout_faults(processes: Any) -> Iterator[str]:
    layout = processes.get("layout", Processes().layout) if isinstance(processes, dict) else ()
    if not isinstance(layout, list | tuple):
        return
    asked = [role for entry in layout if isinstance(entry, str) for role in entry.split("+")]
    for role in asked:
        if role not in ROLES:
            yield f"processes.layout: there is no role {role!r}; roles are {', '.join(ROLES)}"
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
