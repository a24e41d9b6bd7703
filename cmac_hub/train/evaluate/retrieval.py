"""Retrieval without finetuning: videos of the same action (paper, section 4.2), and audio to visual and back.

python -m cmac_hub.train retrieve --on ucf101 --data UCF-101 --lists ucfTrainTestlist
python -m cmac_hub.train retrieve --on scenes --data DATA
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from cmac_hub.errors import CMACError
from cmac_hub.model import CMAC
from cmac_hub.train.evaluate.toolbox.actions import ActionSplit
from cmac_hub.train.evaluate.toolbox.clips import UniformClips, read_ahead
from cmac_hub.train.evaluate.toolbox.paper import PAPER_RETRIEVAL
from cmac_hub.train.evaluate.toolbox.scene_maps import by_things, make_scenes, predict_scenes
from cmac_hub.train.evaluate.toolbox.untrained import random_weights
from cmac_hub.train.scenes.readers import libraries
from cmac_hub.train.scenes.real_shots import held_out_shots
from cmac_hub.train.scenes.splits import Split

RANKS = (1, 5, 10, 20)
PARTS = ("train", "test")
CLIPS = 10
"""Clips of a video, uniformly; their features are averaged."""


def recall_of_labels(
    query_ND: np.ndarray, query_labels: np.ndarray, gallery_MD: np.ndarray, gallery_labels: np.ndarray
) -> dict[str, float]:
    """Share of queries with one of the same label among the k nearest by cosine, for k in RANKS."""
    similar = _unit(query_ND) @ _unit(gallery_MD).T
    order = np.argsort(-similar, axis=1, kind="stable")[:, : max(RANKS)]
    hits = gallery_labels[order] == query_labels[:, None]
    return {f"R@{k}": float(hits[:, :k].any(1).mean()) for k in RANKS}


def recall_of_pairs(query_ND: np.ndarray, gallery_ND: np.ndarray) -> dict[str, float]:
    """Share of rows whose partner of the same number is among the k nearest by cosine, for k in RANKS.

    Ties count against the network: a constant embedding finds nothing.
    """
    similar = _unit(query_ND) @ _unit(gallery_ND).T
    partner = np.diag(similar)
    rank = (similar >= partner[:, None]).sum(1)
    return {f"R@{k}": float((rank <= k).mean()) for k in RANKS}


def _unit(vectors_ND: np.ndarray) -> np.ndarray:
    if not np.isfinite(vectors_ND).all():
        raise CMACError("the features are not finite; mend the checkpoint")
    return vectors_ND / np.maximum(1e-12, np.linalg.norm(vectors_ND, axis=1, keepdims=True))


@torch.inference_mode()
def video_features(model: CMAC, frames_NTHWC: Tensor) -> np.ndarray:
    """(C,): pooled features after the last block, averaged over a video's N clips of uint8 RGB."""
    clips, _ = model.prepare(frames_NTHWC, None)
    return model.encoder("visual")(clips).flatten(2).mean((0, 2)).float().cpu().numpy()


def evaluate_actions(model: CMAC, split: ActionSplit, workers: int = 0) -> dict[str, Any]:
    """Test videos look for their action among the training videos. Broken videos are listed and not counted.

    Args:
        model: in eval mode.
        split: of `find_split`.
        workers: processes that decode; 0: one a core.
    """
    missing: list[str] = []
    networks = _networks(model)
    features: dict[str, dict[str, list[np.ndarray]]] = {part: {name: [] for name in networks} for part in PARTS}
    labels: dict[str, list[str]] = {part: [] for part in PARTS}
    for part in PARTS:
        videos = getattr(split, part)
        clips = UniformClips([one.path for one in videos], model.config.require_visual(), model.config.window, CLIPS)
        for one, frames in zip(videos, read_ahead(clips, part, workers), strict=True):
            if frames is None:
                missing.append(one.path.name)
                continue
            labels[part].append(one.label)
            for name, network in networks.items():
                features[part][name].append(video_features(network, frames))
    if not labels["train"] or not labels["test"]:
        raise CMACError(f"none of the videos could be read, the first is {missing[0]}")
    names = {part: np.array(labels[part]) for part in PARTS}
    rows: dict[str, Any] = {}
    for name in networks:
        query, gallery = (np.stack(features[part][name]) for part in ("test", "train"))
        rows[name] = recall_of_labels(query, names["test"], gallery, names["train"])
    share = np.array([(names["train"] == label).mean() for label in names["test"]])
    rows["chance"] = {f"R@{k}": float((1 - (1 - share) ** k).mean()) for k in RANKS}
    counts = {"queries": len(names["test"]), "gallery": len(names["train"])}
    return {"recall": rows, **counts, "missing": sorted(set(missing))}


def measure_scenes(model: CMAC, data: Path, split: Split = "test") -> tuple[dict[str, Any], str]:
    """`evaluate_scenes` and its tables."""
    report = evaluate_scenes(model, data, split)
    return report, by_things({which: as_table(one) for which, one in report.items()})


def measure_shots(model: CMAC, data: Path, split: Split = "test") -> tuple[dict[str, Any], str]:
    """`evaluate_shots` and its table."""
    report = evaluate_shots(model, data, split)
    return report, as_table(report)


def evaluate_scenes(
    model: CMAC, data: Path, split: Split = "test", count: int = 500, seed: int = 999
) -> dict[str, Any]:
    """Audio to visual and back among `count` composed scenes of a split, known things and things never seen."""
    model.require_attention("retrieve of sound and picture")
    report: dict[str, Any] = {}
    for which, library in libraries(data, split, model.config.require_visual().size):
        scenes = make_scenes(library, model.config, count, seed)
        rows = {}
        for name, network in _networks(model).items():
            found = predict_scenes(network, scenes)
            rows[f"{name}: audio to visual"] = recall_of_pairs(found.audio_ND, found.visual_ND)
            rows[f"{name}: visual to audio"] = recall_of_pairs(found.visual_ND, found.audio_ND)
        rows["chance"] = {f"R@{k}": min(1.0, k / count) for k in RANKS}
        report[which] = {"recall": rows, "queries": count, "gallery": count, "missing": []}
    return report


def evaluate_shots(model: CMAC, data: Path, split: Split = "test") -> dict[str, Any]:
    """Audio to visual and back among the real shots of a split's groups that sound as they were filmed, one mean
    embedding a shot.

    Raises:
        CMACError: there are no real shots, or none of them could be read.
    """
    model.require_attention("retrieve of sound and picture")
    held = [shot.path for shot in held_out_shots(data, split)]
    rows, missing = {}, []
    for name, network in _networks(model).items():
        pairs = []
        for path, features in zip(held, network.extract_features(held), strict=True):
            if features is None or features.visual_embedding is None or features.audio_embedding is None:
                missing.append(path.name)
                continue
            pairs.append((features.visual_embedding.mean(0).numpy(), features.audio_embedding.mean(0).numpy()))
        if not pairs:
            raise CMACError(f"none of the {len(held)} {split} shots of {data} could be read; give the whole data")
        visual, audio = (np.stack(column) for column in zip(*pairs, strict=True))
        rows[f"{name}: audio to visual"] = recall_of_pairs(audio, visual)
        rows[f"{name}: visual to audio"] = recall_of_pairs(visual, audio)
    rows["chance"] = {f"R@{k}": min(1.0, k / len(pairs)) for k in RANKS}
    return {"recall": rows, "queries": len(pairs), "gallery": len(pairs), "missing": sorted(set(missing))}


def as_table(report: dict[str, Any]) -> str:
    """Markdown, in percent."""
    lines = [f"| {report['queries']} queries among {report['gallery']} | " + " | ".join(f"R@{k}" for k in RANKS) + " |"]
    lines.append("| --- " * (len(RANKS) + 1) + "|")
    for name, recall in report["recall"].items():
        lines.append(f"| {name} | " + " | ".join(f"{100 * recall[f'R@{k}']:.1f}" for k in RANKS) + " |")
    if report.get("split") == 1 and (paper := PAPER_RETRIEVAL.get(report.get("set", ""))):
        cells = [f"{paper[f'R@{k}']:.1f}" if f"R@{k}" in paper else "-" for k in RANKS]
        lines.append("| *the paper:* CMAC | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _networks(model: CMAC) -> dict[str, CMAC]:
    return {"CMAC": model, "random weights": random_weights(model.config, device=model.device)}
