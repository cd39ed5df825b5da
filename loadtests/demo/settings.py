"""The configuration that the demo's engine runs with: as `klokke.example.toml`, with the simulators as providers."""

from __future__ import annotations

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


def configuration(addresses: Addresses, key_sha256: str, lease_seconds: float) -> str:
    """Write `klokke.toml`; the files that it names lie beside it."""
    return _HEAD.format(addresses=addresses, key_sha256=key_sha256, lease_seconds=lease_seconds) + "".join(
        _PUSH_LANES.format(app=app, topic=topic, addresses=addresses, team_id=TEAM_ID, key_id=KEY_ID)
        for app, topic in TOPICS.items()
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

[[service]]
name = "demo"
key_sha256 = "{key_sha256}"
tenants = ["*"]
scopes = ["events", "directory", "inbox", "ask"]

[lanes.inapp]
provider = "inapp"

[lanes.email]
provider = "smtp"
relay = "{addresses.relay}"
sender = "no-reply@klokke.example"
tls = "none"

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

[lanes."fcm.{app}"]
provider = "fcm"
url = "{addresses.fcm_url}"
service_account_file = "service-account.json"
ca_file = "tls/ca.pem"
# Google's manners are off: the simulator is not Google, and what is shown here is how fast the engine can be
quota_per_minute = 100000000
ramp_seconds = 0
"""
