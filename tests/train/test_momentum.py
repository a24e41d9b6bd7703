import dataclasses

import pytest
import torch
from counting import counted
from hypothesis import given
from hypothesis import strategies as st

from cmac_hub.model import CMAC
from cmac_hub.train.momentum import MemoryBank, MomentumNetwork
from cmac_hub.train.objective import EMPTY, Keys, objective


def keys(count, start=0):
    """Rows that tell their own number."""
    rows = torch.arange(start, start + count, dtype=torch.float32)[:, None].repeat(1, 2)
    return Keys(rows, -rows)


@given(st.integers(1, 9), st.lists(st.integers(1, 12), max_size=8))
def test_the_bank_is_the_tail_of_all_that_was_pushed(size, batches):
    bank, seen = MemoryBank(size, 2), []
    begun = bank.negatives().visual.clone()
    for count in batches:
        bank.push(keys(count, len(seen)), torch.arange(len(seen), len(seen) + count))
        seen += range(len(seen), len(seen) + count)
    kept = bank.negatives()
    there = kept.video >= 0
    assert sorted(kept.video[there].tolist()) == seen[-size:]
    assert len(bank) == min(size, len(seen))
    assert torch.equal(kept.visual[there, 0], kept.video[there].float())
    assert torch.equal(kept.audio[there, 1], -kept.video[there].float())
    assert torch.equal(kept.visual[~there], begun[~there]), "elsewhere are the random keys of the start"


def test_a_bank_survives_a_checkpoint_and_goes_on():
    one, two = MemoryBank(5, 2), MemoryBank(5, 2)
    one.push(keys(3), torch.arange(3))
    two.load_state_dict(one.state_dict())
    for bank in (one, two):
        bank.push(keys(4, 3), torch.arange(3, 7))
    for name, value in one.state_dict().items():
        assert torch.equal(value, two.state_dict()[name])


def test_negatives_are_not_copied():
    bank = MemoryBank(2, 2)
    own = bank.visual_KD, bank.audio_KD, bank.video_K
    assert [one.data_ptr() for one in bank.negatives()] == [one.data_ptr() for one in own]


def test_random_keys_are_negatives_of_the_first_step(tiny):
    bank = MemoryBank(16, tiny.config.attention.embedding, seed=3)
    again, other = (MemoryBank(16, tiny.config.attention.embedding, seed).negatives() for seed in (3, 4))
    found = bank.negatives()
    assert torch.equal(found.visual, again.visual) and not torch.equal(found.visual, other.visual)
    assert not torch.equal(found.visual, found.audio)
    torch.testing.assert_close(found.audio.norm(dim=1), torch.ones(16))
    output = tiny(torch.randn(4, 3, 8, 32, 32), torch.randn(4, 1, 64, 100))
    losses = objective(output, torch.arange(4), negatives=found)
    assert losses.contrastive > 0.5
    empty = found._replace(video=torch.full((16,), EMPTY))
    assert objective(output, torch.arange(4), negatives=empty).contrastive == 0, "as the bank of version 1 began"


def test_an_empty_bank_is_refused():
    with pytest.raises(ValueError, match="size is 0"):
        MemoryBank(0, 2)


@pytest.mark.parametrize("shared", [True, False])
def test_the_copy_follows_slowly_and_gives_the_same_keys_at_first(tiny_config, shared):
    attention = dataclasses.replace(tiny_config.attention, shared_head=shared)
    model = CMAC(dataclasses.replace(tiny_config, attention=attention)).eval()
    copy = MomentumNetwork(model, momentum=0.9).eval()
    clips, spectrograms = torch.randn(2, 3, 8, 32, 32), torch.randn(2, 1, 64, 100)
    output, made = model(clips, spectrograms), copy(clips, spectrograms)
    torch.testing.assert_close(made.visual, output.visual.embedding)
    torch.testing.assert_close(made.audio, output.audio.embedding)
    assert not any(p.requires_grad for p in copy.parameters())

    before = {name: p.clone() for name, p in copy.named_parameters()}
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(1.0)
    copy.update(model)
    for name, parameter in copy.named_parameters():
        torch.testing.assert_close(parameter, before[name] + 0.1, msg=name)


def test_all_weights_follow_at_once_bit_by_bit_as_one_by_one(tiny_config):
    """One call for all weights, where each had its own: on a GPU as many kernels."""
    model = CMAC(tiny_config)
    copy = MomentumNetwork(model, momentum=0.999)
    alone = {name: parameter.clone() for name, parameter in copy.network.named_parameters()}
    trained = dict(model.named_parameters())
    torch.manual_seed(0)
    with torch.no_grad():
        for parameter in trained.values():
            parameter.add_(torch.randn_like(parameter))
    for name, parameter in alone.items():
        parameter.lerp_(trained[name].detach(), 1 - 0.999)
    with counted() as work:
        copy.update(model)
    assert work.kernels == work.operators["_foreach_lerp_"] == 1
    assert all(torch.equal(parameter, alone[name]) for name, parameter in copy.network.named_parameters())
