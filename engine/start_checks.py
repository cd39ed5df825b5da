"""What would keep the processes from starting, found before they start: the store's folder, secrets, ports."""

from __future__ import annotations

import errno
import json
import os
import socket
from collections.abc import Iterator
from pathlib import Path

import queueing.embedded as embedded
from engine.composition import Parts
from engine.config import NO_FILE
from engine.config_rules import FCM_QUOTA_PER_MINUTE, doors, lane_title
from engine.rules import tickets
from engine.settings import Config, FcmLane, Lane, WebPushLane

SOCKET_PATH_BYTES_MAX = 107  # sun_path of Linux, without its last zero


def start_faults(folder: Path, config: Config, *, check_only: bool) -> list[str]:
    """What would keep the processes from starting, all of it: secrets that are none, ports that are taken.

    Args:
        config: the sound part of the configuration is enough.
        check_only: nothing is to start now, so a port may be taken: by the engine that runs, most likely.
    """
    parts = Parts(folder, config, 0)
    return [
        *_store_faults(parts),
        *_secret_faults(parts),
        *_project_faults(parts),
        *_port_faults(config, check_only),
    ]


def _store_faults(parts: Parts) -> Iterator[str]:
    if parts.config.store.url is not None:
        return
    folder = parts.folder / parts.config.store.folder
    if folder.exists() and not folder.is_dir():
        yield f"store.folder: {folder} is no folder"
    elif len(os.fsencode(embedded.socket_path(folder))) > SOCKET_PATH_BYTES_MAX:
        yield f"store.folder: too long a path for a socket; choose one below {SOCKET_PATH_BYTES_MAX - 20} letters"


_TOML_NAMES = {  # a channel's setting -> the line of klokke.toml that it comes from
    "private_key_pem": "key_file",
    "base_url": "url",
    "project_id": "service_account_file",
    "client_email": "service_account_file",
    "token_uri": "service_account_file",
    "host": "relay",
    "port": "relay",
    "from_address": "sender",
    "from_name": "sender_name",
    "password": "password_file",
}


def _secret_faults(parts: Parts) -> Iterator[str]:
    key_file = parts.config.gateway.ticket_key_file
    if key_file != NO_FILE and len(parts.secret(key_file)) < tickets.SECRET_BYTES_MIN:
        yield f"gateway.ticket_key_file: must hold at least {tickets.SECRET_BYTES_MIN} random bytes"
    for name, lane in parts.config.lanes.items():
        title = lane_title(name)
        try:
            parts.ways_out.sender(lane)
        except KeyError as error:
            yield f"{title}.service_account_file: {error} is missing in it"
        except (json.JSONDecodeError, TypeError, UnicodeDecodeError):
            yield f"{title}: its key file does not hold what it should: for fcm the JSON file of a service account"
        except OSError as error:
            yield f"{title}.ca_file: cannot be read: {error.strerror}"
        except ValueError as error:  # its texts name settings, never their content
            for line in str(error).splitlines():
                yield f"{title}.{_in_toml(line, lane)}"


def _project_faults(parts: Parts) -> Iterator[str]:
    """Google counts by project, whatever file its account stands in; lanes that name one file are judged before."""
    first: dict[str, tuple[str, FcmLane]] = {}
    for name, lane in parts.config.lanes.items():
        if not isinstance(lane, FcmLane):
            continue
        try:
            project = str(json.loads(parts.secret(lane.service_account_file))["project_id"])
        except (OSError, ValueError, KeyError, TypeError):
            continue  # `_secret_faults` says so
        other, its_lane = first.setdefault(project, (name, lane))
        is_split = lane.quota_per_minute + its_lane.quota_per_minute <= FCM_QUOTA_PER_MINUTE
        if other != name and lane.service_account_file != its_lane.service_account_file and not is_split:
            yield (
                f"{lane_title(name)}.quota_per_minute: its service account is of the same project as that of {other}; "
                f"use one service_account_file for both, and give each its part of the project's quota"
            )


def _in_toml(said: str, lane: Lane) -> str:
    """A channel names its own settings; whoever reads this has the file before them."""
    setting, colon, sentence = said.partition(": ")
    if setting == "private_key_pem" and isinstance(lane, FcmLane):
        name = "service_account_file"
    elif setting == "base_url" and isinstance(lane, WebPushLane):
        name = "origin"
    else:
        name = _TOML_NAMES.get(setting, setting)
    return name + colon + sentence


def _port_faults(config: Config, check_only: bool) -> Iterator[str]:
    found = doors(
        config.intake.listen,
        config.gateway.listen,
        config.metrics.host,
        config.metrics.first_port,
        len(config.processes.layout),
    )
    for setting, host, port in found:
        try:
            family, kind, protocol, _, where = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
            with socket.socket(family, kind, protocol) as door:
                door.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                door.bind(where)
        except OSError as error:
            if not (check_only and error.errno == errno.EADDRINUSE):
                yield f"{setting}: cannot listen on {host}:{port}: {error.strerror}"
