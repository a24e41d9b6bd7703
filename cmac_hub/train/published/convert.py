"""A published checkpoint -> a network of this package, every weight of it accounted for.

    python -m cmac_hub.train convert torchvision r2plus1d_18-91a641e6.pth -o kinetics

What is converted has the streams that it has: it gives features, is probed, searched with and finetuned within them,
and `pretrain --visual-from kinetics` begins with its encoder.
"""

from __future__ import annotations

import dataclasses
import hashlib
import pickle
import re
import sys
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from cmac_hub.errors import CheckpointError, short
from cmac_hub.model import CMAC
from cmac_hub.train.published.origins import ORIGINS, Origin
from cmac_hub.weights_file import check_keys, check_numbers, shapes_of, without_numbers

INSIDE = ("model", "state_dict", "model_state_dict")
"""Where a training checkpoint has its weights."""


def convert(name: str, path: Path) -> CMAC:
    """A network with the published weights, in eval mode; its config says where they come from.

    Args:
        name: of `ORIGINS`.
        path: the published file, .pth or .safetensors.

    Raises:
        CheckpointError: there is no such file; it holds more than weights, and what; a name is missing, unknown, or has
            another shape; or a number is NaN or infinite.
    """
    origin, state = ORIGINS[name], read_published(path)
    ours = rename(origin, state, path)
    missing: dict[str, Any] = {
        modality: None for modality in ("visual", "audio") if not any(key.startswith(modality) for key in ours)
    }
    if len(missing) == 2:
        raise CheckpointError(f"{path} has no encoder of {name}; its names begin with {_begin(state)}")
    made = {"origin": name, "paper": origin.paper, "code": origin.code, "file": path.name, "sha256": _sha256(path)}
    if differs := "; ".join(text for modality, text in origin.differs.items() if modality not in missing):
        made["differs"] = differs
    config = dataclasses.replace(origin.config, **missing, license=origin.license, training=made)
    expected = without_numbers(CMAC, config, path).state_dict()
    for key, like in expected.items():
        # PyTorch counts batches since 0.4.1, and only training reads it.
        if key.endswith(".num_batches_tracked"):
            ours.setdefault(key, torch.zeros_like(like, device="cpu"))
    check_keys(shapes_of(expected), shapes_of(ours), f"{path} is no checkpoint of {name}, in the names of this package")
    check_numbers(ours, expected, str(path))
    model = CMAC(config)
    model.load_state_dict(ours)
    return model.eval()


def tell_differences(model: CMAC) -> None:
    """One line on stderr where the network hears or sees otherwise than where it was trained."""
    if differs := model.config.training.get("differs"):
        print(f"cmac_hub.train: {model.config.name} is measured with this package's input: {differs}", file=sys.stderr)


def read_published(path: Path) -> dict[str, Tensor]:
    """The weights of a file by their published names; of a training checkpoint, those of its model.

    Raises:
        CheckpointError: see `convert`.
    """
    if not path.is_file():
        raise CheckpointError(f"there is no file {path}; give the checkpoint that was published")
    try:
        found = load_file(path) if path.suffix == ".safetensors" else torch.load(path, "cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        refused = re.search(r"GLOBAL ([\w.]+)", str(error))
        if refused is None:
            raise CheckpointError(f"{path} holds no weights that can be read ({_first_line(error)})") from error
        raise CheckpointError(
            f"{path} holds {refused[1]} beside the weights, and what may run code is not read; if you trust it, save "
            f"the weights alone: torch.save(torch.load({path.name!r}, weights_only=False)['model'], 'weights.pth')"
        ) from error
    except (OSError, RuntimeError, EOFError, ValueError, KeyError, SafetensorError, zipfile.BadZipFile) as error:
        raise CheckpointError(f"{path} holds no weights that can be read ({_first_line(error)})") from error
    for inside in INSIDE:
        if isinstance(found, dict) and isinstance(found.get(inside), dict):
            found = found[inside]
            break
    if not isinstance(found, dict) or not found or not all(isinstance(one, Tensor) for one in found.values()):
        raise CheckpointError(f"{path} holds no weights by name, nor under {', '.join(INSIDE)}")
    return {str(key): value for key, value in found.items()}


def rename(origin: Origin, state: Mapping[str, Tensor], path: Path) -> dict[str, Tensor]:
    """Weights by the names of this package. Raises CheckpointError for a name that the origin's code does not have."""
    ours = {}
    for key, tensor in state.items():
        try:
            # Networks trained on several GPUs have all names behind this one.
            name = origin.rename(key.removeprefix("module."))
        except KeyError:
            raise CheckpointError(
                f"{path} has the weight {short(key, 100)}, which {origin.config.name} does not have; is it of another "
                f"of {', '.join(ORIGINS)}?"
            ) from None
        if name is not None:
            turned = tensor.ndim == 4 and re.fullmatch(origin.turned, name) is not None
            ours[name] = tensor.transpose(2, 3).contiguous() if turned else tensor
    return ours


def _begin(state: Mapping[str, Any]) -> str:
    return ", ".join(sorted({short(key.split(".")[0], 40) for key in state})[:5])


def _first_line(error: BaseException) -> str:
    return short(str(error).splitlines()[0] if str(error) else type(error).__name__)


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
