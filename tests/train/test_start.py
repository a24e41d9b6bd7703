import dataclasses
import json
from pathlib import Path

import pytest
import torch

from cmac_hub.errors import CMACError
from cmac_hub.hub import checkpoint_hash
from cmac_hub.model import CMAC
from cmac_hub.train.checkpoint import read_checkpoint
from cmac_hub.train.networks import inherited_license, load_checkpoint
from cmac_hub.train.pretrain import pretrain
from cmac_hub.train.release import release
from cmac_hub.train.start import Start, begin_with_parts, check_start


def train(recipe, run, **how):
    return pretrain(recipe, None, run, progress=False, **how)


def test_a_start_noted_by_another_version_is_read(tmp_path, tiny):
    (tmp_path / "start.json").write_text(json.dumps({"weights": checkpoint_hash(tiny), "before": {}, "videos": 7}))
    assert check_start(tmp_path, tiny, resume=True) == Start(checkpoint_hash(tiny), {}, None)


def test_a_new_run_begins_with_what_it_is_given(tmp_path, tiny):
    assert check_start(tmp_path, None, resume=False) == Start("", {}, None)
    assert check_start(tmp_path, tiny, resume=False).weights == checkpoint_hash(tiny)


def test_a_run_begins_with_given_weights_of_its_architecture(recipe, tiny_config, tmp_path):
    still = recipe.replace(learning_rate=1e-30, steps=1, frozen_batch_norm=True)
    first = train(recipe, tmp_path / "first")
    first.config = dataclasses.replace(first.config, training={"clips": 5})
    second = train(still, tmp_path / "second", initial=first)
    assert read_checkpoint(tmp_path / "second")["before"] == {"clips": 5}
    for name, value in first.state_dict().items():
        torch.testing.assert_close(second.state_dict()[name], value)
    wide = dataclasses.replace(tiny_config, audio=dataclasses.replace(tiny_config.audio, width=8))
    with pytest.raises(CMACError, match="do not fit the recipe's architecture 'tiny'"):
        train(recipe, tmp_path / "third", initial=CMAC(wide))


def test_a_run_that_is_resumed_began_with_the_same_weights(recipe, tmp_path):
    first = train(recipe, tmp_path / "first")
    changed = recipe.replace(steps=3)
    train(changed, tmp_path / "second", initial=first)
    other = CMAC(recipe.config)
    with pytest.raises(CMACError, match="give the same --from again"):
        train(recipe, tmp_path / "second", initial=other, resume=True)
    train(recipe, tmp_path / "second", resume=True)
    for path in (tmp_path / "second" / "checkpoints").iterdir():
        path.unlink()
    with pytest.raises(CMACError, match="not with random ones"):
        train(recipe, tmp_path / "second", resume=True)


def test_a_run_that_is_resumed_began_with_the_same_data(recipe, own_folder, tmp_path):
    train(recipe, tmp_path / "run")
    with pytest.raises(CMACError, match=r"began with other data than .*; give the same --data"):
        pretrain(recipe, own_folder, tmp_path / "run", resume=True, progress=False)


def test_a_chain_of_runs_tells_all_its_clips(recipe, tmp_path):
    train(recipe, tmp_path / "first")
    model, _ = load_checkpoint(tmp_path / "first" / "checkpoints" / "step_00000006.pt")
    assert model.config.training["clips"] == 6 * 8
    train(recipe.replace(steps=3), tmp_path / "second", initial=model)
    last = tmp_path / "second" / "checkpoints" / "step_00000003.pt"
    training = load_checkpoint(last)[0].config.training
    assert training["clips"] == 9 * 8 and training["before"]["steps"] == 6


def test_a_run_begins_with_encoders_of_two_networks(recipe, tiny, tmp_path):
    torch.manual_seed(7)
    other = CMAC(tiny.config)
    tiny.save_pretrained(tmp_path / "tiny")
    other.save_pretrained(tmp_path / "other")
    model = begin_with_parts(recipe, tmp_path / "tiny", tmp_path / "other")
    for modality, given in (("visual", tiny), ("audio", other)):
        for name, value in given.encoder(modality).state_dict().items():
            assert torch.equal(model.encoder(modality).state_dict()[name], value), name
    assert set(model.config.training) == {"visual", "audio"}
    torch.manual_seed(recipe.seed)
    assert torch.equal(model.heads["shared"].weight, CMAC(recipe.config).heads["shared"].weight)


def test_an_encoder_that_does_not_fit_is_named(recipe, tmp_path):
    with pytest.raises(CMACError, match="the audio encoder of cmac-nano does not fit the recipe's: stem"):
        begin_with_parts(recipe, None, Path("cmac-nano"))
    (tmp_path / "lite0.pth").write_bytes(b"x")
    with pytest.raises(CMACError, match="no published weights for the recipe's visual encoder"):
        begin_with_parts(recipe, tmp_path / "lite0.pth", None)


def test_weights_inherit_the_license_of_those_they_began_with(tiny, recipe, tmp_path):
    """Of the whole network, or of a part."""
    strict = CMAC(tiny.config)
    strict.config = dataclasses.replace(tiny.config, license="cc-by-nc-4.0", training={"clips": 5})
    strict.save_pretrained(tmp_path / "strict")
    pretrain(recipe.replace(steps=1, warmup_steps=0), None, tmp_path / "run", initial=strict, progress=False)
    assert release(tmp_path / "run", tmp_path / "out", None).config.license == "cc-by-nc-4.0"
    assert release(tmp_path / "run", tmp_path / "other", None, license="mit").config.license == "mit"
    part = begin_with_parts(recipe, None, tmp_path / "strict")
    assert part.config.license == "cc-by-nc-4.0" and part.config.training["audio"]["clips"] == 5
    pretrain(recipe.replace(steps=1, warmup_steps=0), None, tmp_path / "again", initial=part, progress=False)
    assert release(tmp_path / "again", tmp_path / "third", None).config.license == "cc-by-nc-4.0"


def test_of_two_licenses_the_stricter_counts():
    parts = {"visual": {"license": "bsd-3-clause"}, "audio": {"license": "cc-by-nc-4.0"}}
    assert inherited_license(parts, "apache-2.0") == "cc-by-nc-4.0"
    assert inherited_license(dict(reversed(parts.items())), "apache-2.0") == "cc-by-nc-4.0"
    assert inherited_license({"visual": {"license": "mit"}}, "apache-2.0") == "mit"
    assert inherited_license({"license": "mit"}, "cc-by-nc-sa-4.0") == "cc-by-nc-sa-4.0"
