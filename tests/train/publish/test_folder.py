"""What a release holds beside config and weights."""

import dataclasses
import json
import subprocess

import pytest
import torch

from cmac_hub.errors import CheckpointError, CMACError
from cmac_hub.hub import build, checkpoint_hash
from cmac_hub.model import CMAC
from cmac_hub.train.publish import example
from cmac_hub.train.publish.example import EXPECTED, INPUT, check_example, write_example
from cmac_hub.train.publish.folder import CARD, FILES, SUMS, check_folder, write_folder
from cmac_hub.train.publish.licenses import code_license, weights_license


def report(model, path, **changes):
    """What `python -m cmac_hub.train probe -o` writes."""
    table = "| features | mean |\n| --- | --- |\n| CMAC | 61.8 +- 0.8 |"
    found = {"measure": "probe", "on": "esc50", "model": "runs/x", "checkpoint": checkpoint_hash(model)}
    path.write_text(json.dumps({**found, "training": {}, "environment": {}, "table": table, "result": {}, **changes}))
    return path


@pytest.mark.parametrize("missing", [[], ["visual", "attention"], ["audio", "attention"]])
def test_a_release_is_whole_and_gives_what_its_example_expects(tiny_config, tmp_path, missing):
    torch.manual_seed(0)
    model = CMAC(dataclasses.replace(tiny_config, **dict.fromkeys(missing))).eval()
    write_folder(model, tmp_path, half=True)
    assert sorted(str(p.relative_to(tmp_path)) for p in tmp_path.rglob("*") if p.is_file()) == sorted([*FILES, SUMS])
    subprocess.run(["sha256sum", "-c", "--quiet", SUMS], cwd=tmp_path, check=True)
    check_folder(tmp_path)
    released = build(tmp_path, CMAC)
    assert check_example(released, tmp_path) < 1e-6
    with torch.no_grad():
        next(released.parameters()).mul_(1.1)
    with pytest.raises(CheckpointError, match="gives other features for its example than it should"):
        check_example(released, tmp_path)
    (tmp_path / EXPECTED).write_bytes(b"")
    with pytest.raises(CheckpointError, match="is not what SHA256SUMS says"):
        check_folder(tmp_path)


@pytest.mark.parametrize("error", [RuntimeError, OSError, None])
def test_an_example_that_cannot_be_read_is_one_line(tiny, tmp_path, monkeypatch, error):
    """PyTorch opens the file once more, and what fails there is a RuntimeError."""
    write_example(tiny, tmp_path)
    if error is None:
        (tmp_path / INPUT).write_bytes((tmp_path / INPUT).read_bytes()[:50])
    else:

        def fail(*_):
            raise error("unable to open file: Permission denied\nand a second line")

        monkeypatch.setattr(example, "safe_open", fail)
    with pytest.raises(CheckpointError, match=r"input\.safetensors cannot be read \(.*\)$"):
        check_example(tiny, tmp_path)


def test_the_figures_of_the_card_are_those_of_its_reports(tiny, tmp_path):
    folder = tmp_path / "out"
    write_folder(tiny, folder)
    assert "None were measured." in (folder / CARD).read_text()
    write_folder(tiny, folder, reports=[report(tiny, tmp_path / "esc50.json")], repository="owner/tiny")
    card = (folder / CARD).read_text()
    assert "| CMAC | 61.8 +- 0.8 |" in card and "### ESC-50, linear classifier" in card
    assert 'load_cmac("owner/tiny")' in card and "From `esc50.json`" in card
    with pytest.raises(CMACError, match="measured other weights"):
        write_folder(tiny, folder, reports=[report(tiny, tmp_path / "other.json", checkpoint="0" * 12)])
    (tmp_path / "none.json").write_text("{}")
    with pytest.raises(CMACError, match="is no result of localize"):
        write_folder(tiny, folder, reports=[tmp_path / "none.json"])
    assert (folder / CARD).read_text() == card


def test_half_precision_is_measured_as_it_is_released(tiny, tmp_path):
    write_folder(tiny, tmp_path / "half", half=True)
    released = build(tmp_path / "half", CMAC)
    assert checkpoint_hash(released) != checkpoint_hash(tiny)
    write_folder(tiny, tmp_path / "half", half=True, reports=[report(released, tmp_path / "esc50.json")])
    assert "61.8" in (tmp_path / "half" / CARD).read_text()


def test_a_figure_without_a_report_is_refused(tiny, tmp_path):
    folder, given = tmp_path / "out", report(tiny, tmp_path / "esc50.json")
    folder.mkdir()
    mine = (
        "---\nlicense: mit\nmodel-index:\n- value: 61.8\n---\nMine, CC BY 4.0\n| ESC-50 | 61.8 |\n| size | 6.69 M |\n"
    )
    (folder / CARD).write_text(mine)
    with pytest.raises(CMACError, match=r"has the figure 61\.8, which no report has; give the evaluation's --report"):
        write_folder(tiny, folder)
    assert not (folder / "config.json").exists(), "nothing was written"
    write_folder(tiny, folder, reports=[given])
    assert (folder / CARD).read_text() == mine, "a card of one's own is kept"
    (folder / CARD).write_text(mine + "| UrbanSound8K | **64.6** |\n")
    with pytest.raises(CMACError, match=r"has the figure 64\.6"):
        write_folder(tiny, folder, reports=[given])


def test_both_licenses(tiny, tmp_path):
    assert "Apache License" in code_license() and weights_license("apache-2.0") == code_license()
    text = weights_license("cc-by-nc-4.0")
    assert "Creative Commons Attribution-NonCommercial 4.0 International" in text
    assert "https://creativecommons.org/licenses/by-nc/4.0/legalcode" in text
    for unknown in ("mine", "cc-4.0", "cc-by-nc-9.0", "cc-xx-4.0", ""):
        with pytest.raises(CMACError, match="give --license-file FILE"):
            weights_license(unknown)
    (tmp_path / "LICENSE.mine").write_text("do as you like")
    assert weights_license("mine", tmp_path / "LICENSE.mine") == "do as you like"
    with pytest.raises(CMACError, match="cannot be read"):
        weights_license("mine", tmp_path / "none")
