"""A classifier trained on features of labeled folders, one a class: videos/train/dog/1.mp4, videos/test/cat/7.mp4.

cmac features videos/ -o features/
python examples/classifier_on_features.py features/train features/test                # or with: visual, or: audio

The network itself stays as it is; to train it as well: python -m cmac_hub.train finetune --help.
"""

import sys
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import nn

from cmac_hub import Features

train, test = map(Path, sys.argv[1:3])
streams = sys.argv[3:] or ["visual", "audio"]
classes = sorted(path.name for path in train.iterdir() if path.is_dir())


def read(folder):
    """One row a file, the mean over its windows: (N, C) features and (N,) classes."""
    rows, labels = [], []
    for path in sorted(folder.glob("*/*.safetensors")):
        features = Features.load(path)
        found = [getattr(features, stream) for stream in streams]
        if path.parent.name not in classes or any(one is None for one in found):
            print(f"left out, of another class or without {' or '.join(streams)}: {path}", file=sys.stderr)
            continue
        rows.append(torch.cat([one.mean(0) for one in found]))
        labels.append(classes.index(path.parent.name))
    if not rows:
        sys.exit(f"{folder} has no features files in folders of the classes {', '.join(classes)}")
    return torch.stack(rows), torch.tensor(labels)


features, labels = read(train)
held_out, truth = read(test)
mean, std = features.mean(0), features.std(0) + 1e-3
torch.manual_seed(0)
classifier = nn.Linear(features.shape[1], len(classes))
optimizer = torch.optim.AdamW(classifier.parameters(), lr=1e-2, weight_decay=0.1)
for _ in range(200):
    loss = F.cross_entropy(classifier((features - mean) / std), labels, label_smoothing=0.1)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()

with torch.no_grad():
    guesses = classifier((held_out - mean) / std).argmax(1)
right = int((guesses == truth).sum())
chance = int((truth == labels.bincount().argmax()).sum())
print(f"{len(classes)} classes, {len(labels)} files to learn from, {len(truth)} held out")
print(f"held-out accuracy  {right / len(truth):.3f}  ({right} of {len(truth)})")
print(f"chance             {chance / len(truth):.3f}  (always {classes[int(labels.bincount().argmax())]})")
