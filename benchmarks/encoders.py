"""How fast encoders are on this processor, as they are and optimized for inference, beside torchvision's R(2+1)D-18.

python benchmarks/encoders.py
python benchmarks/encoders.py --turns 3 --shapes 16x112

All variants of a row take turns, each called twice with the second call counted; the least of their times counts, which
other programs disturb least.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode
from torchvision.models.video import r2plus1d_18
from turns import in_turns

from cmac_hub import CMAC
from cmac_hub.allocator import keep_freed_memory
from cmac_hub.config import architecture
from cmac_hub.encoders import FrameEncoder
from cmac_hub.hub import REGISTERED

VARIANTS = {"float32": torch.float32, "bfloat16": torch.bfloat16}


def main() -> int:
    """Prints two tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--turns", type=int, default=9, help="beside a first one that is not counted")
    parser.add_argument("--shapes", nargs="*", default=["16x112", "32x128"], help="frames x pixels of R(2+1)D-18")
    parser.add_argument("--batches", nargs="*", type=int, default=[1, 4])
    parser.add_argument("--models", nargs="*", default=REGISTERED)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--keep-memory", action="store_true", help="as the commands do, see cmac_hub/allocator.py")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    if options.keep_memory:
        keep_freed_memory()
    ceilings = {name: product_speed(dtype) for name, dtype in VARIANTS.items()}
    told = ", ".join(f"{name} {speed / 1e9:.0f}" for name, speed in ceilings.items())
    print(f"{options.threads} threads; matrix product, GFLOP/s: {told}\n")
    print("| input | torchvision, ms | ours | optimized, float32 | bfloat16 | cosine of bfloat16 | GFLOP/s |")
    print("| --- | --- | --- | --- | --- | --- | --- |")
    with torch.inference_mode():
        for shape in options.shapes:
            for batch in options.batches:
                print(beside_torchvision(shape, batch, options.turns), flush=True)
        print("\n| encoder | as it is, ms | optimized, float32 | bfloat16 | GFLOP/s |\n| --- | --- | --- | --- | --- |")
        for name in options.models:
            for row in own(name, options.turns):
                print(row, flush=True)
    return 0


def beside_torchvision(shape: str, batch: int, turns: int) -> str:
    """A row: R(2+1)D-18 on clips of so many frames and pixels."""
    frames, size = map(int, shape.split("x"))
    torch.manual_seed(0)
    theirs = r2plus1d_18().eval()
    body = nn.Sequential(theirs.stem, theirs.layer1, theirs.layer2, theirs.layer3, theirs.layer4)
    network = CMAC(architecture("cmac-base")).eval()
    network.encoder("visual").load_state_dict(theirs.state_dict(), strict=False)
    clips = torch.randn(batch, frames, size, size, 3).permute(0, 4, 1, 2, 3)
    variants: dict[str, nn.Module] = {"torchvision": body, "ours": network.encoder("visual")}
    variants |= {name: network.optimize_for_inference(dtype).encoder("visual") for name, dtype in VARIANTS.items()}
    best = least({name: lambda one=one: one(clips) for name, one in variants.items()}, turns)
    with FlopCounterMode(display=False) as counter:
        expected = body(clips)
    cosine = F.cosine_similarity(*(one.float().mean((2, 3, 4)) for one in (expected, variants["bfloat16"](clips))))
    ratios = " | ".join(f"{best['torchvision'] / best[name]:.2f}x" for name in ("ours", *VARIANTS))
    speeds = rates(counter, [best[name] for name in VARIANTS])
    return f"| {batch}x{shape} | {1000 * best['torchvision']:.0f} | {ratios} | {cosine.min():.4f} | {speeds} |"


def own(name: str, turns: int) -> list[str]:
    """Rows of a released network: 16 windows of 16:9, and of sound."""
    network = CMAC.from_pretrained(name)
    fast = {variant: network.optimize_for_inference(dtype) for variant, dtype in VARIANTS.items()}
    visual, audio = network.config.require_visual(), network.config.require_audio()
    wide = round(visual.size * 16 / 9 / visual.multiple) * visual.multiple
    framewise = isinstance(network.encoder("visual"), FrameEncoder)
    shape = (4, visual.size, wide, 3) if framewise else (16, visual.frames, visual.size, wide, 3)
    inputs = {
        "visual": torch.randn(shape).movedim(-1, 1),
        "audio": torch.randn(16, 1, audio.n_mels, round(network.config.window / audio.hop_seconds)),
    }
    rows = []
    for modality, given in inputs.items():
        calls = {}
        for variant, one in {"as it is": network, **fast}.items():
            encoder = one.encoder(modality)
            run = encoder.encode_frames if framewise and modality == "visual" else encoder
            calls[variant] = lambda run=run, given=given: run(given)
        best = least(calls, turns)
        with FlopCounterMode(display=False) as counter:
            calls["as it is"]()
        ratios = " | ".join(f"{best['as it is'] / best[variant]:.2f}x" for variant in VARIANTS)
        speeds = rates(counter, list(best.values()))
        what = "x".join(map(str, given.shape))
        rows.append(f"| {name}, {modality}, {what} | {1000 * best['as it is']:.1f} | {ratios} | {speeds} |")
    return rows


def rates(counter: FlopCounterMode, seconds: list[float]) -> str:
    """GFLOP/s of the operations that were counted, in several times."""
    return ", ".join(f"{counter.get_total_flops() / one / 1e9:.0f}" for one in seconds)


def least(calls: dict[str, Callable[[], Tensor]], turns: int) -> dict[str, float]:
    """Seconds of each call, the least of some turns."""
    return {name: min(found) for name, found in in_turns(calls, turns, twice=True).items()}


def product_speed(dtype: torch.dtype, size: int = 2048) -> float:
    """FLOP/s of the product of two square matrices."""
    one = torch.randn(size, size, dtype=dtype)
    return 2 * size**3 / least({"": lambda: one @ one}, 9)[""]


if __name__ == "__main__":
    raise SystemExit(main())
