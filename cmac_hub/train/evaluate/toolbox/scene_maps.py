"""Composed scenes as the network sees them: its maps and embeddings of many scenes, and where their sources are."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, get_args

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from cmac_hub.config import CMACConfig, Map
from cmac_hub.geometry import CENTERED, Shift
from cmac_hub.joint import speed
from cmac_hub.model import CMAC
from cmac_hub.train.scenes.compose import Scene, Scenes
from cmac_hub.train.scenes.library import Library, at_rate
from cmac_hub.train.scenes.settings import CURRICULA, MEDIUM, SceneSettings

MAPS: tuple[Map, ...] = get_args(Map)

DEAF = "visual strength (deaf)"
"""How tables name the map of the visual features' lengths."""

MOVING = "visual motion (deaf)"
"""How tables name the map of how much the visual features change."""

BATCH = 50
GALLERY = 100
"""Pairs among which retrieval looks for the right one."""

THINGS = {"known": "seen in training", "new": "never seen"}
"""Kind of things -> how tables name it."""


@dataclass(frozen=True)
class ScenePredictions:
    """Maps and embeddings of a set of scenes."""

    visual_NHW: dict[Map, np.ndarray]
    """fp32 of each map, averaged over time, at map resolution."""
    audio_NFS: dict[Map, np.ndarray]
    """fp32 of each map, at map resolution."""
    visual_strength_NHW: np.ndarray
    """fp32, averaged over time: the length of the visual feature, a map that hears nothing."""
    audio_strength_NFS: np.ndarray
    visual_speed_NHW: np.ndarray
    """fp32: how much the visual feature changes from one moment of the map to the next, which hears nothing either."""
    visual_ND: np.ndarray
    """Embeddings."""
    audio_ND: np.ndarray
    shift: Shift = CENTERED
    """How far the visual maps lie off, see `cmac_hub.geometry`."""

    def part(self, rows: Sequence[int]) -> ScenePredictions:
        """Some of the scenes."""
        keep = list(rows)
        return ScenePredictions(
            {which: maps[keep] for which, maps in self.visual_NHW.items()},
            {which: maps[keep] for which, maps in self.audio_NFS.items()},
            self.visual_strength_NHW[keep],
            self.audio_strength_NFS[keep],
            self.visual_speed_NHW[keep],
            self.visual_ND[keep],
            self.audio_ND[keep],
            self.shift,
        )


def make_scenes(library: Library, config: CMACConfig, count: int, seed: int) -> list[Scene]:
    """Scenes of all levels of the curriculum in turn, at the network's size; the same seed gives the same scenes."""
    levels = [for_network(level, config) for level in CURRICULA["mixed"]]
    return list(Scenes(library, levels, count, seed))


def make_absent(library: Library, config: CMACConfig, count: int, seed: int, **changes: Any) -> list[Scene]:
    """Scenes of the medium level with another thing in the source's place. `changes` go to its `SceneSettings`."""
    level = for_network(MEDIUM, config, **changes)
    return list(Scenes(library, [replace(level, offscreen=1.0)], count, seed))


def for_network(level: SceneSettings, config: CMACConfig, **changes: Any) -> SceneSettings:
    """A level at a network's size, frames and window, with pictures from the library alone."""
    visual = config.require_visual()
    return replace(level, size=visual.size, frames=visual.frames, seconds=config.window, drawn=0.0, **changes)


def _prepare(model: CMAC, scenes: Sequence[Scene]) -> Iterator[tuple[Tensor, Tensor]]:
    """Some scenes at a time: what the encoders take."""
    audio = model.config.require_audio()
    for start in range(0, len(scenes), BATCH):
        batch = scenes[start : start + BATCH]
        clips, spectrograms = model.prepare(
            torch.from_numpy(np.stack([s.frames_THWC for s in batch])),
            torch.stack([at_rate(s.waveform, audio) for s in batch]),
        )
        assert clips is not None and spectrograms is not None
        yield clips, spectrograms


def encode_scenes(model: CMAC, scenes: Sequence[Scene]) -> Iterator[tuple[Tensor, Tensor]]:
    """Some scenes at a time: visual maps (B, C, T', H', W') and audio maps (B, C, F', S') of a model in eval mode."""
    for clips, spectrograms in _prepare(model, scenes):
        with torch.inference_mode():
            maps = model.encoder("visual")(clips), model.encoder("audio")(spectrograms)
        yield maps


@torch.inference_mode()
def predict_scenes(model: CMAC, scenes: Sequence[Scene]) -> ScenePredictions:
    """Maps and embeddings of scenes; the size of a batch changes nothing, since the network is in eval mode."""
    parts: list[list[np.ndarray]] = []
    for clips, spectrograms in _prepare(model, scenes):
        output = model(clips, spectrograms)
        values = (
            *(getattr(output.attention, f"visual_{which}").mean(1) for which in MAPS),
            *(getattr(output.attention, f"audio_{which}") for which in MAPS),
            output.visual.map.norm(dim=1).mean(1),
            output.audio.map.norm(dim=1),
            speed(output.visual.map),
            output.visual.embedding,
            output.audio.embedding,
        )
        parts.append([v.float().cpu().numpy() for v in values])
    arrays = [np.concatenate(column) for column in zip(*parts, strict=True)]
    visual, audio = arrays[: len(MAPS)], arrays[len(MAPS) : 2 * len(MAPS)]
    visual_strength, audio_strength, visual_speed, visual_ND, audio_ND = arrays[2 * len(MAPS) :]
    return ScenePredictions(
        dict(zip(MAPS, visual, strict=True)),
        dict(zip(MAPS, audio, strict=True)),
        visual_strength,
        audio_strength,
        visual_speed,
        visual_ND,
        audio_ND,
        model.config.require_visual().map_shift,
    )


def source_mask(scene: Scene) -> np.ndarray:
    """(H, W) bool: where the source is during at least half of the clip."""
    return scene.masks_THW.mean(0) >= 0.5


def source_shares(cells: tuple[int, ...], scenes: Sequence[Scene], shift: Shift = CENTERED) -> np.ndarray:
    """(N, H, W): the share of what each of H x W cells describes that the source covers, over the clip.

    `shift` is how far the cells lie off, see `cmac_hub.geometry`; nothing is covered outside of the picture.
    """
    rows, columns = cells
    found = []
    for scene in scenes:
        height, width = (side / count for side, count in zip(scene.masks_THW.shape[1:], cells, strict=True))
        margin = int(np.ceil(max(height, width)))
        padded = Image.fromarray(np.pad(scene.masks_THW.mean(0).astype(np.float32), margin))
        top, left = margin - shift[0] * height, margin - shift[1] * width
        box = (left, top, left + columns * width, top + rows * height)
        found.append(np.asarray(padded.resize((columns, rows), Image.Resampling.BOX, box=box)))
    return np.stack(found)


def on_source(shares_NHW: np.ndarray) -> np.ndarray:
    """(N, H, W) bool: the cells that lie on the source, of `source_shares`; where it covers none well, its best."""
    return shares_NHW >= np.minimum(0.3, shares_NHW.max((1, 2), keepdims=True))


def hits_at_1(visual_ND: np.ndarray, audio_ND: np.ndarray) -> np.ndarray:
    """(N,): how often the right one of `GALLERY` pairs is nearest, from visual to audio and back: 0, 0.5 or 1; NaN for
    the pairs that are left over."""
    hits_N = np.full(len(visual_ND), np.nan)
    for start in range(0, len(visual_ND) - GALLERY + 1, GALLERY):
        rows = slice(start, start + GALLERY)
        cosine, right = visual_ND[rows] @ audio_ND[rows].T, np.arange(GALLERY)
        hits_N[rows] = ((cosine.argmax(1) == right) + (cosine.argmax(0) == right).astype(float)) / 2
    return hits_N


def by_things(tables: dict[str, str]) -> str:
    """One text of the tables of each kind of things."""
    return "\n\n".join(f"Things {THINGS[which]}:\n\n{table}" for which, table in tables.items())
