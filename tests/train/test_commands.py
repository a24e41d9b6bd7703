"""Commands that make something, from their arguments to their files, where no other test runs them whole."""

import copy
import dataclasses
from pathlib import Path

from cmac_hub.model import CMAC
from cmac_hub.train.__main__ import main
from cmac_hub.train.checkpoint import read_checkpoint
from cmac_hub.train.videos.manifest import Manifest


def test_a_run_from_given_weights_tells_of_them_and_is_released(tiny, tiny_file, tmp_path, monkeypatch, capsys):
    given = copy.deepcopy(tiny)
    given.config = dataclasses.replace(tiny.config, training={"note": "given", "clips": 5})
    given.save_pretrained(tmp_path / "given")
    run, out = tmp_path / "run", tmp_path / "out"
    # At a learning rate of next to nothing the weights that are released must be those that were given.
    changes = [
        f"architecture={tiny_file}",
        "batch=4",
        "steps=1",
        "workers=0",
        "learning_rate=1e-30",
        "frozen_batch_norm=true",
    ]
    command = ["pretrain", "--from", str(tmp_path / "given"), "-o", str(run), "--device", "cpu", "--set", *changes]
    assert main(command) == 0
    assert read_checkpoint(run)["before"] == {"note": "given", "clips": 5}
    assert main(["release", str(run), "-o", str(out), "--note", "released", "--device", "cpu"]) == 0
    assert str(out) in capsys.readouterr().out
    released = CMAC.from_pretrained(str(out))
    assert released.config.training["note"] == "released" and released.config.training["clips"] == 5 + 4
    for name, value in tiny.named_parameters():
        assert value.allclose(released.get_parameter(name), rtol=0, atol=1e-20), name


def test_an_index_of_good_videos_ends_well_and_says_how_many(clip, tmp_path, capsys):
    assert main(["index", str(clip.parent), "-o", str(tmp_path / "m.csv"), "--workers", "1"]) == 0
    assert f"{tmp_path / 'm.csv'}: 1 of 1 videos" in capsys.readouterr().out
    assert [Path(segment.path).name for segment in Manifest.load(tmp_path / "m.csv")] == [clip.name]
