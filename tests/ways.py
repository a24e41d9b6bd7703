"""The ways of docs/compile_and_export.md to compile, export or shrink a network, and how far each is from fp32.

The page's table is `as_table()`; `test_compile_and_export.py` measures every cell.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from cmac_hub import CMAC

PARTS = ["visual encoder", "audio encoder", "whole network"]

Run = Callable[..., object]


class Bound(NamedTuple):
    """What a result may be apart from fp32, one thread, not compiled."""

    cosine: float
    """At least, of every row of every result."""
    difference: float
    """At most, relative to the largest value of a result."""

    def __str__(self) -> str:
        return f"{self.cosine:g}, {self.difference:g}"


class Way(NamedTuple):
    """One row of the table."""

    name: str
    make: Callable[[CMAC, str, tuple[Tensor, ...]], Run]
    """A network, the name of a part and an example of its inputs -> what is called in its place."""
    bounds: dict[str, list[Bound]]
    """By network, of each part."""
    dtype: torch.dtype = torch.float32
    """Of the inputs."""
    extras: bool = False
    """Takes a C++ compiler and minutes."""


def part_of(network: CMAC, part: str) -> nn.Module:
    found = {"visual encoder": network.visual_encoder, "audio encoder": network.audio_encoder, "whole network": network}
    return found[part]


def inputs_of(network: CMAC, part: str, batch: int) -> tuple[Tensor, ...]:
    """Smooth pictures and noise, as the network's `prepare` makes them."""
    visual, audio = network.config.visual, network.config.audio
    torch.manual_seed(batch)
    smooth = F.interpolate(torch.rand(batch * visual.frames, 3, 5, 7), (96, 128), mode="bilinear")
    frames = (255 * smooth).byte().unflatten(0, (batch, -1)).permute(0, 1, 3, 4, 2)
    clips, spectrograms = network.prepare(frames, torch.randn(batch, audio.sample_rate) / 5)
    return {"visual encoder": (clips,), "audio encoder": (spectrograms,)}.get(part, (clips, spectrograms))


def tensors_of(result: object) -> list[Tensor]:
    """A map; or the six maps, features and embeddings of `Output`, of nested tuples as well."""
    if isinstance(result, Tensor):
        return [result]
    (visual_map, _, _, visual), (audio_map, _, _, audio), maps = result
    return [*maps, visual_map.flatten(2).mean(2), audio_map.flatten(2).mean(2), visual, audio]


def compiled(backend: str) -> Callable[..., Run]:
    return lambda network, part, _: torch.compile(part_of(network, part), backend=backend, fullgraph=True)


def compiled_copy(backend: str) -> Callable[..., Run]:
    return lambda network, *rest: compiled(backend)(network.optimize_for_inference("float32"), *rest)


def exported(network: CMAC, part: str, example: tuple[Tensor, ...]) -> Run:
    batch = torch.export.Dim("batch")
    shapes = tuple({0: batch} for _ in example)
    return torch.export.export(part_of(network, part), example, dynamic_shapes=shapes).module()


def traced(network: CMAC, part: str, example: tuple[Tensor, ...]) -> Run:
    return torch.jit.trace(part_of(network, part), example)


def cast(dtype: torch.dtype) -> Callable[..., Run]:
    return lambda network, part, _: part_of(copy.deepcopy(network).to(dtype), part)


def under_autocast(dtype: torch.dtype) -> Callable[..., Run]:
    def make(network: CMAC, part: str, _: object) -> Run:
        def run(*given: Tensor) -> object:
            with torch.autocast("cpu", dtype):
                return part_of(network, part)(*given)

        return run

    return make


def optimized(dtype: str) -> Callable[..., Run]:
    return lambda network, part, _: part_of(network.optimize_for_inference(dtype), part)


def bounds(nano: Bound, *lite: Bound) -> dict[str, list[Bound]]:
    return {"cmac-nano": [nano] * len(PARTS), "cmac-lite": list(lite or [nano] * len(PARTS))}


ROUNDING = bounds(Bound(0.99999, 1e-4))
FP16 = bounds(Bound(0.9999, 0.01), Bound(0.9999, 0.03), Bound(0.9999, 0.01), Bound(0.9999, 0.01))
BF16 = bounds(Bound(0.9995, 0.05), Bound(0.98, 0.4), Bound(0.9995, 0.05), Bound(0.99, 0.2))
EXACT_WHERE_WEIGHTS_CANCEL = bounds(Bound(0.9995, 0.05), Bound(0.997, 0.15), Bound(0.9995, 0.05), Bound(0.998, 0.1))

WAYS = [
    Way("`torch.compile`", compiled("inductor"), ROUNDING, extras=True),
    Way("`torch.compile` of `optimize_for_inference`", compiled_copy("inductor"), ROUNDING, extras=True),
    Way("`torch.export`", exported, ROUNDING),
    Way("`torch.jit.trace`", traced, ROUNDING),
    Way('`optimize_for_inference("float32")`', optimized("float32"), ROUNDING),
    Way('`optimize_for_inference("bfloat16")`', optimized("bfloat16"), EXACT_WHERE_WEIGHTS_CANCEL),
    Way("`.bfloat16()`", cast(torch.bfloat16), BF16, torch.bfloat16),
    Way("`torch.autocast`, bfloat16", under_autocast(torch.bfloat16), BF16),
    Way("`.half()`", cast(torch.float16), FP16, torch.float16),
    Way("`torch.autocast`, float16", under_autocast(torch.float16), FP16),
]


def apart(network: CMAC, part: str, run: Run, dtype: torch.dtype, batch: int) -> Bound:
    """How far a way is from the network itself."""
    given = inputs_of(network, part, batch)
    with torch.no_grad():
        expected = tensors_of(part_of(network, part)(*given))
        got = tensors_of(run(*(one.to(dtype) for one in given)))
    pairs = [(a.double().flatten(1), b.double().flatten(1)) for a, b in zip(got, expected, strict=True)]
    cosine = min(float(F.cosine_similarity(a, b).min()) for a, b in pairs)
    return Bound(cosine, max(float((a - b).abs().max() / b.abs().max()) for a, b in pairs))


def as_table() -> str:
    """The table of the page."""
    networks = list(ROUNDING)
    heads = [f"{network}: {part}" for network in networks for part in PARTS]
    lines = [f"| | {' | '.join(heads)} |", "| --- " * (len(heads) + 1) + "|"]
    for way in WAYS:
        lines.append(f"| {way.name} | {' | '.join(str(one) for name in networks for one in way.bounds[name])} |")
    return "\n".join(lines)
