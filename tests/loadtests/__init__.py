"""Tests of the load-test room: population model, oracle, demo."""
