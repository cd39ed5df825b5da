"""The closed sets of words. Metrics labels, ledger reasons and API values come from here only."""

from __future__ import annotations

from enum import StrEnum


class Channel(StrEnum):
    PUSH = "push"
    EMAIL = "email"
    INAPP = "inapp"


class Category(StrEnum):
    """What an event is about; people choose per category and channel."""

    MESSAGE = "message"
    CALENDAR = "calendar"
    POST = "post"
    PRESENCE = "presence"
    SURVEY = "survey"
    ANNOUNCEMENT = "announcement"


class Urgency(StrEnum):
    """How soon it must go; the order of the members is the order of the queues."""

    EMERGENCY = "emergency"
    URGENT = "urgent"
    NORMAL = "normal"
    BULK = "bulk"


class Role(StrEnum):
    PUPIL = "pupil"
    GUARDIAN = "guardian"
    STAFF = "staff"


class Language(StrEnum):
    DA = "da"
    EN = "en"


class Platform(StrEnum):
    IOS = "ios"
    ANDROID = "android"
    WEB = "web"


class Kind(StrEnum):
    """The CloudEvents types that the intake admits."""

    MESSAGE = "dk.klokke.message.v1"
    CALENDAR_INVITED = "dk.klokke.calendar.invited.v1"
    CALENDAR_CHANGED = "dk.klokke.calendar.changed.v1"
    CALENDAR_CANCELLED = "dk.klokke.calendar.cancelled.v1"


class Reason(StrEnum):
    """Why a person was suppressed on a channel, in the order in which the rules are asked."""

    NOT_IN_AUDIENCE = "not_in_audience"  # only at send time: the relation or group was left since planning
    ROLE = "role"  # the event names roles and the person holds none of them
    STRATEGY = "strategy"  # the municipality does not use this channel for this category
    OPTED_OUT = "opted_out"
    NO_ENDPOINT = "no_endpoint"  # no device, no e-mail address
    SUPPRESSED_ADDRESS = "suppressed_address"  # the address bounced or complained


class End(StrEnum):
    """How a planned delivery ended. Every delivery ends in exactly one of these."""

    ACCEPTED = "accepted"  # by the provider; not the same as seen by the person
    REJECTED = "rejected"  # the provider refused this message or this address for good
    EXPIRED = "expired"
    CANCELLED = "cancelled"
    SUPERSEDED = "superseded"
    SUPPRESSED = "suppressed"  # planned, but no longer entitled at send time
    DEAD = "dead"  # attempts used up, or outcome unknown to the last


class Stop(StrEnum):
    """Why an event sends nothing more; each value is also the End of what still waited."""

    CANCELLED = "cancelled"
    SUPERSEDED = "superseded"
    EXPIRED = "expired"


URGENCIES = tuple(Urgency)
CHANNELS = tuple(Channel)

EMAIL_LANE = "email"
INAPP_LANE = "inapp"
_PROVIDERS = {Platform.IOS: "apns", Platform.ANDROID: "fcm"}


def device_lane(platform: Platform, app: str) -> str:
    """Name the lane that reaches a phone: one per provider and app, `apns.parent` for example.

    A browser's lane follows from its push service, which the configuration knows: `engine.rules.devices`.
    """
    return f"{_PROVIDERS[platform]}.{app}"


def channel_of(lane: str) -> Channel:
    """Say which channel a lane belongs to."""
    if lane == EMAIL_LANE:
        return Channel.EMAIL
    if lane == INAPP_LANE:
        return Channel.INAPP
    return Channel.PUSH
