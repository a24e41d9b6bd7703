"""Training checkpoints: `RUN/checkpoints/step_00000250.pt`, the latest few, each complete or not there."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from cmac_hub.config import CMACConfig, without_weights
from cmac_hub.errors import CheckpointError, OutputError
from cmac_hub.files import make_folder, remove_left_over
from cmac_hub.train.fields import flat_fields
from cmac_hub.train.recipe import Recipe, upgrade
from cmac_hub.train.writing import save_tensors
from cmac_hub.weights_file import check_archive


class Checkpoints:
    """The checkpoints of one run.

    Args:
        run: the run's folder.
        keep: how many of the latest stay.
    """

    def __init__(self, run: Path, keep: int = 2) -> None:
        self.folder, self.keep = run / "checkpoints", keep

    def latest(self) -> Path | None:
        """The newest, or None. Raises OSError for a folder that cannot be listed: a run would begin anew in it."""
        found = self._all()
        return found[-1] if found else None

    def _all(self) -> list[Path]:
        try:
            return sorted(path for path in self.folder.iterdir() if path.match("step_*.pt"))
        except (FileNotFoundError, NotADirectoryError):
            return []

    def save(self, state: dict[str, Any], step: int) -> Path:
        """Writes one, moves it to its name when it is complete, and removes those that are too old.

        Args:
            state: what `torch.load(weights_only=True)` can read again.
            step: steps done.

        Raises:
            OutputError: the disk is full or cannot be written; the older checkpoints stay.
        """
        path = self.folder / f"step_{step:08d}.pt"
        try:
            make_folder(self.folder)
            save_tensors(path, state)
        except OutputError as error:
            kept = self.latest()
            raise OutputError(f"{error}; {f'{kept} is the last good one' if kept else 'free some space'}") from error
        for old in self._all()[: -self.keep]:
            old.unlink()
        remove_left_over(self.folder)
        return path


def read_checkpoint(path: Path) -> dict[str, Any]:
    """The state that `Checkpoints.save` wrote; a run folder stands for its latest checkpoint.

    No score of training tells a better one: accuracy counts in the batch or bank of the moment, and curricula harden.

    Raises:
        CheckpointError: there is none, or it is no training checkpoint.
    """
    if path.is_dir():
        path = Checkpoints(path).latest() or path
    if not path.is_file():
        raise CheckpointError(f"there is no checkpoint {path}; give a run folder, or one of its checkpoints/*.pt")
    check_archive(path)
    try:
        state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
        if not {"recipe", "config", "step", "model"} <= state.keys():
            raise KeyError("it lacks some of recipe, config, step, model")
    except Exception as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise CheckpointError(f"{path} is no training checkpoint of this package ({reason})") from error
    return state


def check_same_run(path: Path, state: dict[str, Any], recipe: Recipe) -> None:
    """Raises CheckpointError for a checkpoint of another architecture, or of a recipe that differs where it matters."""
    config = CMACConfig.from_dict(state["config"])
    # Runs of 0.1.0 kept what was measured on the weights that a released config.json came with.
    if without_weights(config) != recipe.config:
        raise CheckpointError(
            f"{path} holds architecture {config.name!r} with other numbers than the recipe's {recipe.config.name!r}; "
            "choose another output folder"
        )
    may_change = {key for key, field in flat_fields(Recipe).items() if field.metadata["may_change"]}
    if recipe.bank:
        # With a bank all micro-batches of a step meet the same negatives, however many there are.
        may_change.add("accumulate")
    began = upgrade(state["recipe"], state.get("format_version", 1))
    for key, value in recipe.to_dict().items():
        if key not in may_change and began[key] != value:
            raise CheckpointError(
                f"{path} was trained with {key} = {began[key]!r}, now it is {value!r}; "
                "set it back, or choose another output folder"
            )
