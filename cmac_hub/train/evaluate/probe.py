"""Audio classification with a linear classifier on frozen features (paper, section 4.2), beside its floors.

    python -m cmac_hub.train probe --on esc50 --data DATA/esc50 -o esc50.json

`--teacher yamnet.tflite` measures what taught the network (`cmac_hub.train.distillation`) in the same way.

Floors: chance, statistics of the log-mel and of MFCCs, and the features of random weights, all through the same
classifier. Its regularization is chosen inside the training folds only. Seed 0 cuts the crops evenly, other seeds move
each of them; a seed also draws the random weights.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torchaudio
from torch import Tensor
from tqdm import tqdm

from cmac_hub.errors import CMACError
from cmac_hub.media import read_audio
from cmac_hub.model import CMAC
from cmac_hub.preprocessing import log_mel
from cmac_hub.registry import AudioConfig
from cmac_hub.train.distillation.teacher import Teacher, embed_long
from cmac_hub.train.evaluate.sets import Crops, find_set
from cmac_hub.train.evaluate.toolbox.paper import PAPER_SOUNDS
from cmac_hub.train.evaluate.toolbox.requirements import require_scikit_learn
from cmac_hub.train.evaluate.toolbox.sounds import LabeledSound, find_sounds
from cmac_hub.train.evaluate.toolbox.untrained import random_weights

Describe = Callable[[Tensor], Tensor]
"""Crops (B, n) fp32 of one recording -> (B, D) features."""

STRENGTHS = (0.01, 0.1, 1.0)
"""Inverse regularizations of the logistic regression that are tried."""


def cut_crops(waveform: np.ndarray, crops: Crops, sample_rate: int, rng: np.random.Generator | None = None) -> Tensor:
    """(crops, n) evenly over a recording; a shorter one is repeated until it is long enough.

    With `rng` each crop is moved by up to half of the distance between two.
    """
    length = round(crops.seconds * sample_rate)
    if len(waveform) < length:
        waveform = np.tile(waveform, -(-length // max(1, len(waveform))))[:length]
    slack = len(waveform) - length
    places = np.linspace(0, slack, crops.count)
    if rng is not None:
        places = (places + rng.uniform(-0.5, 0.5, crops.count) * slack / max(1, crops.count - 1)).clip(0, slack)
    starts = places.round().astype(int)
    return torch.from_numpy(np.stack([waveform[start : start + length] for start in starts]).astype(np.float32))


def encoder_features(model: CMAC) -> Describe:
    """Two poolings side by side of the audio encoder's map: the mean over all, and the mean over time's maximum."""

    def describe(crops_BN: Tensor) -> Tensor:
        _, spectrograms = model.prepare(None, crops_BN)
        map_BCFS = model.encoder("audio")(spectrograms).float()
        return torch.cat([map_BCFS.flatten(2).mean(2), map_BCFS.mean(2).amax(2)], 1)

    return describe


def teacher_features(teacher: Teacher, sample_rate: int) -> Describe:
    """The teacher's embedding, averaged over windows of its own length; crops come at `sample_rate`."""

    def describe(crops_BN: Tensor) -> Tensor:
        if sample_rate != teacher.sample_rate:
            crops_BN = torchaudio.functional.resample(crops_BN, sample_rate, teacher.sample_rate)
        return torch.from_numpy(embed_long(teacher, crops_BN.numpy()))

    return describe


def log_mel_statistics(config: AudioConfig) -> Describe:
    """Mean and deviation of each band."""

    def describe(crops_BN: Tensor) -> Tensor:
        mel_BFS = log_mel(crops_BN, config)[:, 0]
        return torch.cat([mel_BFS.mean(2), mel_BFS.std(2)], 1)

    return describe


def mfcc_statistics(config: AudioConfig) -> Describe:
    """Mean, deviation, largest and smallest of 20 coefficients and of their first differences."""
    transform = torchaudio.transforms.MFCC(
        config.sample_rate, 20, melkwargs={"n_fft": 1024, "hop_length": 256, "n_mels": 64}
    )

    def describe(crops_BN: Tensor) -> Tensor:
        one_BKS = transform(crops_BN)
        both_BKS = torch.cat([one_BKS[..., 1:], one_BKS.diff(dim=2)], 1)
        return torch.cat([both_BKS.mean(2), both_BKS.std(2), both_BKS.amax(2), both_BKS.amin(2)], 1)

    return describe


@torch.inference_mode()
def extract(
    sounds: Sequence[LabeledSound], describe: dict[str, Describe], crops: Crops, sample_rate: int, seed: int = 0
) -> dict[str, np.ndarray]:
    """Features of all crops, (recordings, crops, D) for each description; every file is decoded once.

    Raises:
        CMACError: a description gave values that are not finite.
    """
    found: dict[str, list[np.ndarray]] = {name: [] for name in describe}
    for number, one in enumerate(tqdm(sounds, unit="sound", disable=None)):
        rng = np.random.default_rng([seed, number]) if seed else None
        crops_BN = cut_crops(read_audio(one.path, sample_rate), crops, sample_rate, rng)
        for name, how in describe.items():
            features = how(crops_BN).float().cpu().numpy()
            if not np.isfinite(features).all():
                raise CMACError(f"the features ({name}) of {one.path} are not finite; mend the checkpoint or the file")
            found[name].append(features)
    return {name: np.stack(rows) for name, rows in found.items()}


def classify(features_NKD: np.ndarray, labels: np.ndarray, folds: np.ndarray, test: str, seed: int = 0) -> np.ndarray:
    """The answers of a linear classifier, fitted to all other folds, for the recordings of the fold `test`.

    Args:
        features_NKD: recordings, crops, dimensions.
        labels: (N,) text.
        folds: (N,) text.
        test: which fold.
        seed: of the split that chooses the regularization when there is one training fold only.

    Returns:
        labels of the tested recordings, in order; the scores of a recording's crops are averaged.
    """
    from sklearn.preprocessing import StandardScaler

    train = folds != test
    scaler = StandardScaler().fit(features_NKD[train].reshape(-1, features_NKD.shape[2]))
    scaled = scaler.transform(features_NKD.reshape(-1, features_NKD.shape[2])).reshape(features_NKD.shape)
    inner = folds[train]
    if len(set(inner)) > 1:
        held = inner == sorted(set(inner))[-1]
    else:
        held = np.random.default_rng(seed).random(len(inner)) < 0.2
    rows = np.flatnonzero(train)
    best = STRENGTHS[len(STRENGTHS) // 2]
    # Of few recordings one class may be all that the inner split leaves to learn from.
    if held.any() and len(set(labels[rows[~held]])) > 1:
        tried = {c: (_fit(scaled, labels, rows[~held], rows[held], c) == labels[rows[held]]).mean() for c in STRENGTHS}
        best = max(tried, key=lambda c: tried[c])
    return _fit(scaled, labels, rows, np.flatnonzero(~train), best)


def _fit(
    features_NKD: np.ndarray, labels: np.ndarray, train: np.ndarray, test: np.ndarray, strength: float
) -> np.ndarray:
    """The answers of a classifier, fitted to the rows `train`, for the rows `test`."""
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression

    crops = features_NKD.shape[1]
    model = LogisticRegression(C=strength, max_iter=200, tol=1e-3)
    with warnings.catch_warnings():
        # A weakly regularized fit may stop at `max_iter`; the split inside the training folds judges it as it is.
        warnings.simplefilter("ignore", ConvergenceWarning)
        model.fit(features_NKD[train].reshape(len(train) * crops, -1), np.repeat(labels[train], crops))
    shares = model.predict_proba(features_NKD[test].reshape(len(test) * crops, -1))
    # A share may be too small for a double; its logarithm must not outweigh all other crops.
    scores = np.log(np.maximum(shares, np.finfo(shares.dtype).tiny))
    mean = scores.reshape(len(test), crops, -1).mean(1)
    return np.asarray(model.classes_[mean.argmax(1)])


def evaluate_probe(
    model: CMAC,
    sounds: Sequence[LabeledSound],
    crops: Crops,
    tested: Sequence[str] | None = None,
    seeds: Sequence[int] = (0,),
    floors: bool = True,
    teacher: Teacher | None = None,
) -> dict[str, Any]:
    """Accuracy on each fold, for the network and its floors.

    Args:
        model: in eval mode.
        sounds: of `find_sounds`.
        crops: how a recording is cut.
        tested: folds to test on; None takes all but "train".
        seeds: see above; the accuracies are means over them.
        floors: also measure what stands beside the network; without, only the network and chance.
        teacher: also measure this one's embeddings.

    Returns:
        "accuracy": name -> fold -> share; "spread": name -> standard deviation over seeds of the mean over folds (0
        for one seed); "truth" and "predicted": labels of the tested recordings, and the network's answers, seed by
        seed; counts.

    Raises:
        CMACError: a fold that is not there, none to test on, one class only, in all or beside a fold; or scikit-learn
            is not installed.
    """
    require_scikit_learn("the probe")
    labels, folds = np.array([one.label for one in sounds]), np.array([one.fold for one in sounds])
    tested = tested or sorted(set(folds) - {"train"})
    unknown = sorted(set(tested) - set(folds))
    if unknown:
        raise CMACError(f"there is no fold {', '.join(unknown)}; found {', '.join(sorted(set(folds)))}")
    classes = sorted(set(labels))
    if len(classes) < 2 or "" in classes:
        raise CMACError(f"the labels are {classes[:5]}; a probe needs at least two classes, and none without a name")
    if not tested:
        raise CMACError("all recordings are of the fold train; a probe needs others to test on")
    for fold in tested:
        if len(set(labels[folds != fold])) < 2:
            raise CMACError(f"beside the fold {fold} there are not two classes to learn from; give more folds")
    config = model.config.require_audio()
    found: dict[str, list[dict[str, float]]] = {}
    truth, predicted = [], []
    for seed in seeds:
        describe = {"CMAC": encoder_features(model)}
        if teacher is not None:
            describe[f"the teacher, {teacher.name}"] = teacher_features(teacher, config.sample_rate)
        if floors:
            describe |= {
                "random weights": encoder_features(random_weights(model.config, seed, model.device)),
                "log-mel statistics": log_mel_statistics(config),
                "MFCC statistics": mfcc_statistics(config),
            }
        features = extract(sounds, describe, crops, config.sample_rate, seed)
        for name, values in features.items():
            accuracy = {}
            for fold in tqdm(tested, desc=name, disable=None):
                answers = classify(values, labels, folds, fold, seed)
                accuracy[fold] = float((answers == labels[folds == fold]).mean())
                if name == "CMAC":
                    truth += labels[folds == fold].tolist()
                    predicted += answers.tolist()
            found.setdefault(name, []).append(accuracy)
    found["chance"] = [dict.fromkeys(tested, 1 / len(classes))]
    means = {name: [float(np.mean(list(one.values()))) for one in runs] for name, runs in found.items()}
    return {
        "recordings": len(sounds),
        "classes": len(classes),
        "crops": crops.count,
        "seconds": crops.seconds,
        "seeds": list(seeds),
        "accuracy": {
            name: {fold: float(np.mean([one[fold] for one in runs])) for fold in tested} for name, runs in found.items()
        },
        "spread": {name: float(np.std(each, ddof=1)) if len(each) > 1 else 0.0 for name, each in means.items()},
        "truth": truth,
        "predicted": predicted,
    }


def as_table(report: dict[str, Any]) -> str:
    """Markdown, in percent; with several seeds the mean has its standard deviation over them."""
    folds = list(next(iter(report["accuracy"].values())))
    lines = ["| features | " + " | ".join(f"fold {fold}" for fold in folds) + " | mean |"]
    lines.append("| --- " * (len(folds) + 2) + "|")
    for name, accuracy in report["accuracy"].items():
        values = [100 * accuracy[fold] for fold in folds]
        spread = f" +- {100 * report['spread'][name]:.1f}" if report["spread"][name] else ""
        cells = [*(f"{v:.1f}" for v in values), f"{float(np.mean(values)):.1f}{spread}"]
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    for name, mean in PAPER_SOUNDS.get(report.get("set", ""), {}).items():
        lines.append(f"| *the paper:* {name} | " + "- | " * len(folds) + f"{mean:.1f} |")
    return "\n".join(lines)


def probe(
    model: CMAC,
    name: str,
    root: Path,
    tested: Sequence[str] | None = None,
    seeds: Sequence[int] = (0,),
    floors: bool = True,
    teacher: Teacher | None = None,
) -> dict[str, Any]:
    """`evaluate_probe` on a set by name, see `cmac_hub.train.evaluate.toolbox.sounds.find_sounds`."""
    crops = find_set("probe", name).crops
    assert crops is not None
    return {"set": name, **evaluate_probe(model, find_sounds(name, root), crops, tested, seeds, floors, teacher)}
