"""When anybody takes the urgent work that one process is kept free for."""

from __future__ import annotations

import pytest

from engine.rules.helping import HELP_AFTER_SECONDS, HELP_SLICES_MIN, is_help_needed


@pytest.mark.parametrize(
    ("slices", "waited_seconds", "is_needed"),
    [
        (0, 0.0, False),
        (0, 60.0, False),
        (1, 0.0, False),
        (HELP_SLICES_MIN - 1, HELP_AFTER_SECONDS - 0.01, False),
        (HELP_SLICES_MIN, 0.0, True),  # a national emergency
        (1, HELP_AFTER_SECONDS, True),  # the process that should have it died
    ],
)
def test_help_is_needed_for_much_work_or_for_work_that_nobody_took(
    slices: int, waited_seconds: float, is_needed: bool
) -> None:
    assert is_help_needed(slices, waited_seconds) is is_needed
