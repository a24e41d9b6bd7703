"""How fast training is: the data alone, the step alone, both together; or the step alone in every way to compute it.

    python benchmarks/pretrain.py --recipe nano --data DATA --steps 20
    python benchmarks/pretrain.py --recipe kinetics400 --device cuda --set checkpointing=true
    python benchmarks/pretrain.py --variants --recipe kinetics400 --device cuda --json variants.json # under 6 minutes
    python benchmarks/pretrain.py --variants --set batch=2 bank=10 --backend aot_eager --steps 1     # its rehearsal

It runs the step that training runs. Operations are those of the model, counted by PyTorch; what is padded or computed
twice is not. On a GPU they are compared with a bf16 product of matrices on the same device.
"""

from __future__ import annotations

import argparse
import gc
import json
import time
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from dataclasses import replace
from itertools import repeat
from pathlib import Path

import torch
from torch.utils.flop_counter import FlopCounterMode
from tqdm import tqdm
from variants import VARIANTS, Variant, limited

from cmac_hub.errors import CMACError
from cmac_hub.train import modules as train_modules
from cmac_hub.train.commands import overrides
from cmac_hub.train.distributed import World
from cmac_hub.train.interrupts import compiling, out_of_memory_hint
from cmac_hub.train.modules import Modules, make_modules, trying_algorithms
from cmac_hub.train.pretrain import open_source
from cmac_hub.train.recipe import Recipe, load_recipe
from cmac_hub.train.step import take_step
from cmac_hub.train.stream import Pair, PairStream


def main() -> int:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--recipe", default="nano")
    parser.add_argument("--set", nargs="*", default=[], metavar="KEY=VALUE")
    parser.add_argument("--data", type=Path)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--threads", type=int, default=0)
    parser.add_argument("--steps", type=int, default=20, help="measured; of each variant at most 8")
    parser.add_argument("--variants", action="store_true", help="the step alone, in every way to compute it")
    parser.add_argument("--minutes", type=float, default=5.5, help="for all variants")
    parser.add_argument("--json", type=Path, help="the variants' figures")
    parser.add_argument("--backend", default="inductor", help="of torch.compile")
    options = parser.parse_args()
    if options.threads:
        torch.set_num_threads(options.threads)
    train_modules.BACKEND = options.backend
    try:
        recipe, device = load_recipe(options.recipe, **overrides(options.set)), torch.device(options.device)
        if options.variants:
            compare(recipe, device, min(8, options.steps), 60 * options.minutes, options.json)
        else:
            measure(recipe, options.data, device, options.steps)
    except CMACError as error:
        print(f"benchmarks/pretrain.py: {error}")
        return 1
    return 0


def measure(recipe: Recipe, data: Path | None, device: torch.device, steps: int) -> None:
    """Data alone, step alone, together."""
    source = open_source(recipe, data)
    batches = iter(PairStream(source, recipe).loader(pin=device.type == "cuda"))
    warm = [next(batches) for _ in range(2)]
    report("data alone", recipe, clock(lambda: [next(batches) for _ in range(recipe.accumulate)], steps, device))

    with compiling(recipe.compile), out_of_memory_hint(), trying_algorithms():
        step = Step(recipe, device)
        for _ in range(3):
            step(repeat(warm[0]))
        seconds = clock(lambda: step(repeat(warm[1])), steps, device)
        report("step alone", recipe, seconds)
        if device.type == "cuda":
            rate, ceiling = recipe.batch * operations(recipe, device) / seconds, matmul_ceiling(device)
            share = f"{rate / ceiling:.0%} of the {ceiling / 1e12:.0f} of a bf16 product"
            print(f"{'':<14} {rate / 1e12:8.1f} TFLOP/s, {share}")
            print(f"{'':<14} {torch.cuda.max_memory_allocated() / 2**30:8.1f} GiB at most")

        waited = 0.0

        def both() -> None:
            nonlocal waited
            waited += step(batches)

        seconds = clock(both, steps, device)
    report("together", recipe, seconds)
    print(f"{'':<14} {waited / (seconds * steps):8.0%} of the time waiting for data")


class Step:
    """The step of training, with figures that nobody reads."""

    def __init__(self, recipe: Recipe, device: torch.device) -> None:
        self.recipe, self.world, self.done = recipe, World(device=device), 0
        self.modules: Modules = make_modules(recipe, None, self.world)

    def __call__(self, batches: Iterator[Pair]) -> float:
        """Seconds that it waited for data."""
        args = self.recipe, self.modules, self.modules.model, batches, self.world, self.done, 1e-4
        self.done += 1
        return take_step(*args, lambda *_: None).waited


def compare(recipe: Recipe, device: torch.device, steps: int, seconds: float, path: Path | None) -> None:
    """A table of the variants, as far as the time goes: those that matter most come first."""
    since = time.monotonic()
    gpu = device.type == "cuda"
    per_clip = operations(recipe, device)
    ceiling = matmul_ceiling(device) if gpu else None
    found: dict[str, dict[str, float | str]] = {}
    for variant in VARIANTS:
        left = seconds - (time.monotonic() - since)
        try:
            with limited(left):
                found[variant.name] = measure_variant(variant, recipe, device, steps)
        except (TimeoutError, CMACError, RuntimeError) as error:
            # A compiler that is interrupted has words of its own for it.
            over = time.monotonic() - since >= seconds - 1
            found[variant.name] = {"left out": "no time left" if over else str(error).strip().splitlines()[0][:80]}
    reference = found[VARIANTS[0].name].get("clips_per_second")
    name = torch.cuda.get_device_name(device) if gpu else "cpu"
    print(f"{name}, {recipe.name}, batch {recipe.batch}, {per_clip / 1e9:.0f} GFLOP a clip")
    print("| step | clips/s | times the first | TFLOP/s | share of the product | GiB | first step, s |")
    print("| --- | --- | --- | --- | --- | --- | --- |")
    for variant, row in found.items():
        if "left out" in row:
            print(f"| {variant} | {row['left out']} | | | | | |")
            continue
        rate = float(row["clips_per_second"])
        row["tflops"] = rate * per_clip / 1e12
        share = f"{rate * per_clip / ceiling:.0%}" if ceiling else ""
        times = f"{rate / float(reference):.2f}" if reference else ""
        cells = (f"{rate:.1f}", times, f"{row['tflops']:.1f}", share, f"{row['gib']:.1f}", f"{row['first_step']:.0f}")
        print(f"| {variant} | {' | '.join(cells)} |")
    if path is not None:
        known = {
            "device": name,
            "batch": recipe.batch,
            "flop_a_clip": per_clip,
            "product": ceiling,
            "torch": torch.__version__,
        }
        path.write_text(json.dumps({**known, "variants": found}, indent=2) + "\n")


def measure_variant(variant: Variant, recipe: Recipe, device: torch.device, steps: int) -> dict[str, float | str]:
    """Its figures, on a batch of noise that lies ready."""
    gpu = device.type == "cuda"
    recipe = recipe.replace(**variant.changes)
    torch._dynamo.reset()
    gc.collect()
    if gpu:
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()
    batches = repeat(noise(recipe, recipe.batch // recipe.accumulate, pin=gpu))
    since = time.monotonic()
    tries = trying_algorithms() if variant.tries else nullcontext()
    with tries, out_of_memory_hint(), compiling(recipe.compile):
        step = Step(recipe, device)
        step(batches)
        if gpu:
            torch.cuda.synchronize()
        first = time.monotonic() - since
        step(batches)
        seconds = clock(lambda: step(batches), steps, device)
    gib = torch.cuda.max_memory_allocated() / 2**30 if gpu else 0.0
    return {"clips_per_second": recipe.batch / seconds, "gib": gib, "first_step": first}


def noise(recipe: Recipe, clips: int, *, pin: bool) -> Pair:
    """A batch of the recipe's size."""
    visual, audio = recipe.config.require_visual(), recipe.config.require_audio()
    shape = clips, visual.frames, visual.size, visual.size, 3
    frames = torch.randint(256, shape, dtype=torch.uint8)
    sounds = torch.randn(clips, round(recipe.config.window * audio.sample_rate)).clamp(-1, 1)
    pair = Pair(frames, sounds, torch.arange(clips), torch.zeros(clips, dtype=torch.int64))
    return Pair(*(part.pin_memory() for part in pair)) if pin else pair  # type: ignore[union-attr]


def operations(recipe: Recipe, device: torch.device) -> float:
    """Floating-point operations of a clip in a step, whatever way it is computed in."""
    clips = recipe.tiles**2 * 2
    plain = {"compile": False, "fused_norms": False, "padded_planes": 1, "checkpointing": False, "accumulate": 1}
    recipe = replace(recipe, **plain, batch=clips)
    step = Step(recipe, device)
    with FlopCounterMode(display=False) as counter:
        step(repeat(noise(recipe, clips, pin=False)))
    return counter.get_total_flops() / clips


def clock(work: Callable[[], object], times: int, device: torch.device) -> float:
    """Seconds a call, mean of some."""
    if device.type == "cuda":
        torch.cuda.synchronize()
    since = time.perf_counter()
    for _ in tqdm(range(times), leave=False):
        work()
    if device.type == "cuda":
        torch.cuda.synchronize()
    return (time.perf_counter() - since) / times


def matmul_ceiling(device: torch.device, size: int = 8192) -> float:
    """FLOP/s of a bf16 product of two square matrices."""
    one = torch.randn(size, size, device=device, dtype=torch.bfloat16)
    for _ in range(3):
        one @ one
    return 2 * size**3 / clock(lambda: one @ one, 20, device)


def report(what: str, recipe: Recipe, seconds: float) -> None:
    """One line."""
    print(f"{what:<14} {recipe.batch / seconds:8.1f} clips/s, {1000 * seconds:.0f} ms a batch of {recipe.batch}")


if __name__ == "__main__":
    raise SystemExit(main())
