"""Every metric of the engine: its name, its unit, its labels and a sentence.

One registry per process; Prometheus scrapes all processes (prometheus-client's multiprocess mode loses Info and
Enum and counts dead workers, so it is not used). Names follow https://prometheus.io/docs/practices/naming/.
"""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge

from metrics.weighted_histogram import WeightedHistogram

SECONDS_TO_ANSWER = (0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 15.0, 45.0, 120.0, 600.0, 3600.0)
"""Buckets around the service levels: 0.25 s urgent during a blast, 1 s urgent, 5 s normal, 45 s national."""


class Catalogue:
    """All metrics of one process, on a registry of their own."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.admitted = Counter(
            "klokke_events_admitted_total",
            "Events that were made durable and answered with 202.",
            ("category", "urgency"),
            registry=registry,
        )
        self.planned_people = Counter(
            "klokke_people_planned_total",
            "People with at least one planned delivery on a channel.",
            ("channel",),
            registry=registry,
        )
        self.planned_deliveries = Counter(
            "klokke_deliveries_planned_total",
            "Deliveries planned: one per person and device, address or inbox.",
            ("channel",),
            registry=registry,
        )
        self.suppressed_people = Counter(
            "klokke_people_suppressed_total",
            "People who get nothing on a channel, by the rule that decided.",
            ("channel", "reason"),
            registry=registry,
        )
        self.ended = Counter(
            "klokke_deliveries_ended_total",
            "Deliveries that ended, by end and reason (the provider's word for rejections).",
            ("channel", "end", "reason"),
            registry=registry,
        )
        self.retried = Counter(
            "klokke_deliveries_retried_total",
            "Deliveries put back for another attempt.",
            ("channel", "reason"),
            registry=registry,
        )
        self.postponed = Counter(
            "klokke_deliveries_postponed_total",
            "Deliveries put back without using up an attempt: throttled or parked lane, permits, quiet hours.",
            ("channel", "reason"),
            registry=registry,
        )
        self.seconds_to_answer = WeightedHistogram(
            "klokke_admission_to_answer_seconds",
            "Seconds from admission of the event to the provider's answer, per delivery.",
            ("channel", "urgency"),
            buckets=SECONDS_TO_ANSWER,
            registry=registry,
        )
        self.permit_wait_seconds = Counter(
            "klokke_permit_wait_seconds_total",
            "Seconds that a lane waited for its rate limit.",
            ("lane",),
            registry=registry,
        )
        self.fenced = Counter(
            "klokke_settlements_fenced_total",
            "Settlements that came after the lease had gone to another worker, and changed nothing.",
            registry=registry,
        )
        self.reclaimed = Counter(
            "klokke_slices_reclaimed_total",
            "Slices given back to their queue because their worker went silent.",
            registry=registry,
        )
        self.queue_slices = Gauge(
            "klokke_queue_slices",
            "Slices ready to be sent; lane + counts events that wait for fan-out.",
            ("lane", "urgency"),
            registry=registry,
        )
        self.queue_people = Gauge(
            "klokke_queue_people",
            "People in the slices that are ready to be sent.",
            ("lane", "urgency"),
            registry=registry,
        )
        self.queue_oldest_seconds = Gauge(
            "klokke_queue_oldest_age_seconds",
            "Age of the oldest event with a ready slice.",
            ("lane", "urgency"),
            registry=registry,
        )
        self.lane_parked = Gauge(
            "klokke_lane_parked",
            "1 while a lane is parked and waits for an operator.",
            ("lane",),
            registry=registry,
        )
