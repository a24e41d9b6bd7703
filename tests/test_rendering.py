"""How a video is decoded to be drawn: once where its frames can wait in memory, and the same is drawn either way."""

from __future__ import annotations

import threading
import time
from dataclasses import replace

import numpy as np
import pytest
from counting import counted
from making import tone, write_media

from cmac_hub import rendering
from cmac_hub.media import Tee, probe
from cmac_hub.rendering import BATCH, decoding_for
from cmac_hub.visualizer import HOP, Visualizer


@pytest.fixture(scope="module")
def visualizer(tiny):
    return Visualizer(tiny)


def size_of(info, **how):
    found, size = decoding_for(replace(info, **how), 1.0, HOP, None)
    return size, found._room > 0


def test_large_and_many_frames_make_small_batches_and_too_large_ones_two_decodings(clip):
    info = probe(clip)
    assert size_of(info) == (BATCH, True)
    assert size_of(info, width=1280, height=720, frame_rate=30.0) == (6, True)
    assert size_of(info, width=1920, height=1080, frame_rate=30.0) == (2, True)
    assert size_of(info, width=3840, height=2160, frame_rate=60.0) == (BATCH, False)
    assert size_of(info, width=640, height=360, frame_rate=None) == (BATCH, True)
    assert decoding_for(info, 1.0, HOP, 16)[1] == 16
    assert decoding_for(info, 1.0, HOP, 10**6)[0]._room == 0
    for bad in ({"hop": 0.0}, {"window": -1.0}, {"batch_size": 0}, {"batch_size": "8"}):
        with pytest.raises(ValueError, match=next(iter(bad))):
            decoding_for(info, **{"window": 1.0, "hop": HOP, "batch_size": None, **bad})


def test_the_frames_that_wait_are_no_more_than_was_reckoned(visualizer, tmp_path, monkeypatch):
    """One who draws slowly, at the first frame and at one more, lets all others run as far ahead as they can."""
    path = write_media(tmp_path / "a.mp4", times=np.arange(500) / 25, size=(32, 32), sound=tone(20.0))
    picture, waiting, tees = 32 * 32 * 3 // 2, [], []

    class Watched(Tee):
        def __init__(self, *arguments):
            super().__init__(*arguments)
            tees.append(self)

    def slow(at, length):
        if at == 0 or 1.99 < at < 2.03:
            time.sleep(0.4)
            waiting.append(tees[-1]._waiting.qsize())

    monkeypatch.setattr(rendering, "Tee", Watched)
    for size in (1, 3):
        # As much room as leads to this size.
        room = round(((3 * size + 1) * HOP + 1.0 + 2 / 25) * 25 * picture) + 1
        monkeypatch.setattr(rendering, "ROOM", room)
        with counted() as work:
            visualizer.render(path, tmp_path / f"{size}.mp4", progress=slow)
        assert work.decoded == 500
        assert 0 < max(waiting) * picture <= room
        waiting.clear()


def render_twice(visualizer, path, tmp_path, monkeypatch, **how):
    """Peaks and bytes of the output, of one decoding and of two."""
    found = []
    for room in (rendering.ROOM, 0):
        monkeypatch.setattr(rendering, "ROOM", room)
        out = tmp_path / f"{path.stem}{room}.mp4"
        with counted() as work:
            peaks = visualizer.render(path, out, batch_size=BATCH, **how)
        found.append((peaks, out.read_bytes(), work.decoded))
    monkeypatch.undo()
    return found


@pytest.mark.parametrize("layout", ["overlay", "panel"])
def test_the_same_is_drawn_after_one_decoding_and_after_two(visualizer, clip, tmp_path, monkeypatch, layout):
    (peaks, drawn, frames), (other_peaks, other, twice) = render_twice(
        visualizer, clip, tmp_path, monkeypatch, layout=layout
    )
    assert peaks == other_peaks and drawn == other
    assert (frames, twice) == (75, 150)


def test_the_same_is_drawn_of_odd_files(visualizer, shared, tmp_path, monkeypatch):
    """Variable rate, turned, ten bits, alpha, a picture without sound."""
    for name in ("var_fps_video.mp4", "video_90.mov", "h264_10bits.mp4", "transparent.webm", "media3.wmv"):
        (peaks, drawn, frames), (other_peaks, other, twice) = render_twice(
            visualizer, shared / "formats" / name, tmp_path, monkeypatch, map="prediction"
        )
        assert peaks == other_peaks and drawn == other and twice == 2 * frames, name


def test_odd_stamps_and_streams_of_different_lengths(visualizer, tmp_path, monkeypatch):
    """Slides, frames in bursts, pictures that start late and go on after the sound, and sound that goes on."""
    cases = {
        "slides": {"times": [0.0, 3.9], "sound": tone(4.0)},
        "bursts": {"times": np.concatenate([np.arange(60) / 120, 3 + np.arange(60) / 120]), "sound": tone(4.0)},
        "late": {"times": 2.5 + np.arange(50) / 25, "sound": tone(2.0)},
        "long": {"times": np.arange(50) / 25, "sound": tone(5.0)},
    }
    for name, how in cases.items():
        path = write_media(tmp_path / f"{name}.mkv", **how)
        (peaks, drawn, _), (other_peaks, other, _) = render_twice(visualizer, path, tmp_path, monkeypatch)
        assert peaks == other_peaks and drawn == other, name


@pytest.mark.parametrize("room", [0, 100_000, rendering.ROOM])
def test_one_who_ends_midway_leaves_no_thread_and_no_file(visualizer, clip, tmp_path, monkeypatch, room):
    def ending(at, length):
        if at > 1:
            raise KeyboardInterrupt

    before = threading.active_count()
    monkeypatch.setattr(rendering, "ROOM", room)
    with pytest.raises(KeyboardInterrupt):
        visualizer.render(clip, tmp_path / "out.mp4", batch_size=1, progress=ending)
    assert threading.active_count() == before and not list(tmp_path.iterdir())


@pytest.mark.parametrize("room", [rendering.ROOM, 0])
def test_a_network_that_fails_midway_leaves_no_thread_and_no_file(visualizer, clip, tmp_path, monkeypatch, room):
    monkeypatch.setattr(rendering, "ROOM", room)
    compare, calls = type(visualizer.model).compare_maps, []

    def failing(*given, **how):
        calls.append(None)
        if len(calls) == 2:
            raise RuntimeError("out of memory")
        return compare(*given, **how)

    monkeypatch.setattr(type(visualizer.model), "compare_maps", failing)
    before = threading.active_count()
    with pytest.raises(RuntimeError, match="out of memory"):
        visualizer.render(clip, tmp_path / "out.mp4", batch_size=2)
    assert threading.active_count() == before and not list(tmp_path.iterdir())
