"""Videos that made a loss no number: found in the batch, kept in RUN/skipped.csv, passed over when the run goes on."""

from __future__ import annotations

import copy
import csv
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from cmac_hub.errors import CMACError
from cmac_hub.files import taking_turns
from cmac_hub.model import CMAC
from cmac_hub.train.precision import autocast
from cmac_hub.train.recipe import Recipe
from cmac_hub.train.stream import Pair, PairSource
from cmac_hub.train.videos.manifest import AS_BYTES
from cmac_hub.train.writing import writing

TRIES = 100
"""Pairs that are tried in the place of one that is passed over."""


class Skipped(NamedTuple):
    """A line of skipped.csv."""

    video: int
    """As the pairs name it."""
    name: str
    """As people name it: a path, where it is a file."""
    step: int
    """Whose loss was no number."""
    from_pair: int
    """The first pair of that step: from here on it is passed over, so that all that came before stays as it was."""
    reason: str


def find_broken(recipe: Recipe, model: CMAC, batch: Pair) -> list[tuple[int, str]]:
    """The videos of a batch whose inputs, or own features, are no numbers, each with the reason.

    Every pair passes through the network alone, as batch norms carry what is no number from one pair to all. Where all
    pairs give such features of sound inputs, the weights are to blame and no video.

    Args:
        recipe: of the run.
        model: of the run; it is not changed.
        batch: as the data gave it.
    """
    found: dict[int, str] = {}
    features: dict[int, str] = {}
    model = copy.deepcopy(model)
    for module in model.modules():
        if isinstance(module, nn.modules.batchnorm._BatchNorm) and module.training:
            # Statistics of the pair alone: those that run along are no numbers by now, and none wait for other GPUs.
            module.running_mean = module.running_var = None
    model.eval()
    encoded = recipe.cached_pairs > 0
    for row, video in enumerate(torch.as_tensor(batch.video).tolist()):
        frames, waveform = batch.frames[row : row + 1], batch.waveform[row : row + 1]
        if not torch.isfinite(waveform).all():
            found[video] = "its sound is no number somewhere"
        elif not torch.isfinite(frames).all():
            found[video] = "the features of its frames are no numbers"
        elif not _gives_numbers(recipe, model, frames, waveform, encoded):
            features[video] = "the network's features of it are no numbers"
    distinct = set(torch.as_tensor(batch.video).tolist())
    if features.keys() | found.keys() != distinct:
        found = features | found
    return list(found.items())


@torch.no_grad()
def _gives_numbers(recipe: Recipe, model: CMAC, frames: Tensor, waveform: Tensor, encoded: bool) -> bool:
    clips, spectrograms = model.prepare(None if encoded else frames, waveform)
    clips = frames.to(model.device, torch.float32) if encoded else clips
    assert clips is not None and spectrograms is not None
    try:
        with autocast(recipe, model.device):
            output = model(clips, spectrograms, encoded)
    except ValueError:
        # A batch norm refuses maps of one place.
        return True
    return all(bool(torch.isfinite(one.embedding).all()) for one in (output.visual, output.audio))


def read_skipped(run: Path) -> list[Skipped]:
    """The lines of RUN/skipped.csv; none where there is no such file. Raises CMACError where it cannot be read."""
    path = run / "skipped.csv"
    if not path.is_file():
        return []
    with path.open(newline="", encoding="utf-8", errors=AS_BYTES) as file:
        try:
            rows = [(int(r["video"]), r["name"], int(r["step"]), int(r["from_pair"])) for r in csv.DictReader(file)]
        except (KeyError, TypeError, ValueError) as error:
            raise CMACError(
                f"{path} cannot be understood; expected the columns {', '.join(Skipped._fields)}; mend it, or remove "
                "it and meet its videos again"
            ) from error
    return [Skipped(*row, "") for row in rows]


def write_skipped(run: Path, found: Sequence[Skipped]) -> None:
    """Adds lines to RUN/skipped.csv, after those of other processes. Raises OutputError as `writing` does."""
    path = run / "skipped.csv"
    with taking_turns(run):
        rows: Sequence[Sequence[object]] = []
        if path.is_file():
            with path.open(newline="", encoding="utf-8", errors=AS_BYTES) as file:
                rows = [*csv.reader(file)][1:]
        with writing(path, errors=AS_BYTES) as file:
            csv.writer(file).writerows([Skipped._fields, *rows, *found])


class PassingOver:
    """A source without some videos, from the pair on at which each was met.

    Args:
        source: of the pairs.
        seed: of the run: which pairs come in their place.
        skipped: see `read_skipped`.
    """

    def __init__(self, source: PairSource, seed: int, skipped: Sequence[Skipped]) -> None:
        self.source, self.seed, self.videos = source, seed, source.videos
        self._since: dict[int, int] = {}
        for one in skipped:
            self._since[one.video] = min(one.from_pair, self._since.get(one.video, one.from_pair))

    def hash(self) -> str:
        """That of the source."""
        return self.source.hash()

    def name(self, video: int) -> str:
        """That of the source."""
        return self.source.name(video)

    def pair(self, index: int, view: int = 0) -> Pair:
        """Pair number `index`, or another one, which counts as replaced; both views meet the same other one.

        Raises:
            CMACError: the source's own; or so many pairs are of videos to pass over that hardly another is left.
        """
        choices = np.random.default_rng([self.seed, index, 7])
        found = self.source.pair(index, view)
        for tried in range(TRIES):
            if index < self._since.get(int(found.video), index + 1):
                return found._replace(replaced=int(found.replaced) + tried)
            found = self.source.pair(int(choices.integers(self.videos or index + 1000)), view)
        raise CMACError(f"{TRIES} pairs in a row are of videos in the run's skipped.csv; hardly another one is left")
