"""The request body of FCM's `messages:send` as structs, so that a decoder in C checks names and types.

Source: Firebase REST reference, projects.messages. Unknown fields are refused, as Google does; lowerCamelCase names
are taken as well as snake_case (`snake_case` below).
"""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

Ttl = Annotated[str, Meta(pattern=r"^[0-9]{1,7}(\.[0-9]{1,9})?s$")]
Label = Annotated[str, Meta(pattern=r"^[A-Za-z0-9\-_.~%]{1,50}$")]


class _Strict(msgspec.Struct, frozen=True, forbid_unknown_fields=True, gc=False):
    pass


class Notification(_Strict, frozen=True):
    title: str = ""
    body: str = ""
    image: str = ""


class FcmOptions(_Strict, frozen=True):
    analytics_label: Label | None = None
    image: str = ""  # apns only
    link: str = ""  # webpush only


class AndroidNotification(_Strict, frozen=True):
    title: str = ""
    body: str = ""
    icon: str = ""
    color: Annotated[str, Meta(pattern=r"^(#[0-9A-Fa-f]{6})?$")] = ""
    sound: str = ""
    tag: str = ""
    click_action: str = ""
    body_loc_key: str = ""
    body_loc_args: list[str] = []
    title_loc_key: str = ""
    title_loc_args: list[str] = []
    channel_id: str = ""
    ticker: str = ""
    sticky: bool = False
    event_time: str = ""
    local_only: bool = False
    notification_priority: str = ""
    default_sound: bool = False
    default_vibrate_timings: bool = False
    default_light_settings: bool = False
    vibrate_timings: list[str] = []
    visibility: str = ""
    notification_count: int | None = None
    light_settings: dict[str, Any] | None = None
    image: str = ""
    bypass_proxy_notification: bool = False
    proxy: str = ""


class Android(_Strict, frozen=True):
    collapse_key: str = ""
    priority: Literal["normal", "high", "NORMAL", "HIGH"] = "normal"
    ttl: Ttl | None = None
    restricted_package_name: str = ""
    data: dict[str, str] = {}
    notification: AndroidNotification | None = None
    fcm_options: FcmOptions | None = None
    direct_boot_ok: bool = False
    bandwidth_constrained_ok: bool = False
    restricted_satellite_ok: bool = False


class Webpush(_Strict, frozen=True):
    headers: dict[str, str] = {}
    data: dict[str, str] = {}
    notification: dict[str, Any] | None = None
    fcm_options: FcmOptions | None = None


class Apns(_Strict, frozen=True):
    headers: dict[str, str] = {}
    payload: dict[str, Any] | None = None
    fcm_options: FcmOptions | None = None
    live_activity_token: str = ""


class Message(_Strict, frozen=True):
    token: str | None = None
    fid: str | None = None
    topic: str | None = None
    condition: str | None = None
    name: str | None = None
    data: dict[str, str] = {}
    notification: Notification | None = None
    android: Android | None = None
    webpush: Webpush | None = None
    apns: Apns | None = None
    fcm_options: FcmOptions | None = None


class Body(_Strict, frozen=True):
    message: Message
    validate_only: bool = False


decode = msgspec.json.Decoder(Body).decode

_HUMP = re.compile(r"(?<=[a-z0-9])([A-Z])")
_FREE = frozenset({"data", "headers", "payload"})
"""Maps whose keys are the sender's own."""


def snake_case(value: object) -> object:
    """Rewrite lowerCamelCase field names, which Google's JSON takes too, as snake_case."""
    if isinstance(value, dict):
        return {
            _HUMP.sub(lambda m: "_" + m[1].lower(), key): inner if key in _FREE else snake_case(inner)
            for key, inner in value.items()
        }
    if isinstance(value, list):
        return [snake_case(inner) for inner in value]
    return value
