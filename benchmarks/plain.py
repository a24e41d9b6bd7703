"""`localize` beside the plain way to the same overlay, with the same network, in the same run.

python benchmarks/plain.py dog.mp4

*The plain way* is what one writes in an hour: every frame to RGB, one window at a time through torchvision's
R(2+1)D-18 and an audio network as they come (eager fp32), matplotlib's colors and NumPy's blending frame by frame,
libx264 with our preset. Both draw a map four times a second. Random weights: speed needs no others.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
from pathlib import Path

import av
import matplotlib
import numpy as np
import torch
import torch.nn.functional as F
import torchaudio
import torchvision
from turns import in_turns

from cmac_hub import CMAC
from cmac_hub.allocator import keep_freed_memory
from cmac_hub.errors import CMACError
from cmac_hub.media import probe
from cmac_hub.train.recipe import load_recipe
from cmac_hub.visualizer import HOP, Visualizer


def main() -> int:
    """Prints a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("video", type=Path)
    parser.add_argument("--turns", type=int, default=3, help="beside a first one that is not counted")
    parser.add_argument("--recipe", default="kinetics400", help="whose network is drawn with; the paper's by default")
    options = parser.parse_args()
    try:
        info = probe(options.video)
        model = CMAC(load_recipe(options.recipe).config).eval()
    except CMACError as error:
        print(f"benchmarks/plain.py: {error}")
        return 1
    plain = Plain(model)
    keep_freed_memory()
    with tempfile.TemporaryDirectory() as folder:
        calls = {"the plain way": lambda: plain(options.video, Path(folder) / "plain.mp4")}
        for dtype in ("float32", "auto"):
            network = model.optimize_for_inference(dtype)
            calls[f"localize, {dtype}"] = lambda network=network: Visualizer(network).render(
                options.video, Path(folder) / "ours.mp4", scale="relative", overwrite=True
            )
        seconds = {name: statistics.median(found) for name, found in in_turns(calls, options.turns).items()}
    length = info.duration or 0.0
    print(f"{options.video.name}, {info.width}x{info.height}, {length:.1f} s, the network of {options.recipe}")
    print("| | seconds | times of playing speed | times as fast |\n| --- | --- | --- | --- |")
    for name, one in seconds.items():
        print(f"| {name} | {one:.1f} | {length / one:.2f} | {seconds['the plain way'] / one:.1f} |")
    return 0


class Plain:
    """The plain way. `model` says the sizes and lends its audio encoder."""

    def __init__(self, model: CMAC) -> None:
        visual, audio = model.config.require_visual(), model.config.require_audio()
        self.frames, self.size, self.window, self.rate = (
            visual.frames,
            visual.size,
            model.config.window,
            audio.sample_rate,
        )
        network = torchvision.models.video.r2plus1d_18(weights=None).eval()
        self.visual = torch.nn.Sequential(network.stem, network.layer1, network.layer2, network.layer3, network.layer4)
        self.audio = model.audio_encoder
        self.mel = torchaudio.transforms.MelSpectrogram(
            audio.sample_rate, audio.n_fft, audio.win_length, audio.hop_length, n_mels=audio.n_mels
        )
        with torch.no_grad():
            self.head = torch.nn.Linear(self.audio(torch.zeros(1, 1, audio.n_mels, 100)).shape[1], 512)

    @torch.no_grad()
    def __call__(self, path: Path, output: Path) -> None:
        """Draws one video."""
        frames, rate, waveform = self._read(path)
        maps = [self._map(frames, rate, waveform, begin) for begin in np.arange(0, len(frames) / rate, HOP)]
        colors = matplotlib.colormaps["turbo"]
        with av.open(str(output), "w") as file:
            stream = file.add_stream("libx264", round(rate), options={"preset": "superfast", "crf": "20"})
            stream.height, stream.width = frames[0].shape[:2]
            stream.pix_fmt = "yuv420p"
            for number, frame in enumerate(frames):
                heat = maps[min(len(maps) - 1, int(number / rate / HOP))]
                heat = F.interpolate(heat[None, None], frame.shape[:2], mode="bilinear")[0, 0].numpy()
                drawn = 0.5 * frame + 0.5 * 255 * colors(heat)[..., :3]
                file.mux(stream.encode(av.VideoFrame.from_ndarray(drawn.astype(np.uint8), format="rgb24")))
            file.mux(stream.encode())

    def _read(self, path: Path) -> tuple[list[np.ndarray], float, torch.Tensor]:
        with av.open(str(path)) as file:
            rate = float(file.streams.video[0].average_rate)
            frames = [frame.to_ndarray(format="rgb24") for frame in file.decode(video=0)]
        with av.open(str(path)) as file:
            resampler = av.AudioResampler("fltp", "mono", self.rate)
            sound = [part.to_ndarray()[0] for one in file.decode(audio=0) for part in resampler.resample(one)]
        return frames, rate, torch.from_numpy(np.concatenate(sound))

    def _map(self, frames: list[np.ndarray], rate: float, waveform: torch.Tensor, begin: float) -> torch.Tensor:
        """(h, w) in [0, 1]."""
        times = begin + np.arange(self.frames) * self.window / self.frames
        picked = np.stack([frames[min(len(frames) - 1, int(time * rate))] for time in times])
        clip = torch.from_numpy(picked).permute(0, 3, 1, 2).float() / 255
        height, width = clip.shape[2:]
        scale = self.size / min(height, width)
        clip = F.interpolate(clip, (round(height * scale), round(width * scale)), mode="bilinear", antialias=True)
        seen = self.visual((clip - 0.45)[None].div(0.225).transpose(1, 2)).mean(2)[0]
        heard = waveform[int(begin * self.rate) :][: int(self.window * self.rate)]
        heard = F.pad(heard, (0, int(self.window * self.rate) - len(heard)))
        sound = self.audio(self.mel(heard)[None, None].add(1e-6).log()).mean((2, 3))
        found = F.cosine_similarity(seen[None], self.head(sound)[..., None, None])[0]
        return (found - found.min()) / (found.max() - found.min()).clamp(min=1e-6)


if __name__ == "__main__":
    raise SystemExit(main())
