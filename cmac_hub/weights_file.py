"""Weights from files of others: names, shapes, kinds and numbers are checked before memory is taken, and none is run.

The memory that a checkpoint takes is never more than a small multiple of its file: the network is first made without
numbers (torch's device "meta"), and its shapes are compared with those that the file really holds.
"""

from __future__ import annotations

import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn

from cmac_hub.config import CMACConfig
from cmac_hub.errors import CheckpointError, CMACError, short

AnyNetwork = TypeVar("AnyNetwork", bound=nn.Module)

Shapes = Mapping[str, tuple[int, ...]]

FLOATS = {torch.float64: "F64", torch.float32: "F32", torch.float16: "F16", torch.bfloat16: "BF16"}
"""Types that weights may be stored in."""


def without_numbers(network: type[AnyNetwork], config: CMACConfig, where: object) -> AnyNetwork:
    """A network of the config on the device "meta", which takes no memory.

    Raises CheckpointError where the config's numbers are such that PyTorch cannot even count its weights.
    """
    try:
        with torch.device("meta"):
            return network(config)
    except CMACError:
        raise
    except (RuntimeError, ValueError, OverflowError, MemoryError, TypeError, ZeroDivisionError) as error:
        reason = short(str(error).splitlines()[0] if str(error) else type(error).__name__)
        raise CheckpointError(f"{where} describes no network that can be made ({reason})") from error


def shapes_of(state: Mapping[str, Tensor]) -> dict[str, tuple[int, ...]]:
    """The shape of every tensor, by name."""
    return {name: tuple(tensor.shape) for name, tensor in state.items()}


def check_keys(expected: Shapes, found: Shapes, misfit: str) -> None:
    """Raises CheckpointError when names or shapes of weights differ: `misfit`, the first difference, how many more."""
    problems = [f"missing {name}" for name in expected if name not in found]
    problems += [f"unknown {short(name, 100)}" for name in found if name not in expected]
    problems += [
        f"{name} has shape {short(found[name], 100)}, the config asks for {shape}"
        for name, shape in expected.items()
        if name in found and found[name] != shape
    ]
    if problems:
        more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
        raise CheckpointError(f"{misfit}: {problems[0]}{more}")


def read_weights(path: Path, expected: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The tensors of a safetensors file.

    Args:
        path: of the file.
        expected: what it must hold, on any device: names, shapes, and whether they are whole numbers.

    Raises:
        CheckpointError: it is no safetensors file; a name is missing or unknown; a shape or kind is another; or a
            number is NaN or infinite.
    """
    try:
        with safe_open(path, "pt", device="cpu") as file:
            found = {name: tuple(file.get_slice(name).get_shape()) for name in file.keys()}  # noqa: SIM118
            check_keys(shapes_of(expected), found, f"{path} does not fit its config")
            state = {name: file.get_tensor(name) for name in expected}
    except (SafetensorError, OSError, RuntimeError, ValueError, OverflowError, KeyError) as error:
        if isinstance(error, CheckpointError):
            raise
        raise CheckpointError(
            f"{path} is no complete safetensors file ({short(str(error).splitlines()[0])})"
        ) from error
    check_numbers(state, expected, str(path))
    return state


def check_numbers(state: Mapping[str, Tensor], expected: Mapping[str, Tensor], where: str) -> None:
    """Raises CheckpointError for weights of a wrong kind, NaN or infinite, `where` says of which file."""
    for name, like in expected.items():
        tensor = state[name]
        if like.is_floating_point() and tensor.dtype not in FLOATS:
            given = str(tensor.dtype).removeprefix("torch.")
            raise CheckpointError(f"{where}: {name} is of {given}; accepted are {', '.join(FLOATS.values())}")
        if not like.is_floating_point() and tensor.dtype != like.dtype:
            wanted, given = (str(one.dtype).removeprefix("torch.") for one in (like, tensor))
            raise CheckpointError(f"{where}: {name} is of {given}; expected {wanted}")
        if tensor.is_floating_point() and not bool(tensor.isfinite().all()):
            raise CheckpointError(f"{where}: {name} holds NaN or infinite numbers; the run that made it broke down")


def check_archive(path: Path) -> None:
    """Whether a training checkpoint's zip holds what its size says, and nothing that unpacks to more.

    Raises CheckpointError, also for PyTorch's old format, which no version of this package has written.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            inside = archive.infolist()
    except (zipfile.BadZipFile, OSError, ValueError, OverflowError, NotImplementedError) as error:
        raise CheckpointError(f"{path} is no training checkpoint of this package ({error})") from error
    if any(one.compress_type != zipfile.ZIP_STORED for one in inside) or (
        sum(one.file_size for one in inside) > path.stat().st_size
    ):
        raise CheckpointError(f"{path} is no training checkpoint of this package: it unpacks to more than it is")


def check_state(state: Any, network: type[nn.Module], config: CMACConfig, where: Path) -> dict[str, Tensor]:
    """The weights of a training checkpoint, the file `where`, when they fit a network of the config.

    Raises CheckpointError as `read_weights` does.
    """
    if not isinstance(state, dict) or not all(isinstance(one, Tensor) for one in state.values()):
        raise CheckpointError(f"{where} holds no weights by name")
    plain = all(one.layout == torch.strided and one.device.type == "cpu" for one in state.values())
    # Views may show one number as a thousand.
    if not plain or sum(one.numel() * one.element_size() for one in state.values()) > where.stat().st_size:
        raise CheckpointError(f"{where} holds weights of more numbers than it has bytes for")
    expected = without_numbers(network, config, where).state_dict()
    check_keys(shapes_of(expected), shapes_of(state), f"{where} does not fit its own config")
    check_numbers(state, expected, str(where))
    return state
