"""How fast training is: the data alone, the step alone, both together, and how long a step waits for data.

    python benchmarks/pretrain.py --recipe nano --data DATA --steps 20
    python benchmarks/pretrain.py --recipe kinetics400 --device cuda --set batch=32 --compile

Prints clips a second; on a GPU also peak memory, and the share of the bf16 matrix product measured on the same device.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import torch
from tqdm import tqdm

from cmac_hub.errors import CMACError
from cmac_hub.model import CMAC
from cmac_hub.train.commands import overrides
from cmac_hub.train.momentum import MomentumNetwork
from cmac_hub.train.objective import Negatives, objective
from cmac_hub.train.optimization import make_optimizer, set_training
from cmac_hub.train.precision import autocast
from cmac_hub.train.pretrain import open_source
from cmac_hub.train.recipe import Recipe, load_recipe
from cmac_hub.train.stream import Pair, PairStream


def main() -> int:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--recipe", default="nano")
    parser.add_argument("--set", nargs="*", default=[], metavar="KEY=VALUE")
    parser.add_argument("--data", type=Path)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--threads", type=int, default=0)
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--compile", action="store_true", help="torch.compile the network")
    options = parser.parse_args()
    if options.threads:
        torch.set_num_threads(options.threads)
    try:
        recipe = load_recipe(options.recipe, **overrides(options.set))
        measure(recipe, options.data, options.device, options.steps, options.compile)
    except CMACError as error:
        print(f"benchmarks/pretrain.py: {error}")
        return 1
    return 0


def measure(recipe: Recipe, data: Path | None, device: str, steps: int, compiled: bool) -> None:
    """Data alone, step alone, together."""
    source = open_source(recipe, data)
    batches = iter(PairStream(source, recipe).loader())
    warm = [next(batches) for _ in range(2)]
    seconds = clock(lambda: next(batches), steps, device)
    report("data alone", recipe, seconds)

    step = Step(recipe, device, compiled)
    for _ in range(3):
        step(warm[0])
    seconds = clock(lambda: step(warm[1]), steps, device)
    report("step alone", recipe, seconds)
    if device.startswith("cuda"):
        flops = step.flops(warm[1]) / seconds
        ceiling = matmul_ceiling(device)
        print(
            f"{'':<14} {flops / 1e12:8.1f} TFLOP/s, {flops / ceiling:.0%} of the {ceiling / 1e12:.0f} of a bf16 product"
        )
        print(f"{'':<14} {torch.cuda.max_memory_allocated() / 2**30:8.1f} GiB at most")

    waited = 0.0

    def both() -> None:
        nonlocal waited
        since = time.perf_counter()
        batch = next(batches)
        waited += time.perf_counter() - since
        step(batch)

    seconds = clock(both, steps, device)
    report("together", recipe, seconds)
    print(f"{'':<14} {waited / (seconds * steps):8.0%} of the time waiting for data")


class Step:
    """One optimizer step of a recipe, without logging."""

    def __init__(self, recipe: Recipe, device: str, compiled: bool) -> None:
        torch.manual_seed(0)
        self.recipe, self.device = recipe, device
        self.model = CMAC(recipe.config).to(device)
        self.momentum = MomentumNetwork(self.model) if recipe.bank else None
        for network in (self.model, self.momentum):
            if network is not None:
                set_training(network, recipe)
        self.network = torch.compile(self.model) if compiled else self.model
        self.optimizer = make_optimizer(recipe, self.model)
        size = recipe.bank, recipe.config.attention.embedding
        bank = torch.nn.functional.normalize(torch.randn(size, device=device), dim=1)
        self.negatives = (
            Negatives(bank, bank, torch.arange(recipe.bank, device=device) + 10**9) if recipe.bank else None
        )

    def __call__(self, batch: Pair) -> None:
        """Forward, objective, backward, update."""
        clips, spectrograms = self.model.prepare(batch.frames, batch.waveform)
        keys = None
        with autocast(self.recipe, self.device):
            output = self.network(clips, spectrograms)
            if self.momentum is not None:
                self.momentum.update(self.model)
                keys = self.momentum(clips, spectrograms)
        video = torch.arange(len(batch.frames), device=self.device)
        losses = objective(output, video, self.recipe.objective, keys=keys, negatives=self.negatives)
        self.optimizer.zero_grad(set_to_none=True)
        losses.total.backward()
        self.optimizer.step()

    def flops(self, batch: Pair) -> float:
        """Floating-point operations of one step, counted by PyTorch."""
        from torch.utils.flop_counter import FlopCounterMode

        network, self.network = self.network, self.model
        with FlopCounterMode(display=False) as counter:
            self(batch)
        self.network = network
        return float(counter.get_total_flops())


def clock(work: object, times: int, device: str) -> float:
    """Seconds a call, mean of some."""
    assert callable(work)
    since = time.perf_counter()
    for _ in tqdm(range(times), leave=False):
        work()
    if device.startswith("cuda"):
        torch.cuda.synchronize()
    return (time.perf_counter() - since) / times


def matmul_ceiling(device: str, size: int = 8192) -> float:
    """FLOP/s of a bf16 product of two square matrices."""
    one = torch.randn(size, size, device=device, dtype=torch.bfloat16)
    for _ in range(3):
        one @ one
    torch.cuda.synchronize()
    return 2 * size**3 / clock(lambda: one @ one, 20, device)


def report(what: str, recipe: Recipe, seconds: float) -> None:
    """One line."""
    micro = recipe.batch // recipe.accumulate
    print(f"{what:<14} {micro / seconds:8.1f} clips/s, {1000 * seconds:.0f} ms a batch of {micro}")


if __name__ == "__main__":
    raise SystemExit(main())
