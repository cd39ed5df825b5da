"""Which devices are taken, and which lane reaches each. A phone's lane follows from platform and app, a browser's from
the origin of its endpoint. A device that no lane reaches is refused: in silence its owner would never be told anything.

The endpoint comes from outside, so it decides nothing: it is compared, letter by letter, with the origins that the
configuration lists, and connections are opened to those only. Whatever is spelled in another way (a user, a port, an
address in digits, capitals, another host) is no such origin.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from functools import lru_cache
from typing import NamedTuple

from engine.records.person import Device, Subscription
from engine.records.web_push import key_bytes
from engine.records.words import Platform, device_lane

# RFC 3986 path and query; browsers write hosts in lower case and leave the default port out.
_ENDPOINT = re.compile(
    r"(https://[a-z0-9.\-]+(?::[0-9]{1,5})?)/((?:[A-Za-z0-9\-._~!$&'()*+,;=:@/?]|%[0-9A-Fa-f]{2})+)\Z"
)

_WEB, _IOS = Platform.WEB, Platform.IOS  # a member of an enum takes five times as long to look up
_ODD_PATH = re.compile(r"^/|(?:^|/)(?:\.|%2[Ee]){1,2}(?:/|\?|\Z)")  # no push service has `//`, `/./`, `/../`

_P = 2**256 - 2**224 + 2**192 + 2**96 - 1  # the field and the constant of P-256 (FIPS 186-5, SP 800-186)
_B = 0x5AC635D8AA3A93E7B3EBBD55769886BC651D06B0CC53B0F63BCE3C3E27D2604B


class PushService(NamedTuple):
    """A lane to one push service: `origin` as `https://host` or `https://host:port`; `app` None: every app's."""

    lane: str
    origin: str
    app: str | None = None


class DeviceFault(NamedTuple):
    """What is wrong with a device: the field as `subscription.endpoint`, and a sentence without its value."""

    field: str
    sentence: str


class DeviceRules:
    """Judges devices by the lanes that are configured.

    Args:
        services: the push services of browsers, each with its lane.
        lanes: the names of all lanes that a new phone may be on; None takes phones of every app.
    """

    def __init__(self, services: Iterable[PushService] = (), lanes: Collection[str] | None = None) -> None:
        self._lanes = {(service.origin, service.app): service.lane for service in services}
        self._names = frozenset(self._lanes.values())
        self._ios_apps = None if lanes is None else _apps_of(Platform.IOS, lanes)
        self._android_apps = None if lanes is None else _apps_of(Platform.ANDROID, lanes)

    def knows(self, lane: str) -> bool:
        """Whether a web lane is configured."""
        return lane in self._names

    def lane_of(self, device: Device) -> str:
        """Name the lane of a device that has no fault."""
        if device.subscription is None:
            return _phone_lane(device.platform, device.app)
        origin = origin_of(device.subscription.endpoint) or ""
        return self._lanes.get((origin, device.app)) or self._lanes[origin, None]

    def fault_of(self, device: Device) -> DeviceFault | None:
        """Say why a new device cannot be taken. Hot in an import: a phone costs a few comparisons."""
        fault = self.fault_of_kept(device)
        if fault is not None or device.platform is _WEB:
            return fault
        apps = self._ios_apps if device.platform is _IOS else self._android_apps
        return None if apps is None or device.app in apps else _lane_fault(device.platform, apps)

    def fault_of_kept(self, device: Device) -> DeviceFault | None:
        """Say what is wrong with a device that its person has already.

        An app that has since lost its lane is no fault here: it must not bar a change of the person's e-mail address.
        """
        if device.platform is not _WEB:
            if device.token and device.subscription is None:
                return None
            if device.subscription is not None:
                return DeviceFault("subscription", "only a device of platform web has one; give the token")
            return DeviceFault("token", "missing; a device of platform ios or android has one")
        if device.token:
            return DeviceFault("token", "a device of platform web has none; give its subscription")
        if device.subscription is None:
            return DeviceFault("subscription", "missing; give what PushSubscription.toJSON() says")
        return self._endpoint_fault(device.app, device.subscription) or _key_fault(device.subscription)

    def _endpoint_fault(self, app: str, subscription: Subscription) -> DeviceFault | None:
        origin = origin_of(subscription.endpoint)
        if origin is not None and ((origin, app) in self._lanes or (origin, None) in self._lanes):
            return None
        allowed = sorted({known for known, its_app in self._lanes if its_app in (None, app)})
        where = ", ".join(allowed) if allowed else "none; add a lane with provider webpush"
        return DeviceFault("subscription.endpoint", f"not at a push service that is allowed for this app ({where})")


def origin_of(endpoint: str) -> str | None:
    """The origin of an endpoint, letter by letter as it stands there; None when it is not `https://host/path`."""
    found = _ENDPOINT.match(endpoint)
    return found[1] if found and not _ODD_PATH.search(found[2]) else None


def is_point(key: bytes) -> bool:
    """Whether these bytes are an uncompressed point of P-256 (RFC 8291 section 3.1; SP 800-56A 5.6.2.3.4).

    Another point would give a shared secret that others can guess. The curve has no point of small order.
    """
    if len(key) != 65 or key[0] != 4:
        return False
    x, y = int.from_bytes(key[1:33]), int.from_bytes(key[33:])
    return x < _P and y < _P and (y * y - x * x * x + 3 * x - _B) % _P == 0


def _key_fault(subscription: Subscription) -> DeviceFault | None:
    if is_point(key_bytes(subscription.keys.p256dh)):
        return None
    return DeviceFault("subscription.keys.p256dh", "not a point of P-256; give the browser's key as it is")


def _apps_of(platform: Platform, lanes: Iterable[str]) -> frozenset[str]:
    start = device_lane(platform, "")
    return frozenset(lane.removeprefix(start) for lane in lanes if lane.startswith(start))


def _lane_fault(platform: Platform, apps: Collection[str]) -> DeviceFault:
    there = f"must be one of {', '.join(sorted(apps))}" if apps else "no app has one"
    return DeviceFault("app", f"the configuration has no lane for this app on {platform.value}; {there}")


@lru_cache(maxsize=256)
def _phone_lane(platform: Platform, app: str) -> str:
    return device_lane(platform, app)
