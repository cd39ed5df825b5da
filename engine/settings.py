"""`klokke.toml` as records: every table and lane, its settings and what counts where nothing is said.

Secrets never stand in the file: a setting that ends in `_file` names a file that holds one.
"""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from engine.config_rules import FCM_QUOTA_PER_MINUTE
from engine.intake.keys import Service
from engine.records.forms import form
from engine.records.person import AppName

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

ROLES = ("intake", "gateway", "fanout", "upkeep", "dispatch")
URGENT = "urgent"
"""A role that may be left out: a dispatcher for emergencies and urgent messages alone."""


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
    """One entry a process: its roles, joined by `+`. Dispatchers may be as many as there are cores.

    A process with the role `urgent` is kept free for emergencies and urgent messages.
    """

    layout: tuple[Text, ...] = ("intake+gateway", "fanout+upkeep", "urgent", "dispatch", "dispatch")


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

    origin: Annotated[
        str,
        form(
            rf"^https://[a-z0-9.\-]+(:{_PORT})?$(?!\n)",
            "https:// and a host in small letters, no path, as https://fcm.googleapis.com",
        ),
    ]
    vapid_key_file: Text  # a P-256 private key in PEM; ./klokke vapid makes one
    subject: Annotated[  # whom the service may write to
        str,
        form(
            r"^(mailto:|https://)[\x21-\x7e]+$(?!\n)",
            "a contact of the operator that starts with mailto: or https://",
        ),
    ]
    app: AppName | None = None  # left out: browsers of every app
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


TABLES: dict[str, type[Setting]] = {
    "store": Store,
    "intake": Intake,
    "gateway": Gateway,
    "metrics": Metrics,
    "processes": Processes,
    "dispatch": Dispatch,
}
