"""All maps of a video in one file: what NumPy reads is what the network gives, and nothing half-written stays."""

from __future__ import annotations

import shutil
import tracemalloc

import numpy as np
import pytest
import torch

from cmac_hub.errors import OutputError
from cmac_hub.geometry import over_frame
from cmac_hub.maps_file import writing_maps
from cmac_hub.media import probe
from cmac_hub.moments import Moment, observe
from cmac_hub.outputs import Attention
from cmac_hub.visualizer import Visualizer


def test_every_map_of_every_window_is_there(tiny, clip, tmp_path):
    Visualizer(tiny).save_maps(clip, tmp_path / "maps.npz", hop=1.0)
    with np.load(tmp_path / "maps.npz") as file:
        found = dict(file)
    expected = list(observe(tiny, probe(clip), "joint", hop=1.0, all_maps=True))
    assert found["times"].tolist() == [one.time for one in expected]
    assert found["padded"].tolist() == [one.padded for one in expected]
    assert found["sound_level"] == pytest.approx([one.level for one in expected])
    assert found["agreement"] == pytest.approx([one.agreement for one in expected])
    for name in Attention._fields:
        assert found[name].dtype == np.float32
        assert np.array_equal(found[name], torch.stack([getattr(one.attention, name) for one in expected]).numpy())
    assert found["frame_size"].tolist() == [96, 64] and tuple(found["map_shift"]) == tiny.config.visual.map_shift
    heats = Visualizer(tiny).heatmaps(clip, map="joint", hop=1.0)
    for values, (_, heat) in zip(found["visual_joint"], heats, strict=True):
        over = over_frame(values.mean(0), *found["frame_size"].tolist(), tuple(found["map_shift"]))
        assert over.clip(0, 1) == pytest.approx(heat, abs=1e-6)


def test_a_picture_without_sound_has_its_prediction(tiny, video_only, tmp_path):
    Visualizer(tiny).save_maps(video_only, tmp_path / "maps.npz")
    with np.load(tmp_path / "maps.npz") as file:
        assert set(file) == {"times", "padded", "visual_prediction", "frame_size", "map_shift"}
        assert len(file["times"]) == len(file["visual_prediction"]) > 1


def test_memory_stays_flat_and_a_failure_leaves_nothing(clip, tmp_path):
    info, maps = probe(clip), Attention(visual_joint=torch.rand(4, 14, 14))

    def moments(count):
        return (Moment(float(i), np.zeros((14, 14)), None, None, 0.1, False, maps) for i in range(count))

    tracemalloc.start()
    with writing_maps(tmp_path / "hour.npz", info) as writer:
        for moment in moments(5000):
            writer.add(moment)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert (tmp_path / "hour.npz").stat().st_size > 5000 * 4 * 14 * 14 * 4 and peak < 3e6
    before = (tmp_path / "hour.npz").read_bytes()
    with pytest.raises(OutputError, match="exists already"), writing_maps(tmp_path / "hour.npz", info):
        pass
    with pytest.raises(KeyError), writing_maps(tmp_path / "hour.npz", info, overwrite=True) as writer:
        for moment in moments(3):
            writer.add(moment)
        raise KeyError
    assert (tmp_path / "hour.npz").read_bytes() == before
    assert [one.name for one in tmp_path.iterdir()] == ["hour.npz"]


def test_an_input_is_never_the_output(tiny, clip, tmp_path):
    named = tmp_path / "clip.npz"
    shutil.copy(clip, named)
    with pytest.raises(OutputError, match="input itself"):
        Visualizer(tiny).save_maps(named, named, overwrite=True)
