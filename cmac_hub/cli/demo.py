"""`cmac demo`: draws a scene of two things, one of them sounding, and shows what the network makes of it."""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from safetensors.torch import save_file

from cmac_hub.cli.files import make_folder, replacing
from cmac_hub.demo import DEMO_SEEDS, DemoScene, make_scene
from cmac_hub.errors import CMACError
from cmac_hub.features import features_of_file
from cmac_hub.hub import load_cmac
from cmac_hub.media import write_video
from cmac_hub.moments import Peak


def demo(options: argparse.Namespace) -> int:
    """Writes demo.mp4, demo_attention.mp4, demo_figure.png and demo_features.safetensors, and says what was found."""
    if options.seed not in DEMO_SEEDS:
        raise CMACError(f"the seed is {options.seed}; the demo has scenes 0 to {len(DEMO_SEEDS) - 1}")
    folder = make_folder(Path(options.output))
    scene = make_scene(options.seed)
    video = folder / "demo.mp4"
    write_scene(scene, video, options.overwrite)
    visualizer = load_cmac(options.model, device=options.device).visualizer
    peaks = visualizer.render(
        video, folder / "demo_attention.mp4", layout="panel", window=options.window, overwrite=options.overwrite
    )
    loudest = max((p for p in peaks if p.sound), key=lambda p: p.score, default=peaks[0])
    with replacing(folder / "demo_figure.png", options.overwrite) as temporary:
        visualizer.figure(video, loudest.time, window=options.window).savefig(temporary, dpi=120)
    features = features_of_file(visualizer.model, video, window=options.window)
    with replacing(folder / "demo_features.safetensors", options.overwrite) as temporary:
        save_file(features.to_dict(), temporary)
    _tell(scene, peaks, folder)
    return 0


def write_scene(scene: DemoScene, path: Path, overwrite: bool) -> None:
    """A drawn scene as a video with its sound."""
    sound = scene.waveform, scene.sample_rate
    size = scene.width, scene.height
    write_video(path, scene.frames(), scene.frame_rate, *sound, size=size, overwrite=overwrite)


def _tell(scene: DemoScene, peaks: list[Peak], folder: Path) -> None:
    heard = [peak for peak in peaks if peak.sound]
    on_source, on_silent = 0, 0
    for peak in heard:
        index = min(len(scene) - 1, round(peak.time * scene.frame_rate))
        place = np.array([peak.x, peak.y])
        on_source += int(np.abs(place - scene.centres[index]).max() <= scene.size / 2)
        on_silent += int(np.abs(place - scene.silent_centres[index]).max() <= scene.size / 2)
    centre = scene.centres.mean(0)
    x, y = (float(np.median([getattr(p, axis) for p in heard])) for axis in "xy") if heard else (0.0, 0.0)
    print(f"the scene    a {scene.sounding} sounds, a {scene.silent} is silent, {scene.width} x {scene.height} pixels")
    print(f"the source   around x {centre[0]:.0f}, y {centre[1]:.0f}")
    print(f"attention    peaks around x {x:.0f}, y {y:.0f} (median of {len(heard)} windows)")
    print(f"             on the {scene.sounding} in {on_source} windows, on the {scene.silent} in {on_silent}")
    print(f"look at      {folder / 'demo_attention.mp4'}, {folder / 'demo_figure.png'}")
