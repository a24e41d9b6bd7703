"""Features of every video in a folder, and which two of them sound most alike.

python examples/features.py videos/
"""

import sys

import torch

from cmac_hub import CMAC
from cmac_hub.media.find import find_inputs

model = CMAC.from_pretrained()
paths = [one.path for one in find_inputs([sys.argv[1]])]
found = {}
for path, features in zip(paths, model.extract_features(paths), strict=True):
    if features is None:
        continue  # unreadable: a warning said why
    visual = None if features.visual is None else tuple(features.visual.shape)
    audio = None if features.audio is None else tuple(features.audio.shape)
    print(f"{path}: {len(features.times)} windows, visual {visual}, audio {audio}")
    if features.audio_embedding is not None:
        found[path] = torch.nn.functional.normalize(features.audio_embedding.mean(0), dim=0)

if len(found) > 1:
    names, vectors = list(found), torch.stack(list(found.values()))
    cosine = vectors @ vectors.T - 2 * torch.eye(len(names))
    one, two = divmod(int(cosine.argmax()), len(names))
    print(f"most alike in sound: {names[one]} and {names[two]} (cosine {cosine.max():.2f})")
