"""Rules of the configuration over several settings: doors that collide, keys given twice, mail in the clear."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from ipaddress import ip_address
from typing import Any

_EVERY_ADDRESS = ("0.0.0.0", "::", "*", "")


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
