"""Each video's moment that looks, or sounds, most like one of another, in a folder that `cmac features` wrote.

cmac features videos/ -o features/
python examples/nearest_neighbors.py features/ visual        # or: audio
"""

import sys
from pathlib import Path

import torch
import torch.nn.functional as F

from cmac_hub import Features, MediaError
from cmac_hub.inference import SILENCE

folder, stream = Path(sys.argv[1]), sys.argv[2]
if stream not in ("visual", "audio"):
    sys.exit(f"the stream is {stream!r}; accepted are visual and audio")

names, times, vectors = [], [], []
for path in sorted(folder.rglob("*.safetensors")):
    try:
        features = Features.load(path)
    except MediaError as error:
        print(error, file=sys.stderr)
        continue
    found = getattr(features, stream)
    if found is None:
        continue
    # Silence resembles silence, which says nothing.
    kept = features.sound_level >= SILENCE if stream == "audio" else torch.ones(len(found), dtype=torch.bool)
    if kept.any():
        names.append(path.relative_to(folder).with_suffix(""))
        times.append(features.times[kept])
        vectors.append(F.normalize(found[kept], dim=1))
if len(names) < 2:
    sys.exit(f"{folder} has {len(names)} files with {stream} features; give at least two")

everything = torch.cat(vectors)
starts = [0, *torch.tensor([len(one) for one in times]).cumsum(0).tolist()]
nearest = {}
for i, mine in enumerate(vectors):
    cosine = mine @ everything.T
    cosine[:, starts[i] : starts[i + 1]] = -2  # Moments of the same video are alike anyway.
    row, column = divmod(int(cosine.argmax()), len(everything))
    j = next(j for j in range(len(names)) if column < starts[j + 1])
    pair = sorted([(i, float(times[i][row])), (j, float(times[j][column - starts[j]]))])
    nearest[tuple(pair)] = float(cosine.max())
for ((i, time), (j, other)), cosine in sorted(nearest.items(), key=lambda one: -one[1]):
    print(f"{cosine:.3f}  {names[i]} at {time:.1f} s and {names[j]} at {other:.1f} s")
