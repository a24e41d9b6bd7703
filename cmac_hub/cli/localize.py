"""`cmac localize` and `cmac figure`: videos in, pictures of the attention out."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from cmac_hub.cli.batch import TWICE, run_all
from cmac_hub.cli.told import Observed, check_told, telling, told_besides
from cmac_hub.cli.tracks import other_tracks
from cmac_hub.config import DEFAULT_NETWORK, HEARING
from cmac_hub.errors import MediaError, OutputError
from cmac_hub.files import make_folder, replacing
from cmac_hub.hub import REGISTERED, load
from cmac_hub.media import MediaInfo, probe
from cmac_hub.media.find import DRAWN, VIDEO_SUFFIXES, Input, find_inputs
from cmac_hub.media.writer import check_video_output
from cmac_hub.moments import Peak
from cmac_hub.network import Network
from cmac_hub.optimize import optimize_for_inference
from cmac_hub.visualizer import HOP, Visualizer


def localize(options: argparse.Namespace) -> int:
    """Draws an overlay video for every input."""
    inputs = find_inputs(options.inputs, VIDEO_SUFFIXES, drawn=False, output=options.output)
    targets = _targets(inputs, options)
    named = len(inputs) == 1 and not Path(options.inputs[0]).is_dir()
    if options.output is not None and (not named or names_folder(options.output)):
        make_folder(Path(options.output))
    # A single video that is there already is refused, unless something else is asked for.
    refused = named and not told_besides(options)
    if named and inputs[0].path.exists() and (refused or not targets[inputs[0].path].exists()):
        check_video_output(targets[inputs[0].path], options.overwrite, inputs[0].path)
    check_told(options, named)
    visualizer = _visualizer(options)
    taken: set[Path] = set()

    def work(one: Input) -> None:
        target = targets[one.path]
        if target in taken:
            raise OutputError(f"{target} was written for another input of this call already; {TWICE}")
        if not refused and target.exists() and not options.overwrite:
            taken.add(target)
            print(f"cmac: {target} exists already and is kept, however it was drawn", file=sys.stderr)
            if told.wants(one):
                info = probe(one.path, options.audio_track)
                with told.video(one, info, target) as observed:
                    observed.peaks = list(visualizer.locate(info, **_how(options, observed)))
            return
        if options.output is not None and not named:
            make_folder(target.parent)
        info = probe(one.path, options.audio_track)
        with told.video(one, info, target) as observed:
            drawing = {"layout": options.layout, "overwrite": options.overwrite, "progress": sys.stderr.isatty()}
            peaks = observed.peaks = visualizer.render(info, target, **_how(options, observed), **drawing)
            taken.add(target)
        if not options.json:
            print(target)
        for remark in _remarks(peaks, info, options, visualizer.model):
            print(f"cmac: {one.path} {remark}", file=sys.stderr)

    with telling(options, visualizer, named) as told:
        return run_all(inputs, work, options.debug, told.fail)


def _remarks(peaks: list[Peak], info: MediaInfo, options: argparse.Namespace, network: Network) -> Iterator[str]:
    """What is to be said of a file that was drawn."""
    if peaks and peaks[0].padded:
        yield "is shorter than a window: padded with silence and its last frame"
    drawn = options.map or network.config.display.default_map
    claiming = [peak for peak in peaks if peak.audible or drawn not in HEARING]
    if peaks and not claiming:
        yield f"has no audible sound{other_tracks(info, None)}: the frames say so, nothing is lit"
    if claiming and options.scale == "absolute" and not any(peak.lit for peak in claiming):
        lesser = network.config.name in REGISTERED.keys() - {DEFAULT_NETWORK}
        other = f", --model {DEFAULT_NETWORK} is made for real videos" if lesser else ""
        yield f"stays dark, as nothing stands out: --scale relative lights the likeliest places{other}"


def _how(options: argparse.Namespace, observed: Observed) -> dict[str, Any]:
    """How windows are observed, whether they are drawn or not."""
    return {
        "map": options.map,
        "window": options.window,
        "hop": options.hop or HOP,
        "scale": options.scale,
        "each": observed.each,
        "all_maps": observed.all_maps,
    }


def _visualizer(options: argparse.Namespace) -> Visualizer:
    network = load(options.model, Network, device=options.device)
    network.require_attention(options.run.rpartition(":")[2])
    return Visualizer(optimize_for_inference(network, options.dtype))


def _targets(inputs: list[Input], options: argparse.Namespace) -> dict[Path, Path]:
    """Each input's output: the file that was named, or STEM_attention.mp4 in the folder that was, or beside it."""
    single = len(inputs) == 1 and not Path(options.inputs[0]).is_dir()
    if options.output is not None and single and not names_folder(options.output):
        if not Path(options.output).suffix:
            raise OutputError(f"{options.output} is no folder yet; write {options.output}/ to make it, or NAME.mp4")
        return {inputs[0].path: Path(options.output)}
    if options.output is not None and Path(options.output).suffix.lower() in VIDEO_SUFFIXES:
        raise OutputError(f"{options.output} names one video; give a folder for the outputs of several")
    targets = {}
    for one in inputs:
        name = f"{one.path.stem}{DRAWN}.mp4"
        folder = one.path.parent if options.output is None else Path(options.output) / one.relative.parent
        targets[one.path] = folder / name
    return targets


def names_folder(output: str) -> bool:
    """Whether an output is a folder: one that is there, or a name that ends in a slash."""
    return Path(output).is_dir() or output.endswith(("/", os.sep))


def figure(options: argparse.Namespace) -> int:
    """Draws one moment of one video."""
    target, source = Path(options.output), Path(options.input)
    if target.suffix.lower() not in (".png", ".pdf", ".svg", ".jpg"):
        raise OutputError(f"{target} ends in {target.suffix or 'nothing'}; accepted are .png, .pdf, .svg, .jpg")
    if not source.exists():
        raise MediaError(f"there is no file {source}")
    with replacing(target, options.overwrite, source) as temporary:
        drawn = _visualizer(options).figure(
            source, options.time, window=options.window, audio_track=options.audio_track
        )
        drawn.savefig(temporary, dpi=120)
    print(target)
    return 0
