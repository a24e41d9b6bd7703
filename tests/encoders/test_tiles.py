"""Clips in rows and columns."""

import pytest
import torch

from cmac_hub.encoders.tiles import cut_tiles, lay_tiles


def test_clips_that_are_looked_at_as_one_keep_their_places():
    """Two rows of two clips, laid and cut apart again."""
    clips = torch.arange(8 * 3 * 2 * 4 * 6.0).reshape(8, 3, 2, 4, 6)
    laid = lay_tiles(clips, 2)
    assert laid.shape == (2, 3, 2, 8, 12)
    for number in range(8):
        large, place = divmod(number, 4)
        row, column = divmod(place, 2)
        found = laid[large, :, :, 4 * row : 4 * row + 4, 6 * column : 6 * column + 6]
        assert torch.equal(found, clips[number])
    assert torch.equal(cut_tiles(laid, 2), clips) and lay_tiles(clips, 1) is clips
    with pytest.raises(ValueError, match="6 clips do not fill large ones of 2 x 2"):
        lay_tiles(clips[:6], 2)
