"""A small copy gives training what the original gives it."""

from __future__ import annotations

import numpy as np
import pytest
from making import tone, write_media
from PIL import Image

from cmac_hub.demo import KINDS, draw_background, draw_thing
from cmac_hub.errors import CMACError, OutputError
from cmac_hub.media import read_audio, write_audio
from cmac_hub.train.__main__ import main
from cmac_hub.train.evaluate.retrieval import evaluate_shots
from cmac_hub.train.scenes.collected_library import collected_files
from cmac_hub.train.scenes.footage import load_shots
from cmac_hub.train.scenes.library import SAMPLE_RATE
from cmac_hub.train.scenes.pack import pack
from cmac_hub.train.scenes.readers import load_library
from cmac_hub.train.scenes.real_shots import training_shots
from cmac_hub.train.scenes.splits import load_splits


@pytest.fixture
def data(tmp_path):
    root, rng = tmp_path / "data", np.random.default_rng(1)
    for kind in KINDS[:2]:
        (root / "things" / kind).mkdir(parents=True)
        for i in range(8):
            Image.fromarray(draw_thing(kind, rng, 160)).save(root / "things" / kind / f"{i}.png")
            write_media(root / "things" / kind / f"{i}.m4a", sound=tone(1.0, hertz=300 + 50 * i))
    (root / "backgrounds").mkdir()
    for i in range(8):
        Image.fromarray(draw_background(rng, 320, 256)).save(root / "backgrounds" / f"{i}.jpg", quality=95)
    group = next(row.name for row in load_splits().rows("clip_group") if row.split == "train")
    (root / "clips").mkdir()
    write_media(root / "clips" / "a.mkv", times=np.arange(75) / 25, size=(320, 160), sound=tone(3.0))
    (root / "clips" / "clips.csv").write_text(f"file,group,kind\na.mkv,{group},animals\n")
    (root / "clips_more").mkdir()
    write_media(root / "clips_more" / "b.mp4", times=np.arange(75) / 25, size=(160, 320), sound=tone(3.0))
    (root / "clips_more" / "clips_more.csv").write_text(f"file,group,label_source\nb.mp4,{group},by eye; made\n")
    (root / "scenes").mkdir()
    (root / "scenes" / "font.sf2").write_bytes(b"font")
    return root


def test_held_out_shots_that_no_copy_has_are_told_in_one_line(tiny, data):
    with pytest.raises(CMACError, match=r"none of the 0 test shots of .* could be read"):
        evaluate_shots(tiny, data)


def test_the_copy_is_read_as_the_original(data, tmp_path, capsys):
    assert main(["pack", str(data), "--size", "96", "-o", str(tmp_path / "small")]) == 0
    assert "16 picture, 16 sound, 8 background, 2 shot, 1 sound font" in capsys.readouterr().out
    for split in ("train", "validation", "test"):
        one, two = (load_library(root, split, progress=False) for root in (data, tmp_path / "small"))
        for a, b in zip(one.things, two.things, strict=True):
            assert a.name == b.name and len(a.pictures) == len(b.pictures) and a.borrowed == b.borrowed
            for before, after in zip(a.pictures, b.pictures, strict=True):
                assert before.shape == after.shape and np.abs(before.astype(int) - after).max() <= 2
            for sound, again in zip(a.sounds, b.sounds, strict=True):
                assert abs(len(sound.samples) - len(again.samples)) <= SAMPLE_RATE // 20
        assert len(one.backgrounds) == len(two.backgrounds)
    assert [shot.kind for shot in training_shots(tmp_path / "small", "all")] == ["animals", ""]
    for which, count in (("clips", 1), ("original", 1), ("all", 2)):
        befores, afters = (load_shots(root, 64, which, progress=False) for root in (data, tmp_path / "small"))
        assert len(befores) == len(afters) == count, "each keeps its folder and whether its sound was filmed"
        for before, after in zip(befores, afters, strict=True):
            assert before.frames_THWC.shape == after.frames_THWC.shape
            assert np.abs(before.frames_THWC.astype(int) - after.frames_THWC).mean() < 6
    with pytest.raises(OutputError, match="is not empty"):
        pack(data, tmp_path / "small")


def test_splits_and_sizes_make_it_smaller(data, tmp_path):
    pack(data, tmp_path / "all", progress=False)
    pack(data, tmp_path / "some", splits=("train",), size=32, bit_rate=12000, progress=False)
    one, two = (load_library(tmp_path / name, "train", progress=False) for name in ("all", "some"))
    assert [len(thing.pictures) for thing in one.things] == [len(thing.pictures) for thing in two.things]
    sizes = [sum(p.stat().st_size for p in (tmp_path / name).rglob("*") if p.is_file()) for name in ("all", "some")]
    assert sizes[1] < 0.7 * sizes[0]
    assert all(thing.borrowed for thing in load_library(tmp_path / "some", "test", progress=False).things)


def test_sounds_stay_in_place(tmp_path):
    clicks = np.zeros(SAMPLE_RATE * 2, np.float32)
    clicks[[4000, 20000]] = 0.9
    write_audio(tmp_path / "a.opus", clicks, SAMPLE_RATE)
    level = np.abs(read_audio(tmp_path / "a.opus", SAMPLE_RATE))
    assert abs(int(level[:12000].argmax()) - 4000) <= 32 and abs(int(level[12000:].argmax()) + 12000 - 20000) <= 32
    assert (tmp_path / "a.opus").stat().st_size < 12_000
    with pytest.raises(OutputError, match="there is no folder"):
        write_audio(tmp_path / "none" / "a.opus", clicks, SAMPLE_RATE)


def test_the_shared_layout_is_listed_with_its_splits(shared):
    files = collected_files(shared)
    assert {file.kind for file in files} == {"picture", "sound", "silent", "background"}
    assert all(file.path.is_file() for file in files[::50])
    held = {row.name for row in load_splits().rows("thing") if row.split == "test"}
    assert {file.split for file in files if file.kind == "picture" and file.thing in held} == {"test"}
