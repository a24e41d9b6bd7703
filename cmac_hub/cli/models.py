"""`cmac info` and `cmac download`."""

from __future__ import annotations

import argparse

from cmac_hub.hub import fetch, load_model, parse_source


def info(options: argparse.Namespace) -> int:
    """Prints what a model is: its sizes, what it sees and hears, how it was trained."""
    model = load_model(options.model)
    config = model.config
    millions = sum(p.numel() for p in model.parameters()) / 1e6
    visual, audio = config.visual, config.audio
    print(f"{config.name}: {millions:.2f} M parameters, licence {config.license}")
    print(f"folder       {fetch(parse_source(options.model))}")
    print(f"window       {config.window:g} s")
    print(
        f"picture      {visual.frames} frames, short side {visual.size} px; "
        f"R(2+1)D-{visual.depth}, C = {visual.channels}"
    )
    print(
        f"sound        {audio.sample_rate} Hz, {audio.mel_bands} mel bands to {audio.mel_max_hz:g} Hz; "
        f"ResNet-9, C = {audio.channels}"
    )
    print(
        f"attention    {config.attention.normalization}, {config.attention.scales} scales, "
        f"D = {config.attention.embedding}"
    )
    print(f"map drawn    {config.display.default_map}")
    for key, value in config.training.items():
        print(f"{key:<12} {value}")
    return 0


def download(options: argparse.Namespace) -> int:
    """Fetches a model and prints where it lies."""
    print(fetch(parse_source(options.model)))
    return 0
