"""A network that others trained, under the same commands: within its modalities, and a refusal beyond them."""

import dataclasses

import pytest
import torch

from cmac_hub.model import CMAC
from cmac_hub.train.__main__ import main
from cmac_hub.train.published.origins import ORIGINS


@pytest.fixture
def small(monkeypatch, tiny_config, tiny, tmp_path):
    """A file of `gdt` whose network is as small as the tests'."""
    config = dataclasses.replace(tiny_config, name="gdt", attention=None)
    names = ((r"(visual_encoder|audio_encoder)\.(.+)", r"\1.\2"), (r".+", ""))
    monkeypatch.setitem(ORIGINS, "gdt", dataclasses.replace(ORIGINS["gdt"], config=config, names=names))
    torch.save(tiny.state_dict(), tmp_path / "gdt.pth")
    return tmp_path / "gdt.pth"


def test_a_converted_folder_runs_within_its_modalities_and_the_rest_refuses(
    small, tiny, tmp_path, clip, shots, own_folder, sounds, ucf, capsys
):
    folder = str(tmp_path / "gdt")
    assert main(["convert", "gdt", str(small), "-o", folder]) == 0
    said = capsys.readouterr()
    assert said.out == f"{folder}\n" and "pre-emphasis" in said.err and said.err.count("\n") == 1
    model = CMAC.from_pretrained(folder)
    found, own = model.extract_features(clip), tiny.extract_features(clip)
    torch.testing.assert_close(found.visual, own.visual)
    torch.testing.assert_close(found.audio, own.audio)
    assert found.visual_embedding is None
    actions = ["--data", str(ucf / "UCF-101"), "--lists", str(ucf / "lists"), "--model", folder]
    for command, row in (
        (["probe", "--on", "csv", "--data", str(sounds), "--model", folder], "| CMAC | "),
        (["retrieve", "--on", "ucf101", "--workers", "1", *actions], "| CMAC | "),
        (["finetune", "--epochs", "1", "--workers", "1", "-o", str(tmp_path / "run"), *actions], "| CMAC | "),
    ):
        assert main(command) == 0, command
        assert row in capsys.readouterr().out
    for command in (
        ["localize", "--on", "scenes", "--scenes", "2", "--data", str(own_folder)],
        ["localize", "--on", "clips", "--data", str(shots)],
        ["retrieve", "--on", "scenes", "--data", str(own_folder)],
        ["retrieve", "--on", "clips", "--data", str(shots)],
    ):
        assert main([*command, "--model", folder]) == 1, command
        error = capsys.readouterr().err.strip().splitlines()
        assert "needs both encoders and the attention" in error[-1], (command, error)
