"""A device's address as the endpoint hashes keep it, and the device that an address on a lane stands for. Pure."""

from __future__ import annotations

from collections.abc import Callable

from engine.records.person import Device
from engine.records.web_push import device_of, pack
from engine.records.words import Platform
from engine.rules.devices import DeviceRules

WEB_LANES = "webpush."
"""How the names of all lanes to push services of browsers begin."""


def address_of(device: Device) -> bytes:
    """Spell a device's address: a token as it is, a subscription packed."""
    if device.subscription is None:
        return device.token.encode()
    return pack(device.app, device.subscription)


def device_at(lane: str, address: bytes) -> Device:
    """Make the device again."""
    if lane.startswith(WEB_LANES):
        return device_of(address)
    provider, _, app = lane.partition(".")
    platform = Platform.IOS if provider == "apns" else Platform.ANDROID
    return Device(platform=platform, app=app, token=address.decode())


def is_foreign(devices: DeviceRules) -> Callable[[str], bool]:
    """Tell the web lanes that are not configured (any more): what lies there is neither shown nor touched."""
    return lambda lane: lane.startswith(WEB_LANES) and not devices.knows(lane)
