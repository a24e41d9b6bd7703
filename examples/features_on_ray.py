"""Features of every video in a folder, on the machines of a Ray cluster.

pip install ".[ray]"
python examples/features_on_ray.py videos/ features/ --workers 8       # joins a running cluster, else starts one here

Writes features/NAME.EXT.safetensors, as `cmac features` does; what is there already is not made again, and a video
that cannot be read is named at the end. All machines must see both folders under the same paths.
"""

import argparse
from pathlib import Path

import ray
import torch
from safetensors.torch import save

from cmac_hub import CMAC
from cmac_hub.errors import MediaError
from cmac_hub.files import replacing
from cmac_hub.media.find import find_inputs


class Worker:
    """One network, loaded once in each process that Ray starts."""

    def __init__(self, model: str) -> None:
        torch.set_num_threads(1)
        self.network = CMAC.from_pretrained(model).optimize_for_inference("float32")

    def __call__(self, row: dict[str, str]) -> dict[str, str]:
        try:
            features = self.network.extract_features(row["path"])
        except MediaError as error:
            return {**row, "error": str(error)}
        target = Path(row["target"])
        target.parent.mkdir(parents=True, exist_ok=True)
        with replacing(target) as temporary:
            temporary.write_bytes(save(features.to_dict(), metadata={"source": row["path"]}))
        return {**row, "error": ""}


parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
parser.add_argument("videos")
parser.add_argument("output", type=Path)
parser.add_argument("--model", default="cmac-lite")
parser.add_argument("--workers", type=int, default=2, help="actors, one core each")
options = parser.parse_args()
rows = [
    {"path": str(one.path.resolve()), "target": str(options.output.resolve() / f"{one.relative}.safetensors")}
    for one in find_inputs([options.videos])
]
missing = [row for row in rows if not Path(row["target"]).exists()]
if missing:
    data = ray.data.from_items(missing, override_num_blocks=min(len(missing), 20 * options.workers))
    actors = ray.data.ActorPoolStrategy(size=options.workers)
    work = data.map(Worker, fn_constructor_args=(options.model,), compute=actors, num_cpus=1)
    failed = [row for row in work.iter_rows() if row["error"]]
    print(f"{len(missing) - len(failed)} of {len(missing)} done, {len(rows) - len(missing)} were there")
    print(*(row["error"] for row in failed), sep="\n")
