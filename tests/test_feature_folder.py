"""A folder of `cmac features` as a data set."""

from __future__ import annotations

import shutil

import pytest
import torch
from torch.utils.data import DataLoader

import cmac_hub
from cmac_hub.cli import main
from cmac_hub.errors import MediaError
from cmac_hub.feature_folder import FeaturesDataset
from cmac_hub.features import Features


@pytest.fixture(scope="module")
def folder(clip, audio_only, model_folder, tmp_path_factory):
    root = tmp_path_factory.mktemp("dataset")
    (root / "in" / "sub").mkdir(parents=True)
    shutil.copy(clip, root / "in" / "é, a.mp4")
    shutil.copy(audio_only, root / "in" / "sub" / "b.m4a")
    arguments = ["features", str(root / "in"), "-o", str(root / "out"), "--model", str(model_folder)]
    assert main(arguments) == 0
    return root / "out"


def test_items_are_the_files_of_the_index(folder):
    items = cmac_hub.FeaturesDataset(folder)
    assert items.paths == ["sub/b.m4a", "é, a.mp4"] and len(items) == 2
    for path, features in (items[0], items[1]):
        expected = Features.load(folder / f"{path}.safetensors")
        assert features.to_dict().keys() == expected.to_dict().keys()
        assert all(torch.equal(value, expected.to_dict()[name]) for name, value in features.to_dict().items())
    assert items[0].features.visual is None and items[-1].features.visual is not None
    with pytest.raises(IndexError):
        items[2]


def test_a_loader_with_workers_reads_it(folder):
    items = FeaturesDataset(str(folder))
    found = list(DataLoader(items, batch_size=None, num_workers=1))
    assert [path for path, _ in found] == items.paths
    assert torch.equal(found[1].features.visual, items[1].features.visual)


def test_what_is_missing_or_broken_is_named(folder, tmp_path):
    with pytest.raises(MediaError, match=r"index\.csv cannot be read .*cmac features VIDEOS -o FOLDER"):
        FeaturesDataset(tmp_path)
    (tmp_path / "index.csv").write_text("name,label\na,b\n")
    with pytest.raises(MediaError, match="has the columns name, label; expected are path, features"):
        FeaturesDataset(tmp_path)
    (tmp_path / "index.csv").write_text('path,features\n"open')
    assert len(FeaturesDataset(tmp_path)) <= 1, "a table is read as far as it is one"
    shutil.copytree(folder, tmp_path / "copy")
    items = FeaturesDataset(tmp_path / "copy")
    (tmp_path / "copy" / "sub" / "b.m4a.safetensors").write_bytes(b"torn")
    with pytest.raises(MediaError, match=r"b\.m4a\.safetensors is no features file"):
        items[0]
    assert len(items[1].features.times) == 3
