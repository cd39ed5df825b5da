"""One way out per lane, made from its table of the configuration; and what the lanes together allow."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path

from channels.apns.client import ApnsSender, ApnsSettings
from channels.email.client import EmailSender
from channels.email.settings import EmailSettings
from channels.fcm.client import FcmSender, FcmSettings
from channels.inapp.client import InappSender
from channels.shared_tokens import SharedTokens
from channels.webpush.client import WebPushSender, WebPushSettings
from engine.config_rules import split_address
from engine.inbox_writes import InboxWrites
from engine.ports import Sender
from engine.rules.devices import DeviceRules, PushService
from engine.rules.quota import usual_burst, within_quota
from engine.settings import ApnsLane, Config, EmailLane, FcmLane, Lane, WebPushLane
from queueing.lanes import LaneLimit


class WaysOut:
    """Makes the ways out of one process. Lanes with the same key share one token, as Apple asks.

    Args:
        folder: where the files lie that the configuration names.
        inbox: the way out of the lane `inapp`.
    """

    def __init__(self, folder: Path, inbox: InboxWrites) -> None:
        self._folder = folder
        self._inbox = inbox
        self._tokens = SharedTokens()

    def senders(self, lanes: Mapping[str, Lane]) -> dict[str, Sender]:
        """The way out of every lane."""
        return {name: self.sender(lane) for name, lane in lanes.items()}

    def sender(self, lane: Lane) -> Sender:
        """The way out of one lane.

        Raises:
            ValueError, KeyError, OSError: a setting or a file is faulty.
        """
        match lane:
            case ApnsLane():
                return self._apns(lane)
            case FcmLane():
                return self._fcm(lane)
            case WebPushLane():
                return self._web_push(lane)
            case EmailLane():
                return self._email(lane)
            case _:
                return InappSender(self._inbox)

    def _apns(self, lane: ApnsLane) -> ApnsSender:
        settings = ApnsSettings(
            topic=lane.topic,
            team_id=lane.team_id,
            key_id=lane.key_id,
            private_key_pem=self._secret(lane.key_file),
            base_url=lane.url,
            ca_file=self._beside(lane.ca_file),
            connections_max=lane.connections_max,
        )
        return ApnsSender(settings, self._tokens.apns(settings))

    def _fcm(self, lane: FcmLane) -> FcmSender:
        account = json.loads(self._secret(lane.service_account_file))
        settings = FcmSettings(
            project_id=account["project_id"],
            client_email=account["client_email"],
            private_key_pem=account["private_key"],
            token_uri=account["token_uri"],
            base_url=lane.url,
            ca_file=self._beside(lane.ca_file),
            connections_max=lane.connections_max,
        )
        return FcmSender(settings, self._tokens.fcm(settings))

    def _web_push(self, lane: WebPushLane) -> WebPushSender:
        return WebPushSender(
            WebPushSettings(
                origin=lane.origin,
                private_key_pem=self._secret(lane.vapid_key_file),
                subject=lane.subject,
                ca_file=self._beside(lane.ca_file),
                allow_private=lane.allow_private,
                connections_max=lane.connections_max,
            )
        )

    def _email(self, lane: EmailLane) -> EmailSender:
        host, port = split_address(lane.relay)
        ca_file = self._beside(lane.ca_file)
        return EmailSender(
            EmailSettings(
                host=host,
                port=port,
                tls=lane.tls,
                ca_file=Path(ca_file) if ca_file else None,
                username=lane.username,
                password=self._secret(lane.password_file).decode().strip() if lane.password_file else None,
                from_address=lane.sender,
                from_name=lane.sender_name,
                portal_url=lane.portal_url,
                connections_max=lane.connections_max,
            )
        )

    def _secret(self, name: str) -> bytes:
        return (self._folder / name).read_bytes()

    def _beside(self, name: str | None) -> str | None:
        return None if name is None else str(self._folder / name)


def limits(config: Config) -> dict[str, LaneLimit]:
    """The rate limits of the lanes that have one: a rate of their own, a provider's quota, or both."""
    found: dict[str, LaneLimit] = {}
    for name, lane in config.lanes.items():
        rate = lane.rate_per_second
        if isinstance(lane, FcmLane):
            rate, burst = within_quota(lane.quota_per_minute, rate, lane.burst)
            found[name] = LaneLimit(rate_per_second=rate, burst=burst, ramp_seconds=lane.ramp_seconds)
        elif rate is not None:
            found[name] = LaneLimit(rate_per_second=rate, burst=lane.burst or usual_burst(rate))
    return found


def badge_lanes(config: Config) -> frozenset[str]:
    """The lanes whose messages carry the unread count."""
    pushing = ApnsLane | FcmLane | WebPushLane
    return frozenset(name for name, lane in config.lanes.items() if isinstance(lane, pushing) and lane.badge)


def device_rules(config: Config) -> DeviceRules:
    """Which devices are taken: those that a lane reaches."""
    return DeviceRules(_push_services(config), config.lanes.keys())


def _push_services(config: Config) -> Iterator[PushService]:
    for name, lane in config.lanes.items():
        if isinstance(lane, WebPushLane):
            yield PushService(name, lane.origin, lane.app)
