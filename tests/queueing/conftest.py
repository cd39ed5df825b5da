"""The work store on an empty store."""

from __future__ import annotations

import pytest

from queueing.link import Link
from queueing.work import StoreWork


@pytest.fixture
def work(link: Link) -> StoreWork:
    return StoreWork(link)
