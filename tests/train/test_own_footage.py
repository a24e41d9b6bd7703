"""Going on from a trained network with videos of one's own."""

import csv

import numpy as np
import pytest
import torch
from making import tone, write_media

from cmac_hub.errors import CMACError
from cmac_hub.model import CMAC
from cmac_hub.train import own_footage
from cmac_hub.train.__main__ import main
from cmac_hub.train.own_footage import OwnScores, finetune, measure, split, usable
from cmac_hub.train.recipe import RecipeError, load_recipe
from cmac_hub.train.videos.manifest import Manifest, Segment

TIMES = np.arange(20) / 10


def segments(count, per_group=1):
    return [Segment(f"/v/{i}.mp4", 0.0, 3.0, "", f"g{i // per_group}", i) for i in range(count)]


@pytest.fixture(scope="module")
def videos(tmp_path_factory):
    """Twelve clips whose pitch differs, one without sound, and their manifest."""
    folder = tmp_path_factory.mktemp("own")
    rows = []
    for i in range(12):
        write_media(folder / f"{i:02d}.mp4", times=TIMES, sound=tone(2, hertz=200 + 100 * i))
        rows.append(f"{i:02d}.mp4,0,2,,")
    write_media(folder / "mute.mp4", times=TIMES)
    (folder / "broken.mp4").write_bytes(b"no video")
    rows += ["mute.mp4,0,2,,", "broken.mp4,0,2,,"]
    (folder / "manifest.csv").write_text("path,start,end,label,group\n" + "\n".join(rows) + "\n")
    return folder


def test_groups_are_held_out_whole_and_the_same_each_time():
    training, held = split(segments(40, per_group=2), 0.2)
    assert len(held) == 8 and len(training) == 32
    assert not {s.group for s in held} & {s.group for s in training}
    assert split(segments(40, per_group=2)[::-1], 0.2)[1][0].group in {s.group for s in held}
    grown = {s.group for s in split(segments(42, per_group=2), 0.2)[1]}
    assert len(grown - {s.group for s in held}) <= 1, "one more video moves few others"


def test_videos_without_picture_or_sound_are_left_out_and_counted(videos, capsys):
    found = usable(Manifest.load(videos / "manifest.csv"))
    assert len(found) == 12
    assert "1 without picture or sound, 1 cannot be read of 14 videos are left out" in capsys.readouterr().err


def test_too_few_videos_are_refused(videos, tmp_path):
    few = tmp_path / "few.csv"
    few.write_text("path,start,end\n" + "".join(f"{videos}/{i:02d}.mp4,0,2\n" for i in range(9)))
    with pytest.raises(CMACError, match="9 of 9 videos have picture and sound; give at least 10"):
        usable(Manifest.load(few))


@torch.inference_mode()
def test_scores_are_those_of_an_obvious_loop(tiny, videos):
    held = [Segment(str(videos / f"{i:02d}.mp4"), 0.0, 2.0, "", "", i) for i in range(4)]
    found = measure(tiny, held)
    windows = [tiny.extract_features(s.path, window=1.0, hop=0.5) for s in held]
    visual = torch.stack([one.visual_embedding[1] for one in windows])
    audio = torch.stack([one.audio_embedding[1] for one in windows])
    reciprocal, first = [], []
    for queries, gallery in ((audio, visual), (visual, audio)):
        for i in range(4):
            better = sum(float(queries[i] @ gallery[j]) >= float(queries[i] @ gallery[i]) for j in range(4))
            reciprocal.append(1 / better)
            first.append(better == 1)
    assert found.videos == 4 and found.recall_5 == 1.0
    assert found.mean_reciprocal_rank == pytest.approx(sum(reciprocal) / 8, abs=1e-6)
    assert found.recall_1 == pytest.approx(sum(first) / 8)


@pytest.mark.parametrize("better", [True, False])
def test_the_better_network_is_kept(tiny, tiny_file, videos, tmp_path, monkeypatch, better, capsys):
    ranks = iter((0.5, 0.6 if better else 0.5))
    monkeypatch.setattr(own_footage, "measure", lambda *_: OwnScores(3, 0.1, 0.5, next(ranks), 0.7, 0.1))
    tiny.save_pretrained(tmp_path / "start")
    run = tmp_path / "run"
    data = ["--data", str(videos / "manifest.csv"), "--from", str(tmp_path / "start")]
    small = [f"architecture={tiny_file}", "cached_pairs=0", "steps=2", "batch=4", "workers=0", "warmup_steps=1"]
    small += ["frames=4", "scales=1"]
    code = main(["pretrain", "--recipe", "finetune_own", *data, "-o", str(run), "--device", "cpu", "--set", *small])
    out = capsys.readouterr().out
    assert code == 0 and ("new network is kept" if better else "you began with is kept") in out
    assert out.splitlines()[-1] == str(run / "released")
    assert "load_cmac(" in (run / "released" / "README.md").read_text()
    kept = CMAC.from_pretrained(run / "released")
    same = all(torch.equal(value, kept.state_dict()[name]) for name, value in tiny.state_dict().items())
    assert same is not better and kept.config.display == tiny.config.display
    assert (kept.config.training.get("steps") == 2) is better
    assert (kept.config.visual.frames, kept.config.attention.scales) == ((4, 1) if better else (8, 2))
    parts = ((run / f"{name}.csv").read_text().splitlines() for name in ("training", "held_out"))
    trained, held = ([row["path"] for row in csv.DictReader(lines)] for lines in parts)
    assert len(trained) == 10 and len(held) == 2 and not set(trained) & set(held)


def test_a_run_that_stands_there_keeps_its_split(tiny, tiny_file, videos, tmp_path, monkeypatch):
    monkeypatch.setattr(own_footage, "measure", lambda *_: OwnScores(3, 0.1, 0.5, 0.5, 0.7, 0.1))
    recipe = load_recipe("finetune_own", architecture=tiny_file, cached_pairs=0, steps=2, batch=4, workers=0)
    run, how = tmp_path / "run", {"initial": tiny}
    first = finetune(recipe, videos / "manifest.csv", run, **how)
    assert finetune(recipe, videos / "manifest.csv", run, **how, resume=True) == first
    kept = (run / "held_out.csv").read_bytes()
    fewer = tmp_path / "fewer.csv"
    fewer.write_text("path,start,end\n" + "".join(f"{videos}/{i:02d}.mp4,0,2\n" for i in range(2, 12)))
    with pytest.raises(CMACError, match="holds a run; add --resume"):
        finetune(recipe, fewer, run, **how)
    with pytest.raises(CMACError, match="began with other videos than"):
        finetune(recipe, fewer, run, **how, resume=True)
    assert (run / "held_out.csv").read_bytes() == kept


def test_what_is_missing_is_named(tiny, videos, tmp_path):
    recipe = own_footage.Recipe(name="own", held_out=0.2)
    with pytest.raises(RecipeError, match="say --from cmac-lite"):
        finetune(recipe, videos / "manifest.csv", tmp_path / "run", initial=None)
    with pytest.raises(RecipeError, match=r"--data manifest\.csv"):
        finetune(recipe, None, tmp_path / "run", initial=tiny)
