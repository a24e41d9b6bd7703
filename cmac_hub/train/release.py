"""A training checkpoint -> the folder that users load.

    python -m cmac_hub.train release runs/nano -o FOLDER --data DATA

The folder holds the inference weights, a config that says how maps are drawn and how the weights were made, and what
`cmac_hub.train.publish` lays beside them.
"""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Sequence
from pathlib import Path

import torch

from cmac_hub.config import DisplayConfig
from cmac_hub.files import replacing
from cmac_hub.hub import save_checkpoint
from cmac_hub.model import CMAC
from cmac_hub.train.evaluate.choosing import choose_map, choose_mixture, grade_maps, measure_parts, predict_shots
from cmac_hub.train.evaluate.toolbox.calibration import calibrate, measure_map_shift
from cmac_hub.train.networks import load_checkpoint
from cmac_hub.train.publish.folder import write_folder
from cmac_hub.train.scenes.readers import load_library


def release(
    checkpoint: Path,
    folder: Path,
    data: Path | None,
    note: str = "",
    *,
    license: str = "",
    half: bool = False,
    device: torch.device | str = "cpu",
    reports: Sequence[Path] = (),
    license_file: Path | None = None,
    repository: str | None = None,
) -> CMAC:
    """Writes config, weights, card, licenses, an example and checksums, see `publish.folder.write_folder`.

    Args:
        checkpoint: of `pretrain` or `distill`; or a folder that was written here before, which is measured anew.
        folder: made when missing.
        data: a folder that `cmac_hub.train.scenes.readers` reads: measures on validation data how far maps lie off,
            how the joint one is mixed, which one points best, and at which values drawing starts; without it the config
            keeps its defaults, which is said on stderr, or what was measured when it was released before.
        note: goes into the config's training summary, e.g. "first weights".
        license: of the weights, as strict as that of the strictest data they were trained on; without it the config
            keeps its own.
        half: store the weights in half precision.
        device: where to measure.
        reports: of evaluations of these weights, for the card.
        license_file: the text of the weights' license, where it is no common one.
        repository: "owner/repo" where it will lie, for the card.

    Raises:
        CheckpointError: there is no such checkpoint, see `load_checkpoint`.
        CMACError: see `write_folder`.
        MissingPartError: `data` was given for a network without maps.
    """
    # A folder that was released before is measured anew; its weights stay, and without data what was measured does.
    released = (checkpoint / "config.json").is_file() and not (checkpoint / "checkpoints").is_dir()
    model = (CMAC.from_pretrained(checkpoint) if released else load_checkpoint(checkpoint)[0]).to(device)
    display = model.config.display if released else DisplayConfig()
    if data is not None:
        model.require_attention("measuring how maps are drawn")
        library = load_library(data, "validation", "known", clip_size=model.config.require_visual().size)
        visual = dataclasses.replace(model.config.require_visual(), map_shift=measure_map_shift(model, library))
        model.config = dataclasses.replace(model.config, visual=visual)
        model.config = dataclasses.replace(model.config, attention=measure_parts(model, library))
        graded = grade_maps(model, data)
        mixture = choose_mixture(graded)
        attention = dataclasses.replace(model.config.require_attention(), **mixture._asdict())
        model.config = dataclasses.replace(model.config, attention=attention)
        found = predict_shots(model, data)
        shots = None if found is None else found.heats
        display = DisplayConfig(**calibrate(model, library, shots), default_map=choose_map(graded, mixture))
    elif model.config.attention is not None and not released:
        print(
            "cmac_hub.train: how far maps lie off and how they are drawn was not measured; give --data", file=sys.stderr
        )
    training = ({"note": note} if note else {}) | model.config.training
    model.config = dataclasses.replace(
        model.config, display=display, license=license or model.config.license, training=training
    )
    write_folder(model.cpu(), folder, half=half, reports=reports, license_file=license_file, repository=repository)
    return model


def write(model: CMAC, folder: Path, *, half: bool = False) -> None:
    """Config, weights, and a README.md where there is none. Raises OutputError as `save_checkpoint` does."""
    save_checkpoint(model, folder, half=half)
    if not (card := Path(folder) / "README.md").exists():
        with replacing(card) as temporary:
            model.generate_model_card().save(temporary)
