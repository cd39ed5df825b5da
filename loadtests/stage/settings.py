"""What is to stand on a stage, and the configuration of its engine: as `klokke.example.toml`, with simulators."""

from __future__ import annotations

import json
from pathlib import Path
from typing import NamedTuple

TOPICS = {"parent": "dk.klokke.demo.parent", "staff": "dk.klokke.demo.staff"}
TEAM_ID, KEY_ID = "DEMOTEAM01", "DEMOKEY001"
PROJECT = "klokke-demo"


class Addresses(NamedTuple):
    """Where everything listens."""

    api_port: int
    gateway_port: int
    metrics_port: int
    apns_url: str
    fcm_url: str
    webpush_url: str
    relay: str  # host:port

    @property
    def api(self) -> str:
        return f"http://127.0.0.1:{self.api_port}"

    @property
    def gateway(self) -> str:
        return f"http://127.0.0.1:{self.gateway_port}"

    @property
    def metrics(self) -> str:
        return f"http://127.0.0.1:{self.metrics_port}/metrics"


class StagePlan(NamedTuple):
    """What is to stand.

    `name` names the folder and the programs' owner; `layout` the engine's processes (empty: as a plain `klokke run`);
    `rate_per_second` limits every lane; `connections` are the most that a push lane opens in a process; `store` is a
    folder of a stopped store whose copy the engine starts with.
    """

    name: str
    seed: int = 1
    lease_seconds: float = 30.0
    is_accept_all: bool = False
    has_email: bool = True
    has_browsers: bool = True
    layout: tuple[str, ...] = ()
    rate_per_second: int | None = None
    connections: int | None = None
    store: Path | None = None


def configuration(addresses: Addresses, key_sha256: str, plan: StagePlan) -> str:
    """Write `klokke.toml`; the files that it names lie beside it."""
    rate = f"rate_per_second = {plan.rate_per_second}\n" if plan.rate_per_second else ""
    connections = f"connections_max = {plan.connections}\n" if plan.connections else ""
    layout = f"\n[processes]\nlayout = {json.dumps(plan.layout)}\n" if plan.layout else ""
    head = _HEAD.format(
        addresses=addresses, key_sha256=key_sha256, name=plan.name, lease_seconds=plan.lease_seconds, layout=layout
    )
    return (
        head
        + rate
        + (_EMAIL_LANE.format(addresses=addresses) + rate if plan.has_email else "")
        + (_BROWSER_LANE.format(addresses=addresses) + rate if plan.has_browsers else "")
        + "".join(
            _PUSH_LANES.format(
                app=app, topic=topic, addresses=addresses, team_id=TEAM_ID, key_id=KEY_ID, more=rate + connections
            )
            for app, topic in TOPICS.items()
        )
    )


_HEAD = """\
[store]
folder = "store"

[intake]
listen = "127.0.0.1:{addresses.api_port}"

[gateway]
listen = "127.0.0.1:{addresses.gateway_port}"
ticket_key_file = "ticket.key"

[metrics]
first_port = {addresses.metrics_port}

[dispatch]
lease_seconds = {lease_seconds}
{layout}
[[service]]
name = "{name}"
key_sha256 = "{key_sha256}"
tenants = ["*"]
scopes = ["events", "directory", "inbox", "ask"]

[lanes.inapp]
provider = "inapp"
"""

_EMAIL_LANE = """
[lanes.email]
provider = "smtp"
relay = "{addresses.relay}"
sender = "no-reply@klokke.example"
tls = "none"
"""

_BROWSER_LANE = """
[lanes."webpush.demo"]
provider = "webpush"
origin = "{addresses.webpush_url}"
vapid_key_file = "vapid.key"
subject = "mailto:operator@klokke.example"
ca_file = "tls/ca.pem"
allow_private = true
"""

_PUSH_LANES = """
[lanes."apns.{app}"]
provider = "apns"
url = "{addresses.apns_url}"
topic = "{topic}"
team_id = "{team_id}"
key_id = "{key_id}"
key_file = "apns.key"
ca_file = "tls/ca.pem"
{more}
[lanes."fcm.{app}"]
provider = "fcm"
url = "{addresses.fcm_url}"
service_account_file = "service-account.json"
ca_file = "tls/ca.pem"
# Google's manners are off: the simulator is not Google, and what is shown here is how fast the engine can be
quota_per_minute = 100000000
ramp_seconds = 0
{more}"""
