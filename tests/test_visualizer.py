"""From a video to an overlay: what must stay the same, what each layout shows, and when nothing may be claimed."""

from __future__ import annotations

from dataclasses import replace
from typing import get_args

import av
import numpy as np
import pytest
import torch
from making import tone, write_media

from cmac_hub.config import HEARING, Map, Scale
from cmac_hub.errors import ArgumentError, MediaError, OutputError
from cmac_hub.geometry import over_frame
from cmac_hub.media import probe, read_frames, windows
from cmac_hub.media.frames import decode_frames
from cmac_hub.model import CMAC
from cmac_hub.visualizer import Visualizer


@pytest.fixture(scope="module")
def visualizer(tiny):
    return Visualizer(tiny)


@pytest.fixture(scope="module")
def half_silent(tmp_path_factory):
    """Four seconds of picture; the tone ends after two."""
    sound = np.concatenate([tone(2.0), np.zeros(32000, np.float32)])
    path = tmp_path_factory.mktemp("media") / "half.mp4"
    return write_media(path, times=np.arange(100) / 25, size=(96, 64), sound=sound)


def frame_times(path):
    return np.array([frame.time for frame in read_frames(path)])


def sound_packets(path):
    with av.open(str(path)) as container:
        return [bytes(packet) for packet in container.demux(audio=0) if packet.size]


@pytest.mark.parametrize(
    ("layout", "size"), [("overlay", (96, 64)), ("side-by-side", (192, 64)), ("panel", (96, 64 + 16))]
)
def test_length_frames_and_sound_stay(visualizer, clip, tmp_path, layout, size):
    out = tmp_path / "out.mp4"
    peaks = visualizer.render(clip, out, layout=layout)
    before, after = probe(clip), probe(out)
    assert (after.width, after.height) == size
    assert frame_times(out) == pytest.approx(frame_times(clip), abs=1e-3)
    assert after.duration == pytest.approx(before.duration, abs=1 / 25)
    assert sound_packets(out) == sound_packets(clip)
    assert [p.name for p in tmp_path.iterdir()] == ["out.mp4"]
    assert all(0 <= p.x <= 96 and 0 <= p.y <= 64 and 0 <= p.score <= 1 for p in peaks)
    assert [p.time for p in peaks] == sorted(p.time for p in peaks)


def test_real_clips_keep_length_frames_and_sound(visualizer, shared, tmp_path):
    clips = sorted((shared / "clips").rglob("*.mp4"))[:3]
    assert clips
    for path in clips:
        out = tmp_path / path.name
        visualizer.render(path, out)
        before, after = probe(path), probe(out)
        times = frame_times(path)
        assert frame_times(out) == pytest.approx(times - before.start, abs=2e-3)
        assert after.duration == pytest.approx(before.duration, abs=1.5 / before.frame_rate)
        if before.audio_codec == "aac":
            assert sound_packets(out) == sound_packets(path)


@pytest.mark.parametrize("which", HEARING)
def test_silence_makes_no_claim(visualizer, half_silent, tmp_path, which):
    out = tmp_path / "out.mp4"
    peaks = visualizer.render(half_silent, out, map=which)
    assert [p.audible for p in peaks if p.time < 1.4] == [True] * sum(p.time < 1.4 for p in peaks)
    assert not any(p.audible for p in peaks if p.time > 2.7)
    plain, drawn = list(read_frames(half_silent)), list(read_frames(out))
    # Far from the caption in the lower left corner, a silent frame is the plain one.
    corner = np.s_[:32, 48:]
    for before, after in zip(plain[80:], drawn[80:], strict=True):
        assert np.abs(before.image[corner].astype(int) - after.image[corner]).mean() < 4
        assert np.abs(before.image[40:].astype(int) - after.image[40:]).max() > 60


def test_a_relative_scale_lights_what_an_absolute_one_leaves_dark(visualizer, half_silent, tmp_path, monkeypatch):
    out_of_reach = replace(visualizer.model.config.display, visual_guidance=(1.5, 2.0))
    monkeypatch.setattr(visualizer.model, "config", replace(visualizer.model.config, display=out_of_reach))
    changed = {}
    for scale in ("absolute", "relative"):
        visualizer.render(half_silent, tmp_path / f"{scale}.mp4", map="guidance", scale=scale)
        pairs = zip(read_frames(half_silent), read_frames(tmp_path / f"{scale}.mp4"), strict=True)
        # Far from the caption, see above.
        changed[scale] = [np.abs(a.image[:32].astype(int) - b.image[:32]).max() for a, b in pairs]
    assert max(changed["absolute"]) < 40
    assert min(changed["relative"][:30]) > 60
    assert max(changed["relative"][85:]) < 40, "silence makes no claim on either scale"


def test_the_strip_of_a_slide_show_has_no_holes(visualizer, tmp_path):
    """Two pictures in four seconds, a tone throughout: most moments lie between frames, and all are heard."""
    slides = write_media(tmp_path / "slides.mp4", times=[0.0, 3.9], size=(96, 64), sound=tone(4.0))
    visualizer.render(slides, tmp_path / "out.mp4", layout="panel")
    last = list(read_frames(tmp_path / "out.mp4"))[-1].image[64:]
    # Its three seconds before the cursor, without the seams of the encoder: each column shows the tone.
    assert (last[:, 4:66].max((0, 2)) > 60).all()


def test_heatmaps_are_the_maps_over_the_frame(visualizer, tiny, clip):
    got = list(visualizer.heatmaps(clip, map="prediction", hop=1.0))
    assert [time for time, _ in got][:3] == pytest.approx([0.5, 1.5, 2.5], abs=0.03)
    assert all(heat.shape == (64, 96) and heat.dtype == np.float32 for _, heat in got)
    assert all(heat.min() >= 0 and heat.max() <= 1 for _, heat in got)
    peaks = list(visualizer.locate(clip, map="prediction", hop=1.0))
    for (_, heat), peak in zip(got, peaks, strict=True):
        assert heat[int(peak.y), int(peak.x)] == pytest.approx(heat.max(), abs=0.02)


@pytest.mark.parametrize("which", get_args(Map))
def test_heatmaps_are_the_map_of_the_model_that_was_asked_for_upright(tiny, tmp_path, which):
    attention = replace(tiny.config.attention, strength_weight=0.5)
    mixed = CMAC(replace(tiny.config, attention=attention)).eval()
    mixed.load_state_dict(tiny.state_dict())
    images = np.random.default_rng(0).integers(0, 60, (50, 64, 96, 3)).astype(np.uint8)
    images[:, :24, 64:] += 180
    sound = np.hstack([tone(1.0), tone(1.0, hertz=3000.0)])
    path = write_media(tmp_path / "corner.mp4", times=np.arange(50) / 25, size=(96, 64), images=images, sound=sound)
    cut = list(windows(path, frames=tiny.config.visual.frames, size=32, multiple=8, sample_rate=16000))
    frames, waveforms = (torch.from_numpy(np.stack([getattr(w, n) for w in cut])) for n in ("frames", "waveform"))
    maps = mixed.attend(*mixed.prepare(frames, waveforms))
    wanted = {"guidance": maps.visual_guidance, "prediction": maps.visual_prediction, "joint": maps.visual_joint}[which]
    for one, (_, heat) in zip(wanted, Visualizer(mixed).heatmaps(path, map=which, hop=1.0), strict=True):
        expected = over_frame(one.mean(0).numpy(), 96, 64, tiny.config.visual.map_shift)
        assert heat == pytest.approx(expected.clip(0, 1), abs=1e-5)
        assert np.abs(expected - expected[::-1]).max() > 1e-3, "upside down, it would be another"


def test_peaks_tell_what_is_lit(visualizer, half_silent, monkeypatch):
    """A box where something is lit on the scale that is drawn; `lit` is of the absolute one; silence has neither."""
    maps = [heat for _, heat in visualizer.heatmaps(half_silent, map="guidance")]
    for limits, bright in (((-1.0, 0.01), True), ((1.5, 2.0), False)):
        display = replace(visualizer.model.config.display, visual_guidance=limits)
        monkeypatch.setattr(visualizer.model, "config", replace(visualizer.model.config, display=display))
        for scale in get_args(Scale):
            peaks = list(visualizer.locate(half_silent, map="guidance", scale=scale))
            assert len(peaks) == len(maps) and {p.audible for p in peaks} == {True, False}
            assert [p.lit for p in peaks] == [p.audible and bright for p in peaks]
            assert [p.box is not None for p in peaks] == [p.audible and (bright or scale == "relative") for p in peaks]
            for peak in peaks:
                if peak.box is not None:
                    left, top, right, bottom = peak.box
                    assert 0 <= left <= peak.x <= right <= 96 and 0 <= top <= peak.y <= bottom <= 64


def test_level_and_agreement_of_a_peak_are_those_of_the_features(visualizer, tiny, clip, video_only):
    features = tiny.extract_features(clip, hop=0.5)
    peaks = list(visualizer.locate(clip, hop=0.5))
    cosines = (features.visual_embedding * features.audio_embedding).sum(1)
    assert [p.agreement for p in peaks] == pytest.approx(cosines.tolist(), abs=1e-5)
    assert [p.sound_level for p in peaks] == pytest.approx(features.sound_level.tolist(), abs=1e-6)
    mute = next(visualizer.locate(video_only, map="prediction"))
    assert mute.agreement is None and mute.sound_level is None


def test_batches_change_nothing(visualizer, clip, tmp_path):
    for size in (1, 5, 1000):
        for (_, one), (_, other) in zip(
            visualizer.heatmaps(clip, batch_size=size), visualizer.heatmaps(clip), strict=True
        ):
            assert one == pytest.approx(other, abs=1e-5)
    drawn = visualizer.render(clip, tmp_path / "out.mp4", batch_size=np.int64(3))
    assert [p.score for p in drawn] == pytest.approx([p.score for p in visualizer.locate(clip)], abs=1e-5)
    for bad in (0, -1, 2.5, "8"):
        with pytest.raises(ValueError, match=r"batch_size is .*; it must be a whole number from 1 on"):
            visualizer.heatmaps(clip, batch_size=bad)
    with pytest.raises(ValueError, match="batch_size is 0"):
        visualizer.render(clip, tmp_path / "none.mp4", batch_size=0)
    assert not (tmp_path / "none.mp4").exists()


def test_each_is_given_every_moment_with_the_maps_that_are_asked_for(visualizer, clip, tmp_path):
    for all_maps in (False, True):
        drawn, located = [], []
        out = tmp_path / f"{all_maps}.mp4"
        peaks = visualizer.render(clip, out, map="guidance", each=drawn.append, all_maps=all_maps)
        list(visualizer.locate(clip, map="guidance", each=located.append, all_maps=all_maps))
        assert [m.time for m in drawn] == [m.time for m in located] == [p.time for p in peaks]
        assert {m.attention.visual_guidance is not None for m in drawn + located} == {True}
        for other in ("visual_joint", "visual_prediction"):
            assert {getattr(m.attention, other) is not None for m in drawn + located} == {all_maps}


def test_what_cannot_be_drawn(visualizer, clip, video_only, audio_only, tmp_path):
    out = tmp_path / "out.mp4"
    for which in HEARING:
        with pytest.raises(MediaError, match="--map prediction"):
            visualizer.render(video_only, out, map=which)
    with pytest.raises(MediaError, match="no video stream"):
        visualizer.render(audio_only, out)
    with pytest.raises(ValueError, match="overlay, side-by-side, panel"):
        visualizer.render(clip, out, layout="circle")
    with pytest.raises(ValueError, match="guidance, prediction"):
        visualizer.render(clip, out, map="both")
    with pytest.raises(ValueError, match="scale is 'log'; accepted are absolute, relative"):
        visualizer.render(clip, out, scale="log")
    with pytest.raises(OutputError, match="input itself"):
        visualizer.render(clip, clip, overwrite=True)
    assert not list(tmp_path.iterdir())
    visualizer.render(video_only, out, map="prediction")
    assert len(frame_times(out)) == 50


def test_a_file_that_breaks_midway_leaves_nothing(visualizer, clip, tmp_path, monkeypatch):
    from cmac_hub.media import tee as module

    def breaking(info):
        for index, frame in enumerate(decode_frames(info)):
            if index == 20:
                raise MediaError("the disk was pulled out")
            yield frame

    monkeypatch.setattr(module, "decode_frames", breaking)
    (tmp_path / "out.mp4").write_bytes(b"old")
    with pytest.raises(MediaError, match="pulled out"):
        visualizer.render(clip, tmp_path / "out.mp4", overwrite=True)
    assert (tmp_path / "out.mp4").read_bytes() == b"old"
    assert [p.name for p in tmp_path.iterdir()] == ["out.mp4"]


def test_figure(visualizer, clip, video_only, tmp_path):
    figure = visualizer.figure(clip, 1.5)
    assert len(figure.axes) == 8
    assert [axes.get_title() for axes in figure.axes[:4]] == ["video", *get_args(Map)]
    figure.savefig(tmp_path / "figure.png")
    assert len(visualizer.figure(video_only, 0.0).axes) == 8
    with pytest.raises(MediaError, match=r"no moment 9\.00 s"):
        visualizer.figure(clip, 9.0)


def test_a_figure_has_the_times_of_the_maps(visualizer, tmp_path):
    """The first window's center lies after the end of a very short file; a name with $ is no formula."""
    path = write_media(tmp_path / "win $5_$10.mp4", times=np.arange(6) / 25, sound=tone(0.24))
    time = next(visualizer.locate(path)).time
    figure = visualizer.figure(path, time)
    figure.savefig(tmp_path / "figure.png")
    assert figure.get_suptitle() == f"win $5_$10.mp4, {time:.2f} s"


def test_peaks_go_on_as_long_as_the_sound(visualizer, tmp_path):
    """Two seconds of picture, five of sound: a drawn video tells of the same windows as maps alone."""
    path = write_media(tmp_path / "long.mkv", times=np.arange(50) / 25, size=(96, 64), sound=tone(5.0))
    drawn = visualizer.render(path, tmp_path / "out.mkv")
    assert [p.time for p in drawn] == [p.time for p in visualizer.locate(path)]
    assert drawn[-1].time > 4.3


def test_short_clips_are_padded_and_say_so(visualizer, tmp_path):
    path = write_media(tmp_path / "short.mp4", times=np.arange(6) / 25, sound=tone(0.24))
    peaks = visualizer.render(path, tmp_path / "out.mp4")
    assert peaks[0].padded
    assert len(frame_times(tmp_path / "out.mp4")) == 6


def test_what_is_no_network_path_time_or_maps_file_is_refused(visualizer, clip, tmp_path):
    with pytest.raises(ArgumentError, match="model is a str; give a network"):
        Visualizer("cmac-lite")
    with pytest.raises(ArgumentError, match="the path is a list; give the path of one file"):
        visualizer.locate([clip])
    for time in ("1.0", float("nan"), float("inf")):
        with pytest.raises(ArgumentError, match=r"time is .*; it must be a finite number"):
            visualizer.figure(clip, time)
    with pytest.raises(OutputError, match=r"ends in .npy; maps are a .npz file"):
        visualizer.save_maps(clip, tmp_path / "maps.npy")
