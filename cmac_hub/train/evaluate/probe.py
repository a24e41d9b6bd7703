"""Audio classification with a linear classifier on frozen features (paper, section 4.2), beside its floors.

    python -m cmac_hub.train probe --on esc50 --data DATA/esc50 -o esc50.json

Floors: chance, mean and deviation of the log-mel, of MFCCs, and the features of random weights, all through the same
classifier. Its regularisation is chosen inside the training folds only.
"""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torchaudio
from torch import Tensor
from tqdm import tqdm

from cmac_hub.config import AudioConfig
from cmac_hub.errors import CMACError
from cmac_hub.media import read_sound
from cmac_hub.model import CMAC
from cmac_hub.preprocessing import log_mel
from cmac_hub.train.evaluate.localization import random_weights
from cmac_hub.train.evaluate.sounds import LabelledSound, Protocol

Describe = Callable[[Tensor], Tensor]
"""Crops (B, n) fp32 of one recording -> (B, D) features."""

STRENGTHS = (0.01, 0.1, 1.0)
"""Inverse regularisations of the logistic regression that are tried."""


def cut_crops(waveform: np.ndarray, protocol: Protocol, sample_rate: int) -> Tensor:
    """(crops, n) evenly over a recording; a shorter one is repeated until it is long enough."""
    length = round(protocol.seconds * sample_rate)
    if len(waveform) < length:
        waveform = np.tile(waveform, -(-length // max(1, len(waveform))))[:length]
    starts = np.linspace(0, len(waveform) - length, protocol.crops).round().astype(int)
    return torch.from_numpy(np.stack([waveform[start : start + length] for start in starts]).astype(np.float32))


def encoder_features(model: CMAC) -> Describe:
    """Two poolings side by side of the audio encoder's map: the mean over all, and the mean over time's maximum."""

    def describe(crops_BN: Tensor) -> Tensor:
        _, spectrograms = model.prepare(None, crops_BN)
        map_BCFS = model.audio_encoder(spectrograms).float()
        return torch.cat([map_BCFS.flatten(2).mean(2), map_BCFS.mean(2).amax(2)], 1)

    return describe


def log_mel_statistics(config: AudioConfig) -> Describe:
    """Mean and deviation of each band."""

    def describe(crops_BN: Tensor) -> Tensor:
        mel_BFS = log_mel(crops_BN, config)[:, 0]
        return torch.cat([mel_BFS.mean(2), mel_BFS.std(2)], 1)

    return describe


def mfcc_statistics(config: AudioConfig) -> Describe:
    """Mean and deviation of 20 coefficients and of their first differences."""
    transform = torchaudio.transforms.MFCC(
        config.sample_rate, 20, melkwargs={"n_fft": 1024, "hop_length": 256, "n_mels": 64}
    )

    def describe(crops_BN: Tensor) -> Tensor:
        one_BKS = transform(crops_BN)
        both_BKS = torch.cat([one_BKS[..., 1:], one_BKS.diff(dim=2)], 1)
        return torch.cat([both_BKS.mean(2), both_BKS.std(2)], 1)

    return describe


@torch.inference_mode()
def extract(
    sounds: Sequence[LabelledSound], describe: dict[str, Describe], protocol: Protocol, sample_rate: int
) -> dict[str, np.ndarray]:
    """Features of all crops, (recordings, crops, D) for each description; every file is decoded once.

    Raises:
        CMACError: a description gave values that are not finite.
    """
    found: dict[str, list[np.ndarray]] = {name: [] for name in describe}
    for one in tqdm(sounds, unit="sound", disable=None):
        crops = cut_crops(read_sound(one.path, sample_rate), protocol, sample_rate)
        for name, how in describe.items():
            features = how(crops).float().cpu().numpy()
            if not np.isfinite(features).all():
                raise CMACError(f"the features ({name}) of {one.path} are not finite; mend the checkpoint or the file")
            found[name].append(features)
    return {name: np.stack(rows) for name, rows in found.items()}


def classify(features_NKD: np.ndarray, labels: np.ndarray, folds: np.ndarray, test: str, seed: int = 0) -> float:
    """Accuracy on the fold `test` of a linear classifier that saw all others; scores averaged over a recording's crops.

    Args:
        features_NKD: recordings, crops, dimensions.
        labels: (N,) text.
        folds: (N,) text.
        test: which fold.
        seed: of the split that chooses the regularisation when there is one training fold only.
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
    tried = {c: _fit(scaled, labels, rows[~held], rows[held], c) for c in STRENGTHS}
    best = max(tried, key=lambda c: tried[c])
    return _fit(scaled, labels, rows, np.flatnonzero(~train), best)


def _fit(features_NKD: np.ndarray, labels: np.ndarray, train: np.ndarray, test: np.ndarray, strength: float) -> float:
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression

    crops = features_NKD.shape[1]
    model = LogisticRegression(C=strength, max_iter=200, tol=1e-3)
    with warnings.catch_warnings():
        # A weakly regularised fit may stop at `max_iter`; the split inside the training folds judges it as it is.
        warnings.simplefilter("ignore", ConvergenceWarning)
        model.fit(features_NKD[train].reshape(len(train) * crops, -1), np.repeat(labels[train], crops))
    scores = model.predict_log_proba(features_NKD[test].reshape(len(test) * crops, -1))
    mean = scores.reshape(len(test), crops, -1).mean(1)
    return float((model.classes_[mean.argmax(1)] == labels[test]).mean())


def evaluate_probe(
    model: CMAC, sounds: Sequence[LabelledSound], protocol: Protocol, tested: Sequence[str] | None = None
) -> dict[str, Any]:
    """Accuracy on each fold, for the network and its floors.

    Args:
        model: in eval mode.
        sounds: of `find_sounds`.
        protocol: crops.
        tested: folds to test on; None takes all but "train".

    Raises:
        CMACError: a fold that is not there, one class only, or scikit-learn is not installed.
    """
    try:
        import sklearn  # noqa: F401
    except ImportError as error:
        raise CMACError("the probe needs scikit-learn; install it: pip install 'cmac-hub[train]'") from error
    labels, folds = np.array([one.label for one in sounds]), np.array([one.fold for one in sounds])
    tested = tested or sorted(set(folds) - {"train"})
    unknown = sorted(set(tested) - set(folds))
    if unknown:
        raise CMACError(f"there is no fold {', '.join(unknown)}; found {', '.join(sorted(set(folds)))}")
    classes = sorted(set(labels))
    if len(classes) < 2 or "" in classes:
        raise CMACError(f"the labels are {classes[:5]}; a probe needs at least two classes, and none without a name")
    config = model.config.audio
    describe = {
        "CMAC": encoder_features(model),
        "random weights": encoder_features(random_weights(model.config)),
        "log-mel statistics": log_mel_statistics(config),
        "MFCC statistics": mfcc_statistics(config),
    }
    features = extract(sounds, describe, protocol, config.sample_rate)
    report: dict[str, Any] = {
        "recordings": len(sounds),
        "classes": len(classes),
        "crops": protocol.crops,
        "seconds": protocol.seconds,
        "accuracy": {},
    }
    for name, values in features.items():
        report["accuracy"][name] = {fold: classify(values, labels, folds, fold) for fold in tqdm(tested, disable=None)}
    report["accuracy"]["chance"] = dict.fromkeys(tested, 1 / len(classes))
    return report


def checkpoint_hash(model: CMAC) -> str:
    """Twelve hexadecimal digits that tell one set of weights from another."""
    digest = hashlib.sha256()
    for name, tensor in sorted(model.state_dict().items()):
        digest.update(name.encode() + tensor.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()[:12]


def as_table(report: dict[str, Any]) -> str:
    """Markdown, in percent."""
    folds = list(next(iter(report["accuracy"].values())))
    lines = ["| features | " + " | ".join(f"fold {fold}" for fold in folds) + " | mean |"]
    lines.append("| --- " * (len(folds) + 2) + "|")
    for name, accuracy in report["accuracy"].items():
        values = [100 * accuracy[fold] for fold in folds]
        lines.append(f"| {name} | " + " | ".join(f"{v:.1f}" for v in [*values, float(np.mean(values))]) + " |")
    return "\n".join(lines)


def probe(model: CMAC, name: str, root: Path, tested: Sequence[str] | None = None) -> dict[str, Any]:
    """`evaluate_probe` on a set by name, see `cmac_hub.train.evaluate.sounds.find_sounds`."""
    from cmac_hub.train.evaluate.sounds import PROTOCOLS, find_sounds

    return {"set": name, **evaluate_probe(model, find_sounds(name, root), PROTOCOLS[name], tested)}
