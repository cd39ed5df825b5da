"""The directory that the engine's journeys run on."""

from __future__ import annotations

import pytest

from engine.ports import Directory
from queueing.link import Link
from tests.journeys.engine_world import World
from tests.journeys.paper_directory import PaperDirectory


@pytest.fixture
def directory(link: Link) -> Directory:
    return PaperDirectory()


@pytest.fixture
def world(link: Link, directory: Directory) -> World:
    return World(link, directory)
