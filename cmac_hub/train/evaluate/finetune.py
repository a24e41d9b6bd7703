"""Action recognition: the visual encoder and a linear classifier, finetuned (paper, section 4.2).

    python -m cmac_hub.train finetune --on ucf101 --data UCF-101 --lists ucfTrainTestlist --split 1 2 3 -o runs/ucf101

Ten random clips of each training video an epoch; at the end ten uniform clips of each test video, their softmax scores
averaged. A run that was broken off goes on after its last whole epoch.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from cmac_hub.errors import CMACError
from cmac_hub.files import make_folder
from cmac_hub.hub import checkpoint_hash
from cmac_hub.model import CMAC
from cmac_hub.network import make_encoder
from cmac_hub.preprocessing import normalize_clips
from cmac_hub.train.checkpoint import Checkpoints, read_checkpoint
from cmac_hub.train.evaluate.toolbox.actions import ActionSplit, ActionVideo
from cmac_hub.train.evaluate.toolbox.clips import RandomClips, UniformClips, read_ahead
from cmac_hub.train.evaluate.toolbox.paper import PAPER_ACTIONS
from cmac_hub.train.writing import write_json


@dataclass(frozen=True)
class FinetuneSettings:
    """Section 4.2. The paper says nothing of a schedule: the learning rate is constant."""

    epochs: int = 12
    batch: int = 16
    learning_rate: float = 0.005
    weight_decay: float = 5e-3
    clips: int = 10
    """Random clips of a video an epoch, and uniform clips in the test."""
    color_jitter: bool = True
    """As in section 4.2; the ablations of section 4.3 do without."""
    seed: int = 0


class Classifier(nn.Module):
    """Pooled features of the visual encoder -> scores of classes."""

    def __init__(self, encoder: nn.Module, channels: int, classes: int) -> None:
        super().__init__()
        self.encoder = encoder
        self.head = nn.Linear(channels, classes)

    def forward(self, clips_BCTHW: Tensor) -> Tensor:
        """(B, 3, T, H, W) -> (B, classes)."""
        return self.head(self.encoder(clips_BCTHW).flatten(2).mean(2))


def starting_encoder(model: CMAC, weights: str = "cmac") -> nn.Module:
    """The encoder that finetuning begins with.

    Args:
        model: gives architecture and, for "cmac", the weights.
        weights: "cmac", "scratch" (random), or "torchvision" (Kinetics-400 labels, downloaded by torchvision; needs
            the paper's full-width R(2+1)D-18).

    Raises:
        CMACError: other weights, or "torchvision" for another architecture.
    """
    if weights == "cmac":
        # Finetuning must not change the network that it begins with.
        return copy.deepcopy(model.encoder("visual"))
    if weights == "scratch":
        return make_encoder(model.config.require_visual())
    if weights != "torchvision":
        raise CMACError(f"weights are {weights!r}; accepted are cmac, scratch, torchvision")
    from torchvision.models.video import R2Plus1D_18_Weights, r2plus1d_18

    encoder = make_encoder(model.config.require_visual())
    with torch.device("meta"):
        names = {name for name in r2plus1d_18().state_dict() if not name.startswith("fc.")}
    if names != set(encoder.state_dict()):
        # Before a download that would be in vain.
        raise CMACError("torchvision's weights are of R(2+1)D-18 at full width; choose a cmac-base model")
    state = r2plus1d_18(weights=R2Plus1D_18_Weights.KINETICS400_V1).state_dict()
    encoder.load_state_dict({name: state[name] for name in names})
    return encoder


def finetune(
    model: CMAC,
    split: ActionSplit,
    run: Path,
    settings: FinetuneSettings = FinetuneSettings(),
    *,
    weights: str = "cmac",
    workers: int = 0,
) -> dict[str, Any]:
    """Trains, tests, and writes `report.json` into the run folder.

    Args:
        model: see `starting_encoder`; the training is on its device.
        split: of `find_split`.
        run: folder; one that holds epochs of the same settings goes on.
        settings: of the training.
        weights: see `starting_encoder`.
        workers: processes that decode; 0: one a core. They change nothing but the time.

    Returns:
        top-1 accuracy, the trivial rivals, and what was missing.

    Raises:
        CMACError: the folder holds a run of other settings, weights or videos; no video can be read; or the loss is no
            number.
    """
    torch.manual_seed(settings.seed)
    labels = sorted({one.label for one in split.train})
    classifier = Classifier(starting_encoder(model, weights), model.channels("visual"), len(labels)).to(model.device)
    optimizer = torch.optim.SGD(
        classifier.parameters(), settings.learning_rate, momentum=0.9, weight_decay=settings.weight_decay
    )
    checkpoints, epoch = Checkpoints(run, keep=1), 0
    recipe = {**asdict(settings), "weights": weights, "labels": labels, "videos": len(split.train)}
    if weights == "cmac":
        recipe["model"] = checkpoint_hash(model)
    missing: set[str] = set()
    if (latest := checkpoints.latest()) is not None:
        state = read_checkpoint(latest)
        if state["recipe"] != recipe:
            raise CMACError(f"{run} holds a run of other settings, weights or videos; choose another output folder")
        classifier.load_state_dict(state["model"])
        optimizer.load_state_dict(state["optimizer"])
        epoch = int(state["step"])
        missing = set(state.get("missing", []))
    while epoch < settings.epochs:
        classifier.train()
        for frames, targets in _batches(split.train, labels, model, settings, epoch, missing, workers):
            clips = normalize_clips(frames.to(model.device), model.config.require_visual())
            loss = F.cross_entropy(classifier(clips), targets.to(model.device))
            if not torch.isfinite(loss):
                raise CMACError(f"the loss is {loss.item()} in epoch {epoch}; try a smaller learning rate")
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            optimizer.step()
        epoch += 1
        config = model.config.to_dict()
        state = {"recipe": recipe, "config": config, "step": epoch, "model": classifier.state_dict()}
        checkpoints.save({**state, "optimizer": optimizer.state_dict(), "missing": sorted(missing)}, epoch)
    report = accuracy_on(classifier.eval(), split.test, labels, model, settings, missing, workers)
    common = max(np.mean([one.label == label for one in split.test]) for label in labels)
    report |= {"chance": 1 / len(labels), "most frequent class": float(common), "settings": recipe}
    make_folder(run)
    write_json(run / "report.json", report)
    return report


def as_table(name: str, reports: dict[int, dict[str, Any]], weights: str = "cmac") -> str:
    """Markdown, in percent: each split and their mean, beside the trivial rivals and the paper."""
    splits = sorted(reports)
    lines = ["| top-1 | " + " | ".join(f"split {split}" for split in splits) + " | mean |"]
    lines.append("| --- " * (len(splits) + 2) + "|")
    name_of_weights = {"cmac": "CMAC", "scratch": "from scratch", "torchvision": "torchvision's weights"}[weights]
    for title, key in ((name_of_weights, "top1"), ("most frequent class", "most frequent class"), ("chance", "chance")):
        values = [100 * reports[split][key] for split in splits]
        lines.append(f"| {title} | " + " | ".join(f"{v:.1f}" for v in [*values, float(np.mean(values))]) + " |")
    if name in PAPER_ACTIONS:
        lines.append("| *the paper:* CMAC, three splits | " + "- | " * len(splits) + f"{PAPER_ACTIONS[name]:.1f} |")
    return "\n".join(lines)


def _batches(
    videos: list[ActionVideo],
    labels: list[str],
    model: CMAC,
    settings: FinetuneSettings,
    epoch: int,
    missing: set[str],
    workers: int,
) -> Iterator[tuple[Tensor, Tensor]]:
    """An epoch: each video's clips in random order among the others'. Broken videos are noted and left out."""
    rng = np.random.default_rng([settings.seed, epoch])
    turns = rng.permutation(np.repeat(np.arange(len(videos)), settings.clips))
    paths, config = [one.path for one in videos], model.config
    clips = RandomClips(
        paths,
        turns,
        config.require_visual(),
        config.window,
        color_jitter=settings.color_jitter,
        seed=(settings.seed, epoch),
    )
    read = read_ahead(clips, f"epoch {epoch + 1}", workers)
    waiting: list[tuple[Tensor, int]] = []
    for turn, clip in zip(turns, read, strict=True):
        if clip is None:
            missing.add(paths[turn].name)
            continue
        waiting.append((clip, labels.index(videos[turn].label)))
        if len(waiting) == settings.batch:
            yield torch.stack([clip for clip, _ in waiting]), torch.tensor([label for _, label in waiting])
            waiting = []
    if len(missing) == len({path.name for path in paths}):
        raise CMACError(f"none of the {len(videos)} videos could be read, the first is {paths[0]}")
    if len(waiting) > 1:
        yield torch.stack([clip for clip, _ in waiting]), torch.tensor([label for _, label in waiting])


@torch.inference_mode()
def accuracy_on(
    classifier: Classifier,
    videos: list[ActionVideo],
    labels: list[str],
    model: CMAC,
    settings: FinetuneSettings,
    missing: set[str],
    workers: int,
) -> dict[str, Any]:
    """Top-1 accuracy; a video's softmax scores are averaged over its clips."""
    right, count, config = 0, 0, model.config
    clips = UniformClips([one.path for one in videos], config.require_visual(), config.window, settings.clips)
    for video, frames in zip(videos, read_ahead(clips, "test", workers), strict=True):
        if frames is None:
            missing.add(video.path.name)
            continue
        scores = classifier(normalize_clips(frames.to(model.device), config.require_visual())).softmax(1).mean(0)
        right, count = right + (labels[int(scores.argmax())] == video.label), count + 1
    if not count:
        raise CMACError(f"none of the {len(videos)} test videos could be read, the first is {videos[0].path}")
    return {"top1": right / count, "tested": count, "missing": sorted(missing)}
