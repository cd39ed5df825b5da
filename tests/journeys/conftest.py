"""The directories that the engine's journeys run on."""

from __future__ import annotations

import pytest

from engine.ports import Directory
from queueing.directory import StoreDirectory
from queueing.link import Link
from tests.journeys.engine_world import World
from tests.journeys.paper_directory import PaperDirectory


@pytest.fixture(params=["paper", "store"])
def directory(request: pytest.FixtureRequest, link: Link) -> Directory:
    """Both implementations of the port: people on paper, and the store's."""
    return PaperDirectory() if request.param == "paper" else StoreDirectory(link)


@pytest.fixture
def world(link: Link, directory: Directory) -> World:
    return World(link, directory)
