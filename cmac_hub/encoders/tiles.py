"""Clips laid in rows and columns as one large clip, and its map cut apart again."""

from __future__ import annotations

from torch import Tensor

from cmac_hub.errors import ArgumentError


def lay_tiles(clips_BCTHW: Tensor, tiles: int) -> Tensor:
    """(B, C, T, H, W) -> (B / tiles^2, C, T, tiles H, tiles W): clips in rows and columns, in their order.

    Raises:
        ValueError: B is no multiple of tiles^2.
    """
    if tiles == 1:
        return clips_BCTHW
    if len(clips_BCTHW) % tiles**2:
        raise ArgumentError(f"{len(clips_BCTHW)} clips do not fill large ones of {tiles} x {tiles} tiles")
    rows = clips_BCTHW.unflatten(0, (-1, tiles, tiles)).permute(0, 3, 4, 1, 5, 2, 6)
    return rows.flatten(5, 6).flatten(3, 4)


def cut_tiles(map_BCTHW: Tensor, tiles: int) -> Tensor:
    """The inverse of `lay_tiles`, for maps (B / tiles^2, C, T, tiles H, tiles W)."""
    if tiles == 1:
        return map_BCTHW
    parts = map_BCTHW.unflatten(4, (tiles, -1)).unflatten(3, (tiles, -1))
    return parts.permute(0, 3, 5, 1, 2, 4, 6).flatten(0, 2)
