"""A name -> a checkpoint folder -> a network. One function parses a name, one fetches the folder, one builds.

A checkpoint is a folder with `config.json` and `model.safetensors`. Loading is strict: every key, every shape, no
pickles, and never random weights in the place of trained ones.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import warnings
from importlib import resources
from pathlib import Path
from typing import Any, Literal, NamedTuple, TypeVar

import torch
from safetensors.torch import save
from torch import nn

from cmac_hub.config import CMACConfig, architectures
from cmac_hub.download import CONFIG, WEIGHTS, download
from cmac_hub.encoders.packed import PackedConv
from cmac_hub.errors import CheckpointError
from cmac_hub.files import make_folder, replacing
from cmac_hub.network import Network
from cmac_hub.weights_file import check_keys, check_numbers, read_weights, shapes_of, without_numbers

REPOSITORY = re.compile(r"([\w.-]+/[\w.-]+)(?:@(.+))?")
"""'owner/repo' or 'owner/repo@revision'."""

AnyNetwork = TypeVar("AnyNetwork", bound=Network)


class Source(NamedTuple):
    """Where a checkpoint lies."""

    kind: Literal["package", "hub", "folder"]
    location: str
    revision: str | None = None


REGISTERED: dict[str, Source] = {
    "cmac-lite": Source("package", "cmac-lite"),
    "cmac-nano": Source("package", "cmac-nano"),
}
"""Name -> what it stands for: weights in the package, which need no network; or `Source("hub", "owner/repo", COMMIT)`,
a repository at the commit that a version of the package was tested with. The one place that names them."""


def accepted() -> str:
    """What a name can be, for messages."""
    return (
        f"a registered name ({', '.join(REGISTERED)}), 'owner/repo' or 'hf-hub:owner/repo[@revision]' on the Hub, "
        "'local-dir:path', or a path"
    )


def parse_source(name: str | os.PathLike[str]) -> Source:
    """What a name means. A registered name wins, then an existing folder; "./x" is always a path.

    A folder that is named like a repository wins over it, with a warning.

    Raises:
        CheckpointError: the name is none of what is accepted.
    """
    text = os.fspath(name)
    if text in REGISTERED:
        return REGISTERED[text]
    if text.startswith("hf-hub:"):
        found = REPOSITORY.fullmatch(text.removeprefix("hf-hub:"))
        if found is None:
            raise CheckpointError(f"{text!r} names no repository; expected 'hf-hub:owner/repo[@revision]'")
        return Source("hub", found[1], found[2])
    if text.startswith("local-dir:"):
        return Source("folder", text.removeprefix("local-dir:"))
    if isinstance(name, os.PathLike) or text.startswith((".", "/", "~")):
        return Source("folder", text)
    repository = REPOSITORY.fullmatch(text)
    if Path(text).exists():
        if repository is not None:
            warnings.warn(
                f"{text} is the folder of that name; for the repository on the Hub write hf-hub:{text}", stacklevel=2
            )
        return Source("folder", text)
    if repository is not None:
        return Source("hub", repository[1], repository[2])
    if text in architectures():
        raise CheckpointError(f"no weights of {text!r} are published yet; accepted is {accepted()}")
    raise CheckpointError(f"unknown model {text!r}; accepted is {accepted()}")


def fetch(
    source: Source,
    *,
    revision: str | None = None,
    cache_dir: str | Path | None = None,
    token: str | bool | None = None,
    local_files_only: bool = False,
) -> Path:
    """The folder of a checkpoint on this machine; downloads it from the Hub when needed.

    A revision that is given wins over the one that the name has.

    Raises:
        CheckpointError: there is no such folder, or `download` fails; or a revision of something that is not on the
            Hub.
    """
    if source.kind == "hub":
        return download(source.location, revision or source.revision, cache_dir, token, local_files_only)
    if revision is not None:
        raise CheckpointError(f"{source.location} is not on the Hub, so it has no revision {revision!r}; leave it out")
    if source.kind == "package":
        return Path(str(resources.files("cmac_hub") / "weights" / source.location))
    folder = Path(source.location).expanduser()
    if not folder.exists():
        raise CheckpointError(f"there is no folder {folder}; accepted is {accepted()}")
    if not folder.is_dir():
        raise CheckpointError(
            f"{folder} is a file; give the folder that holds {CONFIG} and {WEIGHTS} (pickles are never loaded)"
        )
    return folder


def build(
    folder: Path, network: type[AnyNetwork], *, device: Any = None, dtype: torch.dtype | None = None
) -> AnyNetwork:
    """A checkpoint folder -> a network of that class in eval mode, with exactly the folder's weights.

    Raises:
        CheckpointError: a missing file, a pickle, a newer format; weights that `read_weights` refuses; a device or
            dtype that torch does not have.
    """
    for name in (CONFIG, WEIGHTS):
        if not (folder / name).is_file():
            pickles = [p.name for p in folder.iterdir() if p.suffix in {".bin", ".pt", ".pth", ".ckpt", ".pkl"}]
            refused = f"; {pickles[0]} is a pickle and never loaded" if pickles else ""
            if (folder / "checkpoints").is_dir():
                refused = f": it is a run; first say python -m cmac_hub.train release {folder} -o FOLDER"
            raise CheckpointError(f"{folder} has no {name}{refused}; expected {CONFIG} and {WEIGHTS}")
    config = CMACConfig.load(folder / CONFIG)
    model = without_numbers(network, config, folder / CONFIG)
    try:
        state = read_weights(folder / WEIGHTS, model.state_dict())
    except CheckpointError as error:
        own = model.state_dict().keys() - without_numbers(Network, config, folder / CONFIG).state_dict().keys()
        if any(f"missing {name}" in str(error) for name in own):
            load = "load_state_dict(CMAC.from_pretrained(...).state_dict(), strict=False)"
            raise CheckpointError(f"{error}; {network.__name__} has parts of its own: make it, then {load}") from error
        raise
    model.load_state_dict(state, strict=True, assign=True)
    try:
        # Moving nothing tells as well whether there is such a device.
        dtype = torch.float32 if dtype is None else dtype
        torch.empty(0, device=device, dtype=dtype)
        return model.to(device=device, dtype=dtype).requires_grad_(True).eval()
    except (RuntimeError, AssertionError, TypeError) as error:
        reason = str(error).splitlines()[0]
        raise CheckpointError(
            f"the network cannot be put on device {device!r} with dtype {dtype} ({reason})"
        ) from error


def load(
    name: str | os.PathLike[str],
    network: type[AnyNetwork],
    *,
    revision: str | None = None,
    device: Any = None,
    dtype: torch.dtype | None = None,
    cache_dir: str | Path | None = None,
    token: str | bool | None = None,
    local_files_only: bool = False,
) -> AnyNetwork:
    """A trained network of the class `network`, in eval mode.

    Args:
        name: a registered name ("cmac-lite", inside the package), "owner/repo" or "hf-hub:owner/repo[@revision]" on
            the Hub, "local-dir:path", or a path, see `parse_source`.
        network: made from a config alone.
        revision: branch, tag or commit on the Hub.
        device: where to put it; the default is the CPU.
        dtype: floating-point type; the default is fp32, whatever the weights are stored in.
        cache_dir: where downloads are kept.
        token: of a private repository.
        local_files_only: never use the network.

    Raises:
        CheckpointError: see `parse_source`, `fetch` and `build`.
    """
    folder = fetch(
        parse_source(name), revision=revision, cache_dir=cache_dir, token=token, local_files_only=local_files_only
    )
    return build(folder, network, device=device, dtype=dtype)


def save_checkpoint(network: Network, folder: str | Path, *, half: bool = False) -> None:
    """Writes `config.json` and `model.safetensors` of a network; both are written before either takes its place.

    Warns of weights that could not be loaded again: parts that the config does not describe, other names that pruning
    or a parametrization gave them, NaN.

    Args:
        network: of any dtype.
        folder: made when missing.
        half: store matrices and filters as fp16, for half the size; they are loaded as fp32.

    Raises:
        OutputError: they cannot be written, for example to a full disk.
        CheckpointError: the network is a copy that was optimized for inference.
    """
    if any(isinstance(module, PackedConv) for module in network.modules()):
        raise CheckpointError("this is a copy for inference, without batch norms; save the network it was made from")
    folder = make_folder(Path(folder))
    state = {name: tensor.detach().cpu().contiguous() for name, tensor in network.state_dict().items()}
    if half:
        # Not those of batch norms: a variance may be larger, or smaller, than fp16 knows.
        state = {name: tensor.half() if tensor.ndim > 1 else tensor for name, tensor in state.items()}
    with replacing(folder / CONFIG) as config, replacing(folder / WEIGHTS) as weights:
        config.write_text(network.config.to_text(), encoding="utf-8")
        weights.write_bytes(save(state, metadata={"format": "pt"}))
    try:
        expected = without_numbers(type(network), network.config, folder / CONFIG).state_dict()
        check_keys(shapes_of(expected), shapes_of(state), f"{folder / WEIGHTS} does not fit its config")
        check_numbers(state, expected, str(folder / WEIGHTS))
    except CheckpointError as error:
        # What was trained is not thrown away for it.
        warnings.warn(f"saved, but from_pretrained will refuse it: {error}", stacklevel=2)


def config_hash(config: CMACConfig) -> str:
    """Twelve hexadecimal digits that tell networks apart which make other results of the same weights: of their
    encoders, attention and window, and of the format, which stands for the laws by which windows are cut."""
    parts = config.to_dict()
    text = json.dumps([parts[name] for name in ("format_version", "window", "visual", "audio", "attention")])
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def checkpoint_hash(network: nn.Module) -> str:
    """Twelve hexadecimal digits that tell one set of weights from another."""
    digest = hashlib.sha256()
    for name, tensor in sorted(network.state_dict().items()):
        digest.update(name.encode() + tensor.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()[:12]
