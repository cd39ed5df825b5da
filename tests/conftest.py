"""Shared fixtures: the bundled store, started once a session, emptied for each test."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from queueing import embedded
from queueing.link import Link


@pytest.fixture(scope="session")
def store_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A real store for the whole session. Syncing is off: these tests do not cut the power."""
    with embedded.running(Path(tmp_path_factory.mktemp("store")), appendfsync="no") as url:
        yield url


@pytest.fixture
def link(store_url: str) -> Iterator[Link]:
    """An empty store."""
    connected = Link(store_url)
    connected.run_now([("FLUSHALL",)])
    yield connected
    connected.close()
