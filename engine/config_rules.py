"""Rules of the configuration over several settings: doors that collide, keys given twice, mail in the clear, lanes that
share a quota or an origin."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from ipaddress import ip_address
from typing import Any

from engine.rules.quota import rate_for

FCM_QUOTA_PER_MINUTE = 600_000  # what Google gives a project unless it is asked for more
_EVERY_ADDRESS = ("0.0.0.0", "::", "*", "")
# The first 16 letters of a lane's name go into delivery ids (`engine.records.work`): longer names could share them.
_WEB_LANE = re.compile(r"webpush\.[a-z0-9]{1,8}")
_IN_DIGITS = re.compile(r"[0-9.]+|0x.*|\[.*")
_LOCAL_ENDINGS = (".localhost", ".local", ".internal", ".lan", ".home.arpa")


def split_address(listen: str) -> tuple[str, int]:
    """Split `host:port`; an IPv6 address stands in brackets."""
    host, _, port = listen.rpartition(":")
    return host.strip("[]"), int(port)


def doors(intake: str, gateway: str, metrics_host: str, first_port: int, processes: int) -> list[tuple[str, str, int]]:
    """Everything that the engine listens on: (setting, host, port)."""
    metrics = [(f"metrics.first_port + {place}", metrics_host, first_port + place) for place in range(processes)]
    return [("intake.listen", *split_address(intake)), ("gateway.listen", *split_address(gateway)), *metrics]


def door_faults(found: Sequence[tuple[str, str, int]]) -> Iterator[str]:
    """No port may be given out twice, nor lie beyond the last one."""
    taken: list[tuple[str, str, int]] = []
    for setting, host, port in found:
        if port > 65_535:
            yield f"{setting}: there is no port {port}; choose a lower first_port"
        for other, its_host, its_port in taken:
            same_host = host == its_host or host in _EVERY_ADDRESS or its_host in _EVERY_ADDRESS
            if port == its_port and same_host:
                yield f"{setting}: port {port} is given to {other} already; choose another"
                break
        taken.append((setting, host, port))


def relay_faults(title: str, lane: Mapping[str, Any]) -> Iterator[str]:
    """Mail in the clear goes to a relay on this machine only; user name and password come together, and under TLS."""
    relay, tls = lane.get("relay"), lane.get("tls")
    if tls == "none" and isinstance(relay, str) and not is_loopback(relay.rpartition(":")[0].strip("[]")):
        yield f"{title}.tls: none is for a relay on this machine (127.0.0.1); choose starttls or implicit"
    if ("username" in lane) != ("password_file" in lane):
        yield f"{title}: give username and password_file, or neither"
    elif tls == "none" and "username" in lane:
        yield f"{title}.tls: a password needs starttls or implicit"


def is_loopback(host: str) -> bool:
    """Whether a host is this machine, by its name or number alone."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host.lower() == "localhost"


def service_faults(services: Sequence[Any]) -> Iterator[str]:
    """A key belongs to one entry: of two, one would never be found. Nothing is named twice within an entry."""
    first: dict[str, int] = {}
    for at, service in enumerate(services):
        if not isinstance(service, dict):
            continue
        digest = service.get("key_sha256")
        if isinstance(digest, str) and digest in first:
            yield f"service[{at}].key_sha256: is that of service[{first[digest]}] too; make a key for each"
        elif isinstance(digest, str):
            first[digest] = at
        for name in ("tenants", "scopes"):
            words = service.get(name)
            if isinstance(words, list) and any(words.count(word) > 1 for word in words):
                yield f"service[{at}].{name}: names one of them twice"


# --- lanes -------------------------------------------------------------------------------------------------------


def lane_title(name: str) -> str:
    """A lane's table as TOML spells it: a name with a dot stands in quotation marks."""
    return f'lanes."{name}"' if "." in name else f"lanes.{name}"


def web_lane_faults(name: str, lane: Mapping[str, Any]) -> Iterator[str]:
    """A lane of browsers is named after its push service, and that is a host on the internet."""
    title = lane_title(name)
    if not _WEB_LANE.fullmatch(name):
        yield f"{title}: must be called webpush.<service> with 1 to 8 small letters or digits, as in webpush.fcm"
    host = str(lane.get("origin", "")).removeprefix("https://").partition(":")[0]
    if lane.get("allow_private") is not True and _IN_DIGITS.fullmatch(host):
        yield f"{title}.origin: must name a host; digits need allow_private = true (simulators only)"
    elif lane.get("allow_private") is not True and (host == "localhost" or host.endswith(_LOCAL_ENDINGS)):
        yield f"{title}.origin: is a host of this network; that needs allow_private = true (simulators only)"


def burst_faults(title: str, lane: Mapping[str, Any]) -> Iterator[str]:
    """A burst must leave room for a rate within the quota."""
    quota, burst = lane.get("quota_per_minute", FCM_QUOTA_PER_MINUTE), lane.get("burst")
    if type(quota) is int and type(burst) is int and quota > 0:
        try:
            rate_for(quota, burst)
        except ValueError as error:
            yield f"{title}.{error}"


def shared_quota_faults(lanes: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    """Google counts by project: lanes with one service account must say how they share its quota."""
    first: dict[str, str] = {}
    for name, lane in lanes.items():
        account = lane.get("service_account_file")
        if lane.get("provider") != "fcm" or not isinstance(account, str):
            continue
        other = first.setdefault(account, name)
        if other != name and ("quota_per_minute" not in lane or "quota_per_minute" not in lanes[other]):
            yield (
                f"{lane_title(name)}.quota_per_minute: shares a service account with {other}, and so its project's "
                "quota; set it for each, so that they add up to it"
            )


def shared_origin_faults(lanes: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    """A browser's lane is found by its origin and app: each pair has one lane."""
    first: dict[tuple[str, str], str] = {}
    for name, lane in lanes.items():
        origin = lane.get("origin")
        if lane.get("provider") != "webpush" or not isinstance(origin, str):
            continue
        other = first.setdefault((origin, str(lane.get("app"))), name)
        if other != name:
            yield f"{lane_title(name)}.origin: {other} has the same one for the same app"
