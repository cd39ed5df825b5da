"""Hears what the engine does and moves the metrics. Calls are per slice or event, never per person."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from prometheus_client import CollectorRegistry, Counter

from engine.ports import Depth
from engine.records.words import URGENCIES, Category, Channel, End, Urgency
from metrics.catalogue import Catalogue

FANOUT = "+"
"""The name under which events that wait for fan-out stand among the lanes."""

REASONS_MAX = 100
"""Providers may invent reasons; past this many different ones a process counts further ones as `other`."""


class PrometheusObserver:
    """The `Observer` port on prometheus-client."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._metrics = Catalogue(registry)
        self._reasons: set[str] = set()
        self._admitted: dict[tuple[Category, Urgency], Counter] = {}  # `labels` costs 2 us, and this is per event

    def admitted(self, category: Category, urgency: Urgency) -> None:
        counter = self._admitted.get((category, urgency))
        if counter is None:
            counter = self._admitted[category, urgency] = self._metrics.admitted.labels(category, urgency)
        counter.inc()

    def planned(self, channel: Channel, people: int, deliveries: int, suppressed: Mapping[str, int]) -> None:
        self._metrics.planned_people.labels(channel).inc(people)
        self._metrics.planned_deliveries.labels(channel).inc(deliveries)
        for reason, count in suppressed.items():
            self._metrics.suppressed_people.labels(channel, reason).inc(count)

    def ended(self, channel: Channel, end: End, reason: str, count: int) -> None:
        self._metrics.ended.labels(channel, end, self._bounded(reason)).inc(count)

    def answered(self, channel: Channel, urgency: Urgency, seconds_since_admission: float, count: int) -> None:
        self._metrics.seconds_to_answer.observe((channel, urgency), seconds_since_admission, count)

    def retried(self, channel: Channel, reason: str, count: int) -> None:
        self._metrics.retried.labels(channel, self._bounded(reason)).inc(count)

    def postponed(self, channel: Channel, reason: str, count: int) -> None:
        self._metrics.postponed.labels(channel, self._bounded(reason)).inc(count)

    def waited_for_permits(self, lane: str, seconds: float) -> None:
        self._metrics.permit_wait_seconds.labels(lane).inc(seconds)

    def fenced(self) -> None:
        self._metrics.fenced.inc()

    def reclaimed(self, slices: int) -> None:
        self._metrics.reclaimed.inc(slices)

    def queues(self, depths: Iterable[Depth], lanes: Iterable[str], parked: Mapping[str, str], now_ms: int) -> None:
        """Set the gauges of all queues; what does not wait is set to zero, so that nothing stale stays."""
        waiting = {(depth.lane, depth.urgency): depth for depth in depths}
        for lane in (FANOUT, *lanes):
            self._metrics.lane_parked.labels(lane).set(lane in parked)
            for urgency in URGENCIES:
                depth = waiting.get((lane, urgency), Depth(lane, urgency, 0, 0, now_ms))
                self._metrics.queue_slices.labels(lane, urgency).set(depth.slices)
                self._metrics.queue_people.labels(lane, urgency).set(depth.people)
                self._metrics.queue_oldest_seconds.labels(lane, urgency).set(max(0, now_ms - depth.oldest_ms) / 1000)

    def _bounded(self, reason: str) -> str:
        if reason in self._reasons:
            return reason
        if len(self._reasons) >= REASONS_MAX:
            return "other"
        self._reasons.add(reason)
        return reason
