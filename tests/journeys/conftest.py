"""The directory that the engine's journeys run on."""

from __future__ import annotations

import pytest

from engine.ports import Directory
from queueing.directory import StoreDirectory
from queueing.link import Link
from tests.journeys.engine_world import World


@pytest.fixture
def directory(link: Link) -> Directory:
    return StoreDirectory(link)


@pytest.fixture
def world(link: Link, directory: Directory) -> World:
    return World(link, directory)
