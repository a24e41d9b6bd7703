import numpy as np
import pytest

from cmac_hub.train.evaluate.toolbox.scene_maps import make_scenes, source_mask
from cmac_hub.train.evaluate.toolbox.sheet import CELL, contact_sheet, contrast, draw
from cmac_hub.train.scenes.library import Library


@pytest.fixture(scope="module")
def scenes(tiny_config):
    return make_scenes(Library.of_drawings("test", count=2), tiny_config, 7, seed=0)


def test_contrast_ranks_a_right_map_above_a_wrong_one(scenes):
    mask = source_mask(scenes[0])
    assert contrast(mask.astype(float), mask) == pytest.approx(1.0)
    assert contrast(1 - mask.astype(float), mask) == pytest.approx(-1.0)
    assert contrast(np.ones(mask.shape), np.ones_like(mask)) == 0


def test_a_sheet_has_two_rows(tiny, scenes):
    assert contact_sheet(tiny, scenes, columns=8).size == (3 * CELL, 2 * (CELL + 16))
    with pytest.raises(ValueError, match="1 scenes were given"):
        contact_sheet(tiny, scenes[:1])


def test_the_source_is_outlined(scenes):
    mask = np.zeros((32, 32), bool)
    mask[8:16, 8:16] = True
    drawn = np.asarray(draw(scenes[0], np.zeros((4, 4), np.float32), mask, (0.5, 0.9)))
    assert (drawn[40, 40:79] == 255).all(), "its upper edge"
    assert not (drawn[60, 45:75] == 255).all(), "not its inside"
