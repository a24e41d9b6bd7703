"""CMAC Hub: what makes the sound, and where; and features of both streams (arXiv 2106.06939)."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from cmac_hub.version import __version__ as __version__

if TYPE_CHECKING:
    from cmac_hub.config import CMACConfig
    from cmac_hub.errors import CheckpointError, CMACError, MediaError, MissingPartError, OutputError
    from cmac_hub.feature_folder import FeaturesDataset
    from cmac_hub.features import Features
    from cmac_hub.model import CMAC
    from cmac_hub.outputs import Attention
    from cmac_hub.pretrained import Pretrained, load_cmac
    from cmac_hub.registry import AudioConfig, VisualConfig, register_encoder
    from cmac_hub.visualizer import Visualizer

_HOMES = {
    "Attention": "outputs",
    "AudioConfig": "registry",
    "CMAC": "model",
    "CMACConfig": "config",
    "CMACError": "errors",
    "CheckpointError": "errors",
    "Features": "features",
    "FeaturesDataset": "feature_folder",
    "MediaError": "errors",
    "MissingPartError": "errors",
    "OutputError": "errors",
    "Pretrained": "pretrained",
    "VisualConfig": "registry",
    "Visualizer": "visualizer",
    "load_cmac": "pretrained",
    "register_encoder": "registry",
}

__all__ = [
    "CMAC",
    "Attention",
    "AudioConfig",
    "CMACConfig",
    "CMACError",
    "CheckpointError",
    "Features",
    "FeaturesDataset",
    "MediaError",
    "MissingPartError",
    "OutputError",
    "Pretrained",
    "VisualConfig",
    "Visualizer",
    "load_cmac",
    "register_encoder",
]


def __getattr__(name: str) -> Any:
    """Imports a name when it is first asked for, so that `import cmac_hub` costs nothing."""
    if name not in _HOMES:
        raise AttributeError(f"module 'cmac_hub' has no attribute {name!r}")
    return getattr(import_module(f"cmac_hub.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted([*__all__, "__version__"])
