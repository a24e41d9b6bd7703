"""CMAC Hub: what makes the sound, and where; and features of both streams (arXiv 2106.06939)."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from cmac_hub.config import CMACConfig
    from cmac_hub.encoders import AudioEncoder, VisualEncoder
    from cmac_hub.errors import CheckpointError, CMACError, MediaError, OutputError
    from cmac_hub.features import Features
    from cmac_hub.hub import Pretrained, load_cmac
    from cmac_hub.model import CMAC
    from cmac_hub.outputs import Attention
    from cmac_hub.visualizer import Visualizer

__version__ = "0.1.0"

_HOMES = {
    "Attention": "outputs",
    "AudioEncoder": "encoders",
    "CMAC": "model",
    "CMACConfig": "config",
    "CMACError": "errors",
    "CheckpointError": "errors",
    "Features": "features",
    "MediaError": "errors",
    "OutputError": "errors",
    "Pretrained": "hub",
    "VisualEncoder": "encoders",
    "Visualizer": "visualizer",
    "load_cmac": "hub",
}

__all__ = [
    "CMAC",
    "Attention",
    "AudioEncoder",
    "CMACConfig",
    "CMACError",
    "CheckpointError",
    "Features",
    "MediaError",
    "OutputError",
    "Pretrained",
    "VisualEncoder",
    "Visualizer",
    "load_cmac",
]


def __getattr__(name: str) -> Any:
    """Imports a name when it is first asked for, so that `import cmac_hub` costs nothing."""
    if name not in _HOMES:
        raise AttributeError(f"module 'cmac_hub' has no attribute {name!r}")
    return getattr(import_module(f"cmac_hub.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted([*__all__, "__version__"])
