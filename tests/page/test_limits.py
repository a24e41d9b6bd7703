"""Clips that the page takes, and the lines about those that it does not."""

import numpy as np
import pytest
from making import tone, write_media

from cmac_hub.errors import MediaError
from cmac_hub.page import limits
from cmac_hub.page.limits import MOST_BYTES, check_clip


def test_a_clip_is_taken(clip):
    assert check_clip(clip).duration == pytest.approx(3.0, abs=0.1)


def test_what_is_not_taken_is_one_line(clip, audio_only, tmp_path, monkeypatch):
    large, broken = tmp_path / "large.mp4", tmp_path / "broken.mp4"
    with large.open("wb") as file:
        file.truncate(MOST_BYTES + 2**20)
    broken.write_text("no video")
    monkeypatch.setattr(limits, "MOST_SECONDS", 2.0)
    for path, line in (
        (large, "has 201 MB; this page takes 200"),
        (broken, "is no media file"),
        (audio_only, "has no picture"),
        (clip, "lasts 3 s or more; this page takes 2"),
        (tmp_path / "gone.mp4", "is no longer here"),
    ):
        with pytest.raises(MediaError, match=line) as caught:
            check_clip(path)
        assert "\n" not in str(caught.value)


def test_the_length_is_that_of_the_packets_where_the_container_tells_none(tmp_path):
    path = write_media(tmp_path / "long.ts", times=np.arange(124) / 2, size=(32, 32), sound=tone(62.0))
    with pytest.raises(MediaError, match="this page takes 60"):
        check_clip(path)
