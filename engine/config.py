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
from typing import Annotated, Any, Literal, get_type_hints

import msgspec
from msgspec import Meta

from engine.intake.keys import Service
from engine.records.words import EMAIL_LANE, INAPP_LANE
from engine.rules.quota import rate_for

Port = Annotated[str, Meta(pattern=r"^[A-Za-z0-9.\-\[\]:]+:[0-9]{1,5}$")]
Positive = Annotated[float, Meta(gt=0)]
Count = Annotated[int, Meta(ge=1)]
Text = Annotated[str, Meta(min_length=1)]

# The first 16 letters of a lane's name go into delivery ids (`engine.records.work`): longer names could share them.
_WEB_LANE = re.compile(r"webpush\.[a-z0-9]{1,8}")
_IN_DIGITS = re.compile(r"[0-9.]+|0x.*|\[.*")

ROLES = ("intake", "gateway", "fanout", "upkeep", "dispatch")
URGENT = "urgent"
"""A role that may be left out: a dispatcher for emergencies and urgent messages alone."""


class ConfigFaulty(Exception):
    """The configuration has faults; each is one line that names the setting and the remedy."""

    def __init__(self, source: str, faults: list[str]) -> None:
        self.faults = faults
        super().__init__(f"{source} has {len(faults)} fault(s):\n" + "\n".join(f"  - {fault}" for fault in faults))


class Setting(msgspec.Struct, frozen=True, kw_only=True):
    """Base of every table of the file."""


class Store(Setting, frozen=True, kw_only=True):
    """Where everything is remembered. Without `url` the bundled server runs in `folder`."""

    url: Annotated[str, Meta(pattern=r"^(unix|redis|rediss)://.+")] | None = None
    folder: Text = "var/store"


class Intake(Setting, frozen=True, kw_only=True):
    listen: Port = "127.0.0.1:8600"


class Gateway(Setting, frozen=True, kw_only=True):
    """The inbox for people's apps. `ticket_key_file` holds at least 32 random bytes that sign tickets."""

    listen: Port = "127.0.0.1:8601"
    ticket_key_file: Text


class Metrics(Setting, frozen=True, kw_only=True):
    """Every process serves `/metrics` on a port of its own, counted up from `first_port`."""

    host: Text = "127.0.0.1"
    first_port: Annotated[int, Meta(ge=1, le=65000)] = 9600


class Processes(Setting, frozen=True, kw_only=True):
    """One entry a process: its roles, joined by `+`. Dispatchers may be as many as there are cores.

    A process with the role `urgent` is kept free for emergencies and urgent messages.
    """

    layout: tuple[Text, ...] = ("intake+gateway", "fanout+upkeep", "urgent", "dispatch", "dispatch")


class Dispatch(Setting, frozen=True, kw_only=True):
    """How long a worker may hold a slice without a heartbeat, and how long a stop waits for what is in hand."""

    lease_seconds: Positive = 30.0
    drain_seconds: Positive = 20.0
    answer_seconds: Positive = 15.0


FCM_QUOTA_PER_MINUTE = 600_000  # what Google gives a project unless it is asked for more


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
    connections_max: Count = 16  # as many as distance needs are opened: channels/http2/growth.py
    badge: bool = False  # send each person's unread count; costs a read of their inbox (docs/operations.md)


class FcmLane(Limited, frozen=True, kw_only=True, tag_field="provider", tag="fcm"):
    """Firebase Cloud Messaging: one lane per app. Lanes of one project share its quota: give each its part.

    `ramp_seconds` is how long an idle lane takes to its full rate, at least 60 by Google's wish; 0 is at once.
    """

    url: Text = "https://fcm.googleapis.com"
    service_account_file: Text  # the JSON file with project_id, client_email, private_key, token_uri
    ca_file: Text | None = None
    connections_max: Count = 16  # as many as distance needs are opened: channels/http2/growth.py
    badge: bool = False  # send each person's unread count, as the number on the notification
    quota_per_minute: Annotated[int, Meta(ge=60)] = FCM_QUOTA_PER_MINUTE
    ramp_seconds: Annotated[float, Meta(ge=0, le=3600)] = 60.0


class WebPushLane(Limited, frozen=True, kw_only=True, tag_field="provider", tag="webpush"):
    """One push service of browsers. Subscriptions are taken for the origins of these lanes only."""

    origin: Annotated[str, Meta(pattern=r"^https://[a-z0-9.\-]+(:[0-9]{1,5})?$(?!\n)")]
    vapid_key_file: Text  # a P-256 private key in PEM; ./klokke vapid makes one
    subject: Annotated[str, Meta(pattern=r"^(mailto:|https://)[\x21-\x7e]+$(?!\n)")]  # whom the service may write to
    app: Annotated[str, Meta(pattern=r"^[a-z]{1,12}$(?!\n)")] | None = None  # left out: browsers of every app
    ca_file: Text | None = None
    badge: bool = False  # send each person's unread count, as the number on the app's icon
    allow_private: bool = False  # connect to loopback and private addresses: simulators only
    connections_max: Count = 2


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


Lane = ApnsLane | FcmLane | WebPushLane | EmailLane | InappLane
LANES: dict[str, type[Setting]] = {
    "apns": ApnsLane,
    "fcm": FcmLane,
    "webpush": WebPushLane,
    "smtp": EmailLane,
    "inapp": InappLane,
}


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


def load(path: Path) -> Config:
    """Read and check a configuration file. Relative paths in it count from the file's folder.

    Raises:
        ConfigFaulty: with every fault of the file.
    """
    try:
        raw = tomllib.loads(path.read_text("utf-8"))
    except OSError as error:
        raise ConfigFaulty(str(path), [f"cannot be read: {error.strerror}"]) from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigFaulty(str(path), [f"is not TOML: {error}"]) from None
    faults = [*_faults(raw), *_file_faults(raw, path.parent)]
    if faults:
        raise ConfigFaulty(str(path), faults)
    return msgspec.convert(raw, Config)


def _faults(raw: Mapping[str, Any]) -> Iterator[str]:
    tables: dict[str, type[Setting]] = {
        "store": Store,
        "intake": Intake,
        "gateway": Gateway,
        "metrics": Metrics,
        "processes": Processes,
        "dispatch": Dispatch,
    }
    yield from _unknown("", raw, (*tables, "lanes", "service"))
    for name, struct in tables.items():
        yield from _table_faults(name, raw.get(name, {}), struct)
    yield from _lane_faults(raw.get("lanes", {}))
    services = raw.get("service", [])
    if not isinstance(services, list):
        yield "service: must be a list of tables, written [[service]]"
        return
    for at, service in enumerate(services):
        yield from _table_faults(f"service[{at}]", service, Service)
    yield from _layout_faults(raw.get("processes", {}))


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
        try:
            msgspec.convert(table[key], hints[field.name])
        except msgspec.ValidationError as error:
            yield f"{name}.{key}: {str(error)[:1].lower()}{str(error)[1:]}"


def _lane_faults(lanes: Any) -> Iterator[str]:
    if not isinstance(lanes, dict):
        yield 'lanes: must be tables, written [lanes."apns.parent"]'
        return
    for name, lane in lanes.items():
        provider = lane.get("provider") if isinstance(lane, dict) else None
        struct = LANES.get(str(provider))
        if struct is None:
            yield f"lanes.{name}.provider: must be one of {', '.join(LANES)}"
            continue
        wanted = {"smtp": EMAIL_LANE, "inapp": INAPP_LANE}.get(str(provider))
        if wanted and name != wanted:
            yield f"lanes.{name}: a lane with provider {provider} must be called {wanted}"
        if provider == "webpush":
            yield from _web_lane_faults(name, lane)
        elif not wanted and not name.startswith(f"{provider}."):
            yield f"lanes.{name}: must be called {provider}.<app>, as in {provider}.parent"
        yield from _table_faults(f"lanes.{name}", lane, struct)
        if provider == "fcm":
            yield from _burst_faults(f"lanes.{name}", lane)
    yield from _shared_quota_faults({name: lane for name, lane in lanes.items() if isinstance(lane, dict)})
    yield from _same_origin_faults(lanes)


def _web_lane_faults(name: str, lane: Mapping[str, Any]) -> Iterator[str]:
    if not _WEB_LANE.fullmatch(name):
        yield f"lanes.{name}: must be called webpush.<service> with 1 to 8 small letters or digits, as in webpush.fcm"
    host = str(lane.get("origin", "")).removeprefix("https://").partition(":")[0]
    if lane.get("allow_private") is not True and _IN_DIGITS.fullmatch(host):
        yield f"lanes.{name}.origin: must name a host; digits need allow_private = true (simulators only)"


def _same_origin_faults(lanes: Mapping[str, Any]) -> Iterator[str]:
    """A browser's lane is found by its origin and app: each pair has one lane."""
    first: dict[tuple[str, str], str] = {}
    for name, lane in lanes.items():
        if isinstance(lane, dict) and lane.get("provider") == "webpush":
            before = first.setdefault((str(lane.get("origin")), str(lane.get("app"))), name)
            if before != name:
                yield f"lanes.{name}.origin: {before} has the same one for the same app"


def _burst_faults(name: str, lane: Mapping[str, Any]) -> Iterator[str]:
    quota, burst = lane.get("quota_per_minute", FCM_QUOTA_PER_MINUTE), lane.get("burst")
    if type(quota) is int and type(burst) is int and quota > 0:
        try:
            rate_for(quota, burst)
        except ValueError as error:
            yield f"{name}.{error}"


def _shared_quota_faults(lanes: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    """Google counts by project: lanes with one service account must say how they share its quota."""
    first: dict[str, str] = {}
    for name, lane in lanes.items():
        account = lane.get("service_account_file")
        if lane.get("provider") != "fcm" or not isinstance(account, str):
            continue
        other = first.setdefault(account, name)
        if other != name and ("quota_per_minute" not in lane or "quota_per_minute" not in lanes[other]):
            yield (
                f"lanes.{name}.quota_per_minute: shares a service account with {other}, and so its project's quota; "
                "set it for each, so that they add up to it"
            )


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
            yield from _file_faults(value, folder, f"{prefix}{key}.")
        elif key.endswith("_file") and isinstance(value, str):
            path = folder / value
            try:
                path.open("rb").close()
            except OSError as error:
                yield f"{prefix}{key}: {path} cannot be read: {error.strerror}"
