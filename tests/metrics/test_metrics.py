"""Metrics: what the observer hears is what a scrape shows, and labels stay bounded."""

from __future__ import annotations

import httpx

from engine.ports import Depth
from engine.records.words import Category, Channel, End, Urgency
from metrics.exposition import new_registry, serving
from metrics.observer import REASONS_MAX, PrometheusObserver


def test_a_scrape_shows_what_happened() -> None:
    registry = new_registry()
    observer = PrometheusObserver(registry)
    observer.admitted(Category.MESSAGE, Urgency.URGENT)
    observer.planned(Channel.PUSH, 3, 4, {"opted_out": 2})
    observer.ended(Channel.PUSH, End.REJECTED, "Unregistered", 1)
    observer.answered(Channel.PUSH, Urgency.URGENT, 0.2, 3)
    with serving(registry, "127.0.0.1", 0) as port:
        text = httpx.get(f"http://127.0.0.1:{port}/metrics").text
    assert 'klokke_events_admitted_total{category="message",urgency="urgent"} 1.0' in text
    assert 'klokke_people_suppressed_total{channel="push",reason="opted_out"} 2.0' in text
    assert 'klokke_deliveries_ended_total{channel="push",end="rejected",reason="Unregistered"} 1.0' in text
    assert 'klokke_admission_to_answer_seconds_bucket{channel="push",le="0.25",urgency="urgent"} 3.0' in text
    assert "process_resident_memory_bytes" in text


def test_a_drained_queue_falls_to_zero() -> None:
    registry = new_registry()
    observer = PrometheusObserver(registry)
    labels = {"lane": "email", "urgency": "normal"}
    observer.queues([Depth("email", Urgency.NORMAL, 3, 60, 1_000)], ["email"], {}, 9_000)
    assert registry.get_sample_value("klokke_queue_slices", labels) == 3
    assert registry.get_sample_value("klokke_queue_oldest_age_seconds", labels) == 8
    observer.queues([], ["email"], {"email": "credential"}, 10_000)
    assert registry.get_sample_value("klokke_queue_slices", labels) == 0
    assert registry.get_sample_value("klokke_queue_oldest_age_seconds", labels) == 0
    assert registry.get_sample_value("klokke_lane_parked", {"lane": "email"}) == 1


def test_invented_reasons_stay_bounded() -> None:
    registry = new_registry()
    observer = PrometheusObserver(registry)
    for number in range(REASONS_MAX + 50):
        observer.ended(Channel.PUSH, End.DEAD, f"reason{number}", 1)
    labels = {"channel": "push", "end": "dead", "reason": "other"}
    assert registry.get_sample_value("klokke_deliveries_ended_total", labels) == 50
