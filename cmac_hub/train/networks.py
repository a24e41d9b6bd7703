"""Networks to measure or to begin with: by name or folder, of a run, or of one training checkpoint."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

from cmac_hub.config import CMACConfig, without_weights
from cmac_hub.model import CMAC
from cmac_hub.train.checkpoint import Checkpoints, read_checkpoint
from cmac_hub.train.distributed import pick_device
from cmac_hub.train.recipe import Recipe, upgrade
from cmac_hub.weights_file import check_state


def load_checkpoint(path: Path) -> tuple[CMAC, dict[str, Any]]:
    """The network of a training checkpoint (or of a run folder's latest), in eval mode, with a training summary in its
    config; and the recipe with the steps done.

    Raises:
        CheckpointError: there is no such file, it is no checkpoint of `pretrain` or `distill`, or its weights are
            refused, see `cmac_hub.weights_file`.
    """
    state = read_checkpoint(path)
    # A run has measured nothing on its weights; one of an older version may hold what its architecture's file did.
    config = without_weights(CMACConfig.from_dict(state["config"]))
    file = Checkpoints(path).latest() or path
    weights = check_state(state["model"], CMAC, config, file)
    model = CMAC(config)
    model.load_state_dict(weights)
    license = inherited_license(state.get("before", {}), config.license)
    model.config = dataclasses.replace(config, training=training_summary(state), license=license)
    recipe = state["recipe"] if "summary" in state else upgrade(state["recipe"], state.get("format_version", 1))
    return model.eval(), {**recipe, "steps": state["step"]}


def inherited_license(before: dict[str, Any], own: str) -> str:
    """The license of weights that began with others, or whose parts did: the strictest, the first of equal ones."""
    parts = (before, *(part for part in before.values() if isinstance(part, dict)))
    found = [part["license"] for part in parts if isinstance(part.get("license"), str)]
    return max([*(license for license in found if license != own), own], key=_strictness)


def _strictness(license: str) -> tuple[bool, ...]:
    """Of two licenses the one that forbids more, as far as its name tells: commerce, changes, other terms."""
    terms = license.lower().split("-")
    return tuple(term in terms for term in ("nc", "nd", "sa"))


def load_network(name: str, device: str | None = None) -> CMAC:
    """A network by name or folder, or of a training run, in eval mode on a device (`pick_device`)."""
    path, where = Path(name), pick_device(device)
    trained = path.suffix == ".pt" or (path / "checkpoints").is_dir()
    return load_checkpoint(path)[0].to(where) if trained else CMAC.from_pretrained(name, device=where)


def training_summary(state: dict[str, Any]) -> dict[str, Any]:
    """How the weights of a training checkpoint were made, for the config: what differs from a recipe's defaults.

    "before" tells how the weights were made that the run began with; "clips" counts both parts. A run that is no
    pretraining has its own summary in its checkpoints.
    """
    if "summary" in state:
        return dict(state["summary"])
    recipe, before = upgrade(state["recipe"], state.get("format_version", 1)), state.get("before", {})
    defaults = Recipe().to_dict()
    # The config is the architecture, and its own "name" is the network's.
    changed = {key: value for key, value in recipe.items() if value != defaults[key] and key != "architecture"}
    summary = {"recipe_name" if key == "name" else key: value for key, value in changed.items()}
    clips = state["step"] * recipe["batch"] + before.get("clips", 0)
    return {**summary, "steps": state["step"], "clips": clips} | ({"before": before} if before else {})
