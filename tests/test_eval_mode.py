"""A network is used in eval mode without being switched to it: threads share it, in training too."""

from __future__ import annotations

import copy
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch
from torch import nn

from cmac_hub import CMAC
from cmac_hub.eval_mode import evaluating, in_eval_mode
from cmac_hub.visualizer import Visualizer


def state_of(network: nn.Module) -> dict[str, torch.Tensor]:
    return {name: value.clone() for name, value in network.state_dict().items()}


@pytest.fixture
def training(tiny) -> CMAC:
    return copy.deepcopy(tiny).train()


def test_a_network_in_eval_mode_is_itself(tiny):
    assert in_eval_mode(tiny) is tiny
    with evaluating(tiny) as network:
        assert network is tiny and not torch.is_grad_enabled()


def test_the_copy_has_the_same_weights_and_a_mode_of_its_own(training):
    training.audio_encoder.eval()
    modes = [module.training for module in training.modules()]
    network = in_eval_mode(training)
    assert [module.training for module in training.modules()] == modes
    assert not any(module.training for module in network.modules())
    assert [*map(id, network.parameters())] == [*map(id, training.parameters())]
    assert [*map(id, network.buffers())] == [*map(id, training.buffers())]
    assert [name for name, _ in network.named_modules()] == [name for name, _ in training.named_modules()]
    with torch.no_grad():
        training.heads["shared"].bias.fill_(3.0)
    assert (network.heads["shared"].bias == 3.0).all(), "weights that change are seen"


def test_a_module_in_two_places_is_one_module():
    shared = nn.BatchNorm1d(3)
    network = in_eval_mode(nn.Sequential(shared, nn.ReLU(), shared))
    assert network[0] is network[2] is not shared


def test_nobody_sees_another_mode_meanwhile(training, clip):
    """Whoever trains in another thread would update its batch norms, or not, by a mode that is switched here."""
    seen = []

    def look(module: nn.Module, *_: object) -> None:
        seen.append((module.training, training.training, training.visual_encoder.training))

    training.visual_encoder.register_forward_hook(look)
    training.visual_transform.register_forward_hook(look)
    training.extract_features(clip)
    list(Visualizer(training).heatmaps(clip, hop=1.0))
    training.attend(torch.zeros(1, 3, 8, 32, 40))
    training.similarity(torch.zeros(1, 3, 8, 32, 40), torch.zeros(1, 1, 64, 100))
    assert len(seen) > 6 and set(seen) == {(False, True, True)}


def test_threads_share_a_network_in_training(tiny, training, clip):
    expected, before = tiny.extract_features(clip, hop=0.5), state_of(tiny)
    maps = [one for _, one in Visualizer(tiny).heatmaps(clip, hop=1.0)]

    def use(number: int) -> bool:
        if number % 2:
            found = training.extract_features(clip, hop=0.5)
            return all(torch.equal(value, found.to_dict()[name]) for name, value in expected.to_dict().items())
        found = [one for _, one in Visualizer(training).heatmaps(clip, hop=1.0)]
        return len(found) == len(maps) and all((one == two).all() for one, two in zip(found, maps, strict=True))

    with ThreadPoolExecutor(4) as pool:
        assert all(pool.map(use, range(12)))
    assert all(module.training for module in training.modules())
    assert all(torch.equal(value, before[name]) for name, value in state_of(training).items())


def test_a_compiled_network_in_training_is_used_in_eval_mode(training, clip, tiny):
    training.visual_encoder.compile(backend="eager")
    found = training.extract_features(clip)
    torch.testing.assert_close(found.visual, tiny.extract_features(clip).visual)
    assert all(torch.equal(value, tiny.state_dict()[name]) for name, value in training.state_dict().items())
