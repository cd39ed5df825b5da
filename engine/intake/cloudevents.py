"""Reads CloudEvents 1.0 over HTTP, in structured and in batch mode, and finds every fault of one event's form.

Binary mode (attributes as `ce-` headers) is not taken: a proxy that drops a header would change an event unseen.
Source: CloudEvents 1.0.2, JSON event format and HTTP protocol binding.
"""

from __future__ import annotations

from typing import Any

import msgspec

from engine.intake import strict_json
from engine.intake.faults import Fault, faults_in
from engine.intake.strict_json import Malformed
from engine.intake.wire import CalendarEvent, MessageEvent
from engine.records.words import Kind

STRUCTURED = "application/cloudevents+json"
BATCH = "application/cloudevents-batch+json"

Envelope = MessageEvent | CalendarEvent

_SHAPES: dict[str, type[MessageEvent] | type[CalendarEvent]] = {
    kind.value: MessageEvent if kind is Kind.MESSAGE else CalendarEvent for kind in Kind
}
_KINDS = ", ".join(_SHAPES)


def split_batch(body: bytes) -> list[msgspec.Raw]:
    """Cut a batch into its events without reading them, so that each can be read in turn.

    Raises:
        Malformed: the body is no JSON list.
    """
    try:
        return _BATCH.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        strict_json.read(body)  # says precisely what is wrong
        raise Malformed(f"a body of type {BATCH} is a list of events") from None


def read_envelope(raw: Any, pointer: str) -> tuple[Envelope | None, list[Fault]]:
    """Read one decoded event: the envelope, or every fault of its form.

    Raises:
        Malformed: it is nested too deep or holds a number beyond 64 bit.
    """
    shape = shape_of(raw)
    try:
        return msgspec.convert(raw, shape), []
    except msgspec.ValidationError:
        strict_json.check_sizes(raw)
        return None, _faults(raw, shape, pointer)


def shape_of(raw: Any) -> type[MessageEvent] | type[CalendarEvent]:
    """The struct that an event of this `type` must fit; a message's where the type is unknown."""
    kind = raw.get("type") if isinstance(raw, dict) else None
    return _SHAPES.get(kind, MessageEvent) if isinstance(kind, str) else MessageEvent


def _faults(raw: Any, shape: type[MessageEvent] | type[CalendarEvent], pointer: str) -> list[Fault]:
    return [_explained(fault, pointer) for fault in faults_in(raw, shape, pointer)]


def _explained(fault: Fault, pointer: str) -> Fault:
    """Say more about what CloudEvents senders get wrong most."""
    name = fault.pointer.removeprefix(pointer + "/")
    if name == "type" and fault.code == "not-allowed":
        return Fault(fault.pointer, "unknown-type", f"must be one of {_KINDS}")
    if name == "data_base64" and fault.code == "unknown-field":
        return Fault(fault.pointer, fault.code, "data is JSON here: use data")
    if fault.code == "unknown-field" and "/" not in name:
        return Fault(fault.pointer, "unknown-attribute", f"this extension attribute is not taken; {fault.detail}")
    return fault


_BATCH = msgspec.json.Decoder(list[msgspec.Raw])
