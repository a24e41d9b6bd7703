"""What a run begins with: random or given weights, and the data; noted, so that a resumed run is the same run."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, NamedTuple

from cmac_hub.errors import CMACError
from cmac_hub.hub import check_keys, checkpoint_hash
from cmac_hub.model import CMAC
from cmac_hub.train.checkpoint import Checkpoints


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
    given = Start("", {}) if initial is None else Start(checkpoint_hash(initial), initial.config.training)
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


def start_from(model: CMAC, initial: CMAC) -> None:
    """Copies trained weights. Raises CheckpointError where the architectures differ; sizes of clips and scales may."""
    expected, found = (
        {name: tuple(tensor.shape) for name, tensor in network.state_dict().items()} for network in (model, initial)
    )
    names = f"{initial.config.name!r} do not fit the recipe's architecture {model.config.name!r}"
    check_keys(expected, found, f"the weights of {names}")
    model.load_state_dict(initial.state_dict())
