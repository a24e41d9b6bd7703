from dataclasses import replace

import pytest

from cmac_hub.model import CMAC
from cmac_hub.train.evaluate.toolbox.untrained import random_weights


@pytest.mark.parametrize(("window", "frames"), [(1.0, 100), (0.5, 50)])
def test_noise_has_the_size_of_the_networks_own_windows(tiny_config, window, frames, monkeypatch):
    shapes = []
    forward = CMAC.forward

    def spy(self, clips, spectrograms):
        shapes.append((tuple(clips.shape), tuple(spectrograms.shape)))
        return forward(self, clips, spectrograms)

    monkeypatch.setattr(CMAC, "forward", spy)
    random_weights(replace(tiny_config, window=window))
    assert set(shapes) == {((8, 3, 8, 32, 32), (8, 1, 64, frames))}


@pytest.mark.parametrize("lacking", [{"visual": None, "attention": None}, {"audio": None, "attention": None}])
def test_a_network_of_one_stream_has_random_weights_too(tiny_config, lacking):
    network = random_weights(replace(tiny_config, **lacking))
    norms = [one for name, one in network.state_dict().items() if name.endswith("running_mean")]
    assert norms and all(one.abs().max() > 0 for one in norms), "its batch norms have seen noise"


def test_nothing_that_was_measured_on_trained_weights_is_theirs(tiny_config):
    visual = replace(tiny_config.visual, map_shift=(0.4, -0.6))
    attention = replace(tiny_config.attention, strength_weight=0.3, visual_strength=(1.0, 20.0))
    assert random_weights(replace(tiny_config, visual=visual, attention=attention)).config == tiny_config
