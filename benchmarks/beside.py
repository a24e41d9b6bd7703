"""Our networks beside what one would take instead: time and memory for the same minute, in the same run.

python benchmarks/beside.py videos/ --yamnet yamnet.tflite

For sounds YAMNet (by ai-edge-litert, extra `teachers`) and openl3's audio network (by torchopenl3, its port to PyTorch;
openl3 itself needs an old TensorFlow); for pictures a DINO ViT-S/8 frame by frame (by timm, extra `backbones`) and
torchvision's R(2+1)D-18. What is not installed is left out and named. Speed needs no weights: all but YAMNet and ours
have random ones. Each runs in a process of its own, of one thread, in turns; processor time of the network alone.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

from cmac_hub.media import probe, windows
from cmac_hub.media.find import VIDEO_SUFFIXES, find_inputs
from cmac_hub.windows import Window

Run = Callable[[list[Window]], Any]


def ours(name: str, dtype: str, stream: str) -> tuple[dict[str, Any], Run]:
    """One encoder of a released network, optimized, as `cmac features` runs it."""
    from cmac_hub import CMAC
    from cmac_hub.allocator import keep_freed_memory
    from cmac_hub.inference import batches

    keep_freed_memory()
    network = CMAC.from_pretrained(name).optimize_for_inference(dtype)
    visual, audio = network.config.require_visual(), network.config.require_audio()
    without = {"waveform": None} if stream == "pictures" else {"frames": None, "frame_times": None}

    def run(found: list[Window]) -> None:
        for _ in batches(network, [dataclasses.replace(one, **without) for one in found]):
            pass

    cut = {"frames": visual.frames, "size": visual.size, "multiple": visual.multiple, "sample_rate": audio.sample_rate}
    return cut, run


def yamnet(path: Path) -> tuple[dict[str, Any], Run]:
    """One window of 0.975 s a second."""
    from cmac_hub.train.distillation.teacher import YAMNet

    teacher = YAMNet(path)
    return {"frames": 1, "size": 8, "sample_rate": 16000}, lambda found: [
        teacher.embed(one.waveform[None, : teacher.samples]) for one in found if one.waveform is not None
    ]


def openl3() -> tuple[dict[str, Any], Run]:
    """The network of 256 mels and 512 numbers, one window a second."""
    from torchopenl3.models import PytorchOpenl3

    network = PytorchOpenl3(content_type="env", input_repr="mel256", embedding_size=512).eval()

    def run(found: list[Window]) -> None:
        waveforms = torch.from_numpy(np.stack([one.waveform for one in found if one.waveform is not None]))
        for some in waveforms[:, None].split(8):
            network(some)

    return {"frames": 1, "size": 8, "sample_rate": 48000}, run


def dino() -> tuple[dict[str, Any], Run]:
    """One frame a second, 224x224."""
    import timm

    network = timm.create_model("vit_small_patch8_224.dino", pretrained=False).eval()
    return {"frames": 1, "size": 224, "sample_rate": 8000}, _on_clips(network, 224, lambda clips: clips[:, :, 0], 2)


def r2plus1d() -> tuple[dict[str, Any], Run]:
    """One clip of 16 frames a second, 112x112."""
    from torchvision.models.video import r2plus1d_18

    network = r2plus1d_18(weights=None).eval()
    return {"frames": 16, "size": 112, "sample_rate": 8000}, _on_clips(network, 112, lambda clips: clips, 4)


def _on_clips(network: torch.nn.Module, side: int, shape: Callable[[torch.Tensor], torch.Tensor], batch: int) -> Run:
    def run(found: list[Window]) -> None:
        for first in range(0, len(found), batch):
            some = [one.frames for one in found[first : first + batch] if one.frames is not None]
            top, left = (some[0].shape[1] - side) // 2, (some[0].shape[2] - side) // 2
            frames = np.stack([one[:, top : top + side, left : left + side] for one in some])
            network(shape(torch.from_numpy(frames).permute(0, 4, 1, 2, 3).float() / 255))

    return run


RIVALS: dict[str, tuple[str, Callable[[argparse.Namespace], tuple[dict[str, Any], Run]]]] = {
    "YAMNet": ("sounds", lambda options: yamnet(options.yamnet)),
    "openl3 (torchopenl3)": ("sounds", lambda options: openl3()),
    "DINO ViT-S/8, 1 frame/s": ("pictures", lambda options: dino()),
    "torchvision R(2+1)D-18, 16 frames/s": ("pictures", lambda options: r2plus1d()),
} | {
    f"{name}, {dtype}, {stream}": (stream, lambda options, how=(name, dtype, stream): ours(*how))
    for stream in ("sounds", "pictures")
    for name in ("cmac-nano", "cmac-lite")
    for dtype in ("float32", "auto")
}


def child(options: argparse.Namespace) -> None:
    """Measures one, and prints it as JSON."""
    torch.set_num_threads(1)
    stream, make = RIVALS[options.child]
    cut, run = make(options)
    used, count, warm = 0.0, 0, False
    how = {**cut, "video": stream == "pictures", "audio": stream == "sounds"}
    for one in find_inputs([str(options.videos)], VIDEO_SUFFIXES):
        info = probe(one.path)
        if not (info.has_video and info.has_audio):
            continue
        found = [window for window in windows(info, **how) if not window.padded][: options.seconds - count]
        if not found:
            continue
        with torch.inference_mode():
            if not warm:
                run(found[:2])
                warm = True
            since = time.process_time()
            run(found)
            used += time.process_time() - since
        count += len(found)
        if count >= options.seconds:
            break
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**10
    print("MEASURED", json.dumps({"seconds": used * 60 / count, "count": count, "peak": peak}))


def main() -> int:
    """Prints a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("videos", type=Path, help="a folder of videos with sound, a minute together")
    parser.add_argument("--yamnet", type=Path, default=Path("yamnet.tflite"))
    parser.add_argument("--seconds", type=int, default=60, help="of video; figures are a minute's")
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--child", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        child(options)
        return 0
    found: dict[str, list[dict[str, float]]] = {}
    for _ in range(options.turns):
        for name in RIVALS:
            command = [sys.executable, __file__, *sys.argv[1:], "--child", name]
            environment = os.environ | {"OMP_NUM_THREADS": "1"}
            done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
            lines = [line for line in done.stdout.splitlines() if line.startswith("MEASURED ")]
            if lines:
                found.setdefault(name, []).append(json.loads(lines[0].removeprefix("MEASURED ")))
            elif name not in found:
                print(f"{name} is left out: {(done.stderr.strip().splitlines() or ['it ended'])[-1]}", file=sys.stderr)
    for stream in ("sounds", "pictures"):
        rows = {name: measured for name, measured in found.items() if RIVALS[name][0] == stream}
        pace = {name: statistics.median(one["seconds"] for one in measured) for name, measured in rows.items()}
        print(
            f"\n| {stream} | s of processor time a minute | times the quickest | peak MiB |\n| --- | --- | --- | --- |"
        )
        for name in sorted(pace, key=pace.__getitem__):
            peak = statistics.median(one["peak"] for one in rows[name])
            print(f"| {name} | {pace[name]:.2f} | {pace[name] / min(pace.values()):.1f} | {peak:.0f} |")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
