"""How many random seconds of videos a core reads for training, from large files and from `train index --cut` copies.

python benchmarks/reading.py videos/              # a folder of real footage, the first --files of it
python benchmarks/reading.py videos/ --network cmac-nano

The footage is written anew at 340x256 as Kinetics-400 is spread (x264's medium preset, a key frame every 250 frames,
sound copied), cut at each of --sizes, and read as `pretrain` reads it, files taking turns; medians of processor time,
so that other people's work on the machine counts little.
"""

from __future__ import annotations

import argparse
import dataclasses
import statistics
import tempfile
import time
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import torch

from cmac_hub.config import CMACConfig, architecture
from cmac_hub.errors import CMACError
from cmac_hub.inference import windows_for
from cmac_hub.media import probe
from cmac_hub.media.find import VIDEO_SUFFIXES, find_inputs
from cmac_hub.media.frames import Scaler, decode_frames
from cmac_hub.train.augmentation import ZOOM
from cmac_hub.train.videos.cut import Cut
from cmac_hub.train.videos.dataset_layouts import find_candidates
from cmac_hub.train.videos.index import index
from cmac_hub.train.videos.manifest import Manifest

CORES = 16
"""Of the machine beside a GPU that the last column thinks of."""


def write_large(source: Path, target: Path) -> None:
    """A video at 340x256, its sound copied."""
    info, scaler, tick = probe(source), Scaler(340, 256), Fraction(1, 90000)
    with av.open(str(target), "w") as container, av.open(str(source)) as read:
        how = {"preset": "medium", "crf": "23", "g": "250"}
        video = container.add_stream(
            "libx264", rate=Fraction(info.frame_rate or 25).limit_denominator(1001), options=how
        )
        video.width, video.height, video.pix_fmt = 340, 256, "yuv420p"
        video.codec_context.time_base = video.time_base = tick
        sound = read.streams.audio[0]
        copied = container.add_stream_from_template(sound)
        for moment, frame in decode_frames(info):
            small = av.VideoFrame.from_ndarray(scaler(frame), format="rgb24").reformat(format="yuv420p")
            small.pts, small.time_base = round((moment - info.start) / tick), tick
            container.mux(video.encode(small))
        container.mux(video.encode(None))
        for packet in read.demux(sound):
            if packet.dts is not None:
                packet.stream = copied
                container.mux(packet)


def read_pair(config: CMACConfig, manifest: Manifest, row: int, moment: float) -> float:
    """Seconds of processor time that a random second of one video takes."""
    segment, since = manifest[row], time.process_time()
    begin = segment.start + moment * max(0.0, segment.end - segment.start - config.window)
    window = next(windows_for(config, probe(segment.path), start=begin, stop=begin + config.window))
    assert window.frames is not None and window.waveform is not None
    return time.process_time() - since


def main() -> int:
    """Prints a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("videos", type=Path)
    parser.add_argument("--files", type=int, default=12)
    parser.add_argument("--turns", type=int, default=5)
    parser.add_argument("--sizes", type=int, nargs="+", default=[128, 160])
    parser.add_argument("--network", default="cmac-base")
    options = parser.parse_args()
    torch.set_num_threads(1)
    config = architecture(options.network)
    visual = config.require_visual()
    # As training with random crops reads.
    config = dataclasses.replace(config, visual=dataclasses.replace(visual, size=round(visual.size * ZOOM), multiple=1))
    try:
        found = [one.path for one in find_inputs([str(options.videos)], VIDEO_SUFFIXES)]
        sources = [one for one in found if (info := probe(one)).has_audio and info.has_video][: options.files]
        with tempfile.TemporaryDirectory() as name:
            report(Path(name), sources, config, options)
    except CMACError as error:
        print(f"benchmarks/reading.py: {error}")
        return 1
    return 0


def report(folder: Path, sources: list[Path], config: CMACConfig, options: argparse.Namespace) -> None:
    """Writes the files, reads them in turns, and prints."""
    large = folder / "large"
    large.mkdir()
    for number, source in enumerate(sources):
        write_large(source, large / f"{number}.mp4")
    sets, candidates = {"340x256": large}, find_candidates(large)
    index(candidates, folder / "340x256.csv", workers=1, progress=False)
    for size in options.sizes:
        sets[f"cut {size}"] = folder / f"cut{size}"
        cut = Cut(folder / f"cut{size}", size)
        since = time.process_time()
        index(candidates, folder / f"cut {size}.csv", cut=cut, workers=1, progress=False)
        took = (time.process_time() - since) / len(candidates)
        print(f"looking into and cutting a file at {size}: {took:.2f} s of processor time")
    manifests = {name: Manifest.load(folder / f"{name}.csv") for name in sets}
    times: dict[str, list[float]] = {name: [] for name in sets}
    for turn in range(options.turns + 1):
        for row in range(len(manifests["340x256"])):
            moment = float(np.random.default_rng([turn, row]).random())
            for name, manifest in manifests.items():
                took = read_pair(config, manifest, row, moment)
                if turn:
                    times[name].append(took)
    print("| files | KB a file | ms a clip | clips/s a core | times | clips/s on 16 cores, extrapolated |")
    print("| --- | --- | --- | --- | --- | --- |")
    first = statistics.median(times["340x256"])
    for name, path in sets.items():
        size = statistics.mean(one.stat().st_size for one in path.rglob("*.mp4")) / 1000
        took = statistics.median(times[name])
        line = f"| {name} | {size:.0f} | {1000 * took:.1f} | {1 / took:.0f} | {first / took:.1f} | {CORES / took:.0f} |"
        print(line)


if __name__ == "__main__":
    raise SystemExit(main())
