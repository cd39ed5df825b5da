"""The bundled store: one server a folder."""

from __future__ import annotations

from pathlib import Path

import pytest

from engine.records.errors import StoreBusy
from queueing import embedded
from queueing.link import Link


def test_a_folder_has_one_server_and_is_free_again_when_that_is_gone(tmp_path: Path) -> None:
    first = embedded.start(tmp_path)
    Link(embedded.url(tmp_path)).run_now([("SET", "whose", "first")])
    with pytest.raises(StoreBusy, match=r"a store.folder of its own"):
        embedded.spawn(tmp_path, patience_seconds=0.1)
    first.kill()
    first.wait()
    with embedded.running(tmp_path) as url:
        assert Link(url).run_now([("GET", "whose")]) == [b"first"]
