"""Finds the moments in a folder of videos whose picture fits a sound best: the folder is read once, then asked often.

python examples/retrieval_by_sound.py index videos/ moments.safetensors
python examples/retrieval_by_sound.py query moments.safetensors bark.wav       # or a video, whose sound is taken
"""

import argparse
import json
import sys
from pathlib import Path

import torch
from safetensors import safe_open
from safetensors.torch import save

from cmac_hub import CMAC
from cmac_hub.inference import SILENCE
from cmac_hub.media.find import VIDEO_SUFFIXES, find_inputs

parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
commands = parser.add_subparsers(dest="command", required=True)
index = commands.add_parser("index")
index.add_argument("videos", nargs="+", help="files and folders")
index.add_argument("output", type=Path)
index.add_argument("--model", default="cmac-lite")
index.add_argument("--hop", type=float, default=0.5, help="seconds between two moments")
query = commands.add_parser("query")
query.add_argument("index")
query.add_argument("sound", help="a file with sound")
options = parser.parse_args()

if options.command == "index":
    model = CMAC.from_pretrained(options.model).optimize_for_inference("float32")
    paths = [str(one.path) for one in find_inputs(options.videos, VIDEO_SUFFIXES)]
    found = zip(paths, model.extract_features(paths, hop=options.hop), strict=True)
    kept = [(path, one) for path, one in found if one is not None and one.visual_embedding is not None]
    if not kept:
        sys.exit("there is no picture in any of them")
    tensors = {
        "embedding": torch.cat([one.visual_embedding for _, one in kept]),
        "time": torch.cat([one.times for _, one in kept]),
        "video": torch.cat([torch.full((len(one.times),), i) for i, (_, one) in enumerate(kept)]),
    }
    videos = json.dumps([path for path, _ in kept])
    options.output.write_bytes(save(tensors, {"model": options.model, "videos": videos}))
    print(f"{options.output}: {len(tensors['time'])} moments of {len(kept)} videos")
else:
    with safe_open(options.index, "pt") as file:
        embedding, time, video = (file.get_tensor(name) for name in ("embedding", "time", "video"))
        model, videos = file.metadata()["model"], json.loads(file.metadata()["videos"])
    heard = CMAC.from_pretrained(model).extract_features(options.sound)
    if heard.audio_embedding is None or heard.silent:
        sys.exit(f"{options.sound} has nothing to hear")
    wanted = torch.nn.functional.normalize(heard.audio_embedding[heard.sound_level >= SILENCE].mean(0), dim=0)
    best = []
    for i, path in enumerate(videos):
        score, place = (embedding[video == i] @ wanted).max(0)
        best.append((float(score), path, float(time[video == i][place])))
    print(*(f"{score:.2f}  {path} at {when:.1f} s" for score, path, when in sorted(best)[:-6:-1]), sep="\n")
