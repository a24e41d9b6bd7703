"""A training checkpoint -> the folder that users load.

    python -m cmac_hub.train release runs/nano -o FOLDER --data DATA

The folder holds the inference weights, and a config that says how maps are drawn and how the weights were made.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import torch

from cmac_hub.config import CMACConfig, DisplayConfig
from cmac_hub.errors import CheckpointError
from cmac_hub.hub import load_model, save_model
from cmac_hub.model import CMAC
from cmac_hub.train.checkpoint import read_checkpoint
from cmac_hub.train.distributed import pick_device
from cmac_hub.train.evaluate.calibration import calibrate
from cmac_hub.train.evaluate.localization import THINGS, evaluate, hardest

KEPT = "name drawn_clips real_share filmed_share blur background_loudest notes twin_share batch optimizer".split()
KEPT += "learning_rate temperature bank consistency_weight reduction detach_target mil_weight within_negatives".split()
KEPT += "size mask_share time_warp seed".split()
"""Keys of the recipe that the config's training summary repeats."""


def load_checkpoint(path: Path) -> tuple[CMAC, dict[str, Any]]:
    """The network of a training checkpoint (or of a run folder's latest), in eval mode, its config telling of its
    training; and the recipe with the steps done.

    Raises:
        CheckpointError: there is no such file, or it is no checkpoint of `pretrain`.
    """
    state = read_checkpoint(path)
    config = CMACConfig.from_dict(state["config"])
    model = CMAC(dataclasses.replace(config, training=training_summary(state)))
    try:
        model.load_state_dict(state["model"])
    except RuntimeError as error:
        raise CheckpointError(f"{path} does not fit its own config ({str(error).splitlines()[0]})") from error
    return model.eval(), {**state["recipe"], "steps": state["step"]}


def load_network(name: str, device: str | None = None) -> CMAC:
    """A network by name or folder, or of a training run, in eval mode on a device (`pick_device`)."""
    path, where = Path(name), pick_device(device)
    trained = path.suffix == ".pt" or (path / "checkpoints").is_dir()
    return load_checkpoint(path)[0].to(where) if trained else load_model(name, device=where)


def training_summary(state: dict[str, Any]) -> dict[str, Any]:
    """How the weights of a training checkpoint were made, for the config; "before" tells of those they began with, and
    "clips" counts both parts."""
    recipe, before = state["recipe"], state.get("before", {})
    told = {f"recipe_{key}" if key == "name" else key: recipe[key] for key in KEPT if key in recipe}
    clips = state["step"] * recipe.get("batch", 0) + before.get("clips", 0)
    return {**told, "steps": state["step"], "clips": clips} | ({"before": before} if before else {})


def release(
    checkpoint: Path, folder: Path, data: Path | None, note: str = "", *, device: torch.device | str = "cpu"
) -> CMAC:
    """Writes `config.json` and `model.safetensors`.

    Args:
        checkpoint: of `pretrain`.
        folder: made when missing.
        data: a folder laid out like `shared/data`: measures on validation scenes which map points better and at
            which values drawing starts; without it the config keeps its defaults.
        note: goes into the config's training summary, e.g. "first weights".
        device: where to measure.
    """
    model = load_checkpoint(checkpoint)[0].to(device)
    display = DisplayConfig()
    if data is not None:
        limits = calibrate(model, data)
        found = evaluate(model, data, "validation", count=600)
        # Where nothing silent competes with the source, any map of salient things points right: the others decide.
        scores = [hardest(found[which])["scores"] for which in THINGS if which in found]
        better = sum(one["prediction"]["pointing"] - one["guidance"]["pointing"] for one in scores)
        display = DisplayConfig(
            guidance=limits["guidance"],
            prediction=limits["prediction"],
            default_map="prediction" if better > 0 else "guidance",
        )
    training = ({"note": note} if note else {}) | model.config.training
    model.config = dataclasses.replace(model.config, display=display, training=training)
    save_model(model, folder)
    return model
