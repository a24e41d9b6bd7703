"""`cmac demo`: draws a scene of two things, one of them the source, and shows what the network makes of it.

`cmac demo --serve` opens the page of `cmac_hub.page` instead.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from safetensors.torch import save

from cmac_hub.config import DEMO_NETWORK
from cmac_hub.demo import DEMO_SEEDS, DemoScene, make_scene
from cmac_hub.errors import ArgumentError, CMACError
from cmac_hub.features import features_of_file
from cmac_hub.files import make_folder, replacing
from cmac_hub.media import write_video
from cmac_hub.moments import Peak
from cmac_hub.page import PORT, serve
from cmac_hub.pretrained import load_cmac

SEED = 4
"""Of the scene that is drawn when none is asked for."""


def demo(options: argparse.Namespace) -> int:
    """Writes demo.mp4, demo_attention.mp4, demo_figure.png and demo_features.safetensors, and prints what was found."""
    if options.serve:
        return _serve(options)
    if options.port is not None:
        raise ArgumentError("--port is of the page; give --serve as well")
    seed = SEED if options.seed is None else options.seed
    if seed not in DEMO_SEEDS:
        raise CMACError(f"the seed is {seed}; the demo has scenes 0 to {len(DEMO_SEEDS) - 1}")
    folder = make_folder(Path(options.output or "cmac-demo"))
    scene = make_scene(seed)
    video = folder / "demo.mp4"
    write_drawn_scene(scene, video, options.overwrite)
    visualizer = load_cmac(options.model or DEMO_NETWORK, device=options.device).visualizer
    peaks = visualizer.render(
        video, folder / "demo_attention.mp4", layout="panel", window=options.window, overwrite=options.overwrite
    )
    surest = max((p for p in peaks if p.audible), key=lambda p: p.score, default=peaks[0])
    with replacing(folder / "demo_figure.png", options.overwrite) as temporary:
        visualizer.figure(video, surest.time, window=options.window).savefig(temporary, dpi=120)
    features = features_of_file(visualizer.model, video, window=options.window)
    with replacing(folder / "demo_features.safetensors", options.overwrite) as temporary:
        temporary.write_bytes(save(features.to_dict()))
    _print_summary(visualizer.model.config.name, scene, peaks, folder)
    return 0


def _serve(options: argparse.Namespace) -> int:
    given = {"--output": options.output, "--seed": options.seed, "--overwrite": options.overwrite or None}
    idle = [name for name, value in given.items() if value is not None]
    if idle:
        raise ArgumentError(f"the page writes no files of yours and has scenes to choose: leave out {', '.join(idle)}")
    network = {} if options.model is None else {"network": options.model}
    serve(PORT if options.port is None else options.port, device=options.device, window=options.window, **network)
    return 0


def write_drawn_scene(scene: DemoScene, path: Path, overwrite: bool) -> None:
    """A drawn scene as a video with its sound."""
    sound = scene.waveform, scene.sample_rate
    size = scene.width, scene.height
    write_video(path, scene.frames(), scene.frame_rate, *sound, size=size, overwrite=overwrite)


def _print_summary(network: str, scene: DemoScene, peaks: list[Peak], folder: Path) -> None:
    audible = [peak for peak in peaks if peak.audible]
    on_source, on_distractor = 0, 0
    for peak in audible:
        index = min(len(scene) - 1, round(peak.time * scene.frame_rate))
        place = np.array([peak.x, peak.y])
        on_source += int(np.abs(place - scene.source_centers[index]).max() <= scene.size / 2)
        on_distractor += int(np.abs(place - scene.distractor_centers[index]).max() <= scene.size / 2)
    center = scene.source_centers.mean(0)
    x, y = (float(np.median([getattr(p, axis) for p in audible])) for axis in "xy") if audible else (0.0, 0.0)
    print(
        f"the scene    a {scene.source} sounds, a {scene.distractor} is silent, {scene.width} x {scene.height} pixels"
    )
    print(f"the source   around x {center[0]:.0f}, y {center[1]:.0f}")
    print(f"{network:<12} peaks around x {x:.0f}, y {y:.0f} (median of {len(audible)} windows)")
    print(f"             on the {scene.source} in {on_source} windows, on the {scene.distractor} in {on_distractor}")
    print(f"look at      {folder / 'demo_attention.mp4'}, {folder / 'demo_figure.png'}")
