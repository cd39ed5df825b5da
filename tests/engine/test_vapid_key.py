"""`./klokke vapid`: makes the key once, and says afterwards which it is."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from channels.webpush.vapid import VapidToken
from engine.vapid_key import KeyFileFaulty, read_or_make


def test_a_key_is_made_once_for_the_owner_alone_and_is_one_that_the_lane_takes(tmp_path: Path) -> None:
    path = tmp_path / "vapid.pem"
    made, public = read_or_make(path)
    content = path.read_bytes()
    assert made
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert read_or_make(path) == (False, public)
    assert path.read_bytes() == content
    assert VapidToken(content, "https://push.example", "mailto:a@b.dk").application_server_key == public


def test_a_file_that_holds_something_else_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "vapid.pem"
    path.write_text("my password")
    with pytest.raises(KeyFileFaulty) as caught:
        read_or_make(path)
    assert "password" not in str(caught.value)
    assert path.read_text() == "my password"
