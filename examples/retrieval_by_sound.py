"""Finds the moments in some videos whose picture fits a sound best.

python examples/retrieval_by_sound.py bark.wav videos/*.mp4
"""

import sys

import torch

from cmac_hub import CMAC

query, *videos = sys.argv[1:]
model = CMAC.from_pretrained("cmac-nano")
sound = model.extract_features(query).audio_embedding
if sound is None:
    sys.exit(f"{query} has no sound")
wanted = torch.nn.functional.normalize(sound.mean(0), dim=0)

moments = []
for path, features in zip(videos, model.extract_features(videos), strict=True):
    if features is None or features.visual_embedding is None:
        continue
    for time, score in zip(features.times.tolist(), (features.visual_embedding @ wanted).tolist(), strict=True):
        moments.append((score, path, time))
for score, path, time in sorted(moments, reverse=True)[:5]:
    print(f"{score:.2f}  {path} at {time:.1f} s")
