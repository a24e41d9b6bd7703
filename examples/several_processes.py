"""Features of every video in a folder by several processes of one thread each; two are nearly twice as fast as one.

python examples/several_processes.py videos/ features/ --workers 4

`cmac features videos/ -o features/ --workers 4` does the same, goes on where a process dies, and keeps an index;
`--shard 1/3`, or torchrun, share a list over machines. Here is the pattern for work of your own: change `work`.
"""

import argparse
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

from cmac_hub.errors import MediaError
from cmac_hub.files import replacing
from cmac_hub.media.find import find_inputs

network = None  # Of each process.


def begin(model: str) -> None:
    """Once in every process: PyTorch is imported there alone."""
    global network
    import torch

    from cmac_hub import CMAC

    torch.set_num_threads(1)
    network = CMAC.from_pretrained(model).optimize_for_inference("float32")


def work(source: Path, target: Path) -> str:
    """One video; an error of its own costs the others nothing."""
    from safetensors.torch import save

    try:
        features = network.extract_features(source)
    except MediaError as error:
        return f"failed: {error}"
    target.parent.mkdir(parents=True, exist_ok=True)
    with replacing(target, overwrite=True) as temporary:
        temporary.write_bytes(save(features.to_dict(), metadata={"source": str(source)}))
    return f"{target}: {len(features.times)} windows"


if __name__ == "__main__":  # Processes that are spawned read this file again.
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("videos")
    parser.add_argument("output", type=Path)
    parser.add_argument("--model", default="cmac-lite")
    parser.add_argument("--workers", type=int, default=2)
    options = parser.parse_args()
    inputs = find_inputs([options.videos])
    targets = [options.output / f"{one.relative}.safetensors" for one in inputs]
    # Forked threads of PyTorch and FFmpeg would hang.
    with ProcessPoolExecutor(options.workers, get_context("spawn"), begin, (options.model,)) as pool:
        print(*pool.map(work, [one.path for one in inputs], targets), sep="\n")
