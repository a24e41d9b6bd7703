import warnings

import numpy as np
import pytest
from PIL import Image

from cmac_hub.errors import CMACError
from cmac_hub.train.scenes.collected_library import _rows
from cmac_hub.train.scenes.library import load_photograph, load_picture


def test_no_file_stays_open(tmp_path):
    """Of a picture with several frames PIL keeps the file for the next one."""
    frames = [Image.fromarray(np.full((8, 8, 3), value, np.uint8)) for value in (0, 90, 200)]
    frames[0].save(tmp_path / "a.gif", save_all=True, append_images=frames[1:])
    (tmp_path / "a.csv").write_text("file\na.gif\n")
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", ResourceWarning)
        for read, name in ((load_picture, "a.gif"), (load_photograph, "a.gif"), (_rows, "a.csv")):
            assert len(read(tmp_path / name))
    assert not caught


def test_what_is_no_picture_is_named(tmp_path):
    (tmp_path / "a.png").write_text("text")
    for read, kind in ((load_picture, "picture"), (load_photograph, "photograph")):
        with pytest.raises(CMACError, match=rf"a\.png is no {kind} that can be read"):
            read(tmp_path / "a.png")
