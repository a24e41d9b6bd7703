"""Pairs whose frames a frozen trunk has encoded: drawn once, kept in memory, shown again in another order each time."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset
from tqdm import tqdm

from cmac_hub.encoders import FrameEncoder
from cmac_hub.eval_mode import in_eval_mode
from cmac_hub.model import CMAC
from cmac_hub.train.fields import RecipeError
from cmac_hub.train.recipe import Recipe
from cmac_hub.train.stream import Pair, PairSource, start_method

AT_ONCE = 4
"""Pairs that are encoded together."""


class CachedPairs:
    """The first pairs of another source, again and again. Pair i depends on the recipe's seed and i alone.

    A pair's `frames` are the trunk's features (c, T, h, w) in fp16, which `Network.forward` takes as `encoded`.

    Args:
        source: of the pairs; its first `recipe.cached_pairs` are drawn now.
        recipe: of the run.
        model: whose trunk encodes the frames.
        progress: show a progress bar on stderr.

    Raises:
        RecipeError: the visual encoder is no `FrameEncoder`; or the recipe wants two clips a video, or tiles, or a
            bank, whose momentum network would have to encode the frames itself.
    """

    def __init__(self, source: PairSource, recipe: Recipe, model: CMAC, *, progress: bool = True) -> None:
        encoder = in_eval_mode(model.encoder("visual"))
        if not isinstance(encoder, FrameEncoder):
            raise RecipeError(
                f"recipe key 'cached_pairs' is {recipe.cached_pairs}; it needs an encoder that looks at single frames, "
                "such as kind 'frames'"
            )
        if recipe.clips_per_video != 1 or recipe.bank or recipe.tiles > 1:
            raise RecipeError(
                "recipe key 'cached_pairs' goes with one clip a video, without a bank and without tiles; "
                "set bank to 0 and tiles to 1"
            )
        self.videos = source.videos
        self.recipe, self._hash, self._order_of = recipe, source.hash(), -1
        self._order = np.empty(0, np.int64)
        features: list[Tensor] = []
        waveforms: list[Tensor] = []
        videos: list[Tensor] = []
        workers = min(1, recipe.workers)
        pairs = DataLoader(
            _First(source, recipe.cached_pairs),
            AT_ONCE,
            num_workers=workers,
            multiprocessing_context=start_method(workers),
        )
        bar = tqdm(pairs, disable=not progress, desc="encoding", unit=f"{AT_ONCE} pairs")
        with torch.no_grad():
            for batch in bar:
                clips, _ = model.prepare(batch.frames, None)
                assert clips is not None
                frames_NCHW = clips.transpose(1, 2).flatten(0, 1)
                encoded = encoder.encode_frames(frames_NCHW).unflatten(0, batch.frames.shape[:2]).transpose(1, 2)
                features.append(encoded.to(torch.float16).cpu())
                waveforms.append((batch.waveform * 32767).round().to(torch.int16))
                videos.append(torch.as_tensor(batch.video))
        self._names = {video: source.name(video) for part in videos for video in part.tolist()}
        self._features, self._waveforms, self._videos = torch.cat(features), torch.cat(waveforms), torch.cat(videos)

    def __len__(self) -> int:
        return len(self._features)

    def hash(self) -> str:
        """That of the source: the pairs are drawn from it by the recipe alone."""
        return self._hash

    def name(self, video: int) -> str:
        """That of the source."""
        return self._names[video]

    def pair(self, index: int, view: int = 0) -> Pair:
        """Pair number `index` of the run: every pair once in each round, in an order of its own."""
        turn, place = divmod(index, len(self))
        if turn != self._order_of:
            rng = np.random.default_rng([self.recipe.seed, turn, 3])
            self._order_of, self._order = turn, rng.permutation(len(self))
        row = int(self._order[place])
        return Pair(self._features[row], self._waveforms[row].float() / 32767, int(self._videos[row]))


class _First(Dataset[Pair]):
    """The first pairs of a source."""

    def __init__(self, source: PairSource, count: int) -> None:
        self.source, self.count = source, count

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, index: int) -> Pair:
        return self.source.pair(index)
