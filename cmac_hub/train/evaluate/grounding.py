"""The other directions of the claim, on composed scenes: which frequencies, how much of the thing, and is it there?

- Frequency grounding: does the audio map mark the time-frequency cells that the source dominates? Average precision
  over cells, where a background sound is mixed in: 5 to 25 dB below the source, where loudness tells most, and about as
  loud as it, where loudness tells less.
- Mask IoU at the best fixed threshold (`localization.py` has the measures of the field).
- Off-screen: is the peak of the map lower when another thing stands in the source's place? Average precision and
  largest F1 of telling the two apart, beside a map that ignores audio. And as drawn: how many scenes stay dark then,
  how many sources are lit.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from cmac_hub.config import HEARING, CMACConfig
from cmac_hub.geometry import CENTERED, Shift
from cmac_hub.model import CMAC
from cmac_hub.train.evaluate.toolbox.metrics import resize_map
from cmac_hub.train.evaluate.toolbox.requirements import require_scikit_learn
from cmac_hub.train.evaluate.toolbox.scene_maps import (
    MAPS,
    ScenePredictions,
    by_things,
    for_network,
    make_absent,
    on_source,
    predict_scenes,
    source_mask,
    source_shares,
)
from cmac_hub.train.evaluate.toolbox.untrained import random_weights
from cmac_hub.train.scenes.compose import Scene, Scenes
from cmac_hub.train.scenes.dominance import dominance, mel_power
from cmac_hub.train.scenes.library import Library
from cmac_hub.train.scenes.readers import libraries
from cmac_hub.train.scenes.settings import MEDIUM
from cmac_hub.train.scenes.splits import Split


def frequency_precision(maps_NFS: Sequence[np.ndarray], truths_NFS: Sequence[np.ndarray]) -> float:
    """Mean over scenes of the cells' average precision; scenes where all or no cells are dominated are left out."""
    average_precision_score = _sklearn().average_precision_score
    found = [
        average_precision_score(truth.ravel(), resize_map(heat, truth.shape).ravel())
        for heat, truth in zip(maps_NFS, truths_NFS, strict=True)
        if 0 < truth.mean() < 1
    ]
    return float(np.mean(found)) if found else float("nan")


def best_mask_iou(
    heats: Sequence[np.ndarray] | np.ndarray, masks: Sequence[np.ndarray], shift: Shift = CENTERED
) -> tuple[float, float]:
    """(mean IoU, threshold): of maps that lie off by `shift`, cut at the one threshold that suits them all best."""
    large = np.stack([resize_map(heat, mask.shape, shift) for heat, mask in zip(heats, masks, strict=True)])
    truth = np.stack(list(masks))
    best = (0.0, 0.0)
    for threshold in np.quantile(large, np.linspace(0.02, 0.98, 49)):
        found = large >= threshold
        both = (found & truth).sum((1, 2))
        either = np.maximum(1, (found | truth).sum((1, 2)))
        best = max(best, (float((both / either).mean()), float(threshold)))
    return best


def telling_apart(there: np.ndarray, absent: np.ndarray) -> dict[str, float]:
    """How well a score tells scenes whose source is in the picture from those whose source is not."""
    truth = np.r_[np.ones(len(there)), np.zeros(len(absent))]
    scores = np.r_[there, absent]
    precision, recall, _ = _sklearn().precision_recall_curve(truth, scores)
    f1 = 2 * precision * recall / np.maximum(1e-9, precision + recall)
    return {"average_precision": float(_sklearn().average_precision_score(truth, scores)), "max_f1": float(f1.max())}


def _sklearn() -> Any:
    require_scikit_learn("this measure")
    from sklearn import metrics

    return metrics


def measure_grounding(model: CMAC, data: Path, split: Split, count: int) -> tuple[dict[str, Any], str]:
    """`evaluate_grounding` for known and for new things, and its tables."""
    report = {
        which: evaluate_grounding(model, library, count)
        for which, library in libraries(data, split, model.config.require_visual().size)
    }
    return report, by_things({which: as_table(one) for which, one in report.items()})


def evaluate_grounding(model: CMAC, library: Library, count: int = 300, seed: int = 777) -> dict[str, Any]:
    """All three, with their trivial rivals, on scenes with up to one distractor and always a background sound.

    Args:
        model: in eval mode.
        library: of the split that is graded.
        count: scenes with the source in the picture, and as many without.
        seed: of the scenes.
    """
    untrained = random_weights(model.config, device=model.device)
    scenes = _scenes(library, model.config, count, seed)
    absent = make_absent(library, model.config, count, seed + 1, background_sound=1.0)
    equal = _scenes(library, model.config, count, seed + 2, background_level=(-3.0, 3.0))
    present_maps, absent_maps = predict_scenes(model, scenes), predict_scenes(model, absent)
    untrained_maps = predict_scenes(untrained, scenes)
    report: dict[str, Any] = {"scenes": count, "seed": seed}
    report["frequency_average_precision"] = {
        "5 to 25 dB below": _frequencies(present_maps, untrained_maps, scenes, model.config),
        "as loud": _frequencies(predict_scenes(model, equal), predict_scenes(untrained, equal), equal, model.config),
    }

    masks, shift = [source_mask(scene) for scene in scenes], present_maps.shift
    report["best_mask_iou"] = {
        **{which: best_mask_iou(heats, masks, shift)[0] for which, heats in present_maps.visual_NHW.items()},
        "random weights (guidance)": best_mask_iou(untrained_maps.visual_NHW["guidance"], masks, untrained_maps.shift)[
            0
        ],
        "centered disc": best_mask_iou([_nearness_to_the_middle(*masks[0].shape)] * len(masks), masks)[0],
        "whole picture": float(np.mean([mask.mean() for mask in masks])),
    }
    drawn = model.config.display.default_map
    low = model.config.display.limits("visual", drawn)[0]
    drawn_NHW, off_screen_NHW = present_maps.visual_NHW[drawn], absent_maps.visual_NHW[drawn]
    peaks = {
        which: {
            "there": present_maps.visual_NHW[which].max((1, 2)),
            "absent": absent_maps.visual_NHW[which].max((1, 2)),
        }
        for which in MAPS
    }
    on_NHW = on_source(source_shares(drawn_NHW.shape[1:], scenes, shift))
    cosine = [(one.visual_ND * one.audio_ND).sum(1) for one in (present_maps, absent_maps)]
    # For the curve of precision over recall.
    report["peaks"] = {name: [round(float(v), 5) for v in values] for name, values in peaks["guidance"].items()}
    report["offscreen"] = {
        **{f"peak of {which}": telling_apart(**found) for which, found in peaks.items()},
        "cosine of the embeddings": telling_apart(*cosine),
        "chance": {"average_precision": 0.5, "max_f1": 2 / 3},
        "drawn": drawn,
        "left_dark": float((off_screen_NHW.max((1, 2)) < low).mean()),
        "lit": float(((drawn_NHW >= low) & on_NHW).any((1, 2)).mean()),
    }
    return report


def _nearness_to_the_middle(height: int, width: int) -> np.ndarray:
    y, x = np.mgrid[:height, :width] + 0.5
    return -((y - height / 2) ** 2) - (x - width / 2) ** 2


def _frequencies(
    trained: ScenePredictions, untrained: ScenePredictions, scenes: Sequence[Scene], config: CMACConfig
) -> dict[str, float]:
    truths = [dominance(scene, config.require_audio()) for scene in scenes]
    mels = [mel_power(scene.waveform, config.require_audio()) for scene in scenes]
    return {
        **{which: frequency_precision(list(heats), truths) for which, heats in trained.audio_NFS.items()},
        "random weights (guidance)": frequency_precision(list(untrained.audio_NFS["guidance"]), truths),
        "loudness": frequency_precision(mels, truths),
        "chance": float(np.mean([t.mean() for t in truths if 0 < t.mean() < 1])),
    }


def _scenes(library: Library, config: CMACConfig, count: int, seed: int, **changes: Any) -> list[Scene]:
    level = for_network(MEDIUM, config, background_sound=1.0)
    return list(Scenes(library, [replace(level, **changes)], count, seed))


def as_table(report: dict[str, Any]) -> str:
    """Markdown."""
    lines = ["| measure | value | rivals |", "| --- | --- | --- |"]
    iou, off = report["best_mask_iou"], report["offscreen"]
    frequencies = [
        (
            f"frequency grounding, average precision, a background sound {level}",
            ", ".join(f"{which} {found[which]:.2f}" for which in MAPS),
            f"random weights {found['random weights (guidance)']:.2f}, loudness {found['loudness']:.2f}, "
            f"chance {found['chance']:.2f}",
        )
        for level, found in report["frequency_average_precision"].items()
    ]
    for name, value, others in (
        *frequencies,
        (
            "mask IoU at the best threshold",
            ", ".join(f"{which} {iou[which]:.2f}" for which in MAPS),
            f"random weights {iou['random weights (guidance)']:.2f}, disc in the middle {iou['centered disc']:.2f}, "
            f"whole picture {iou['whole picture']:.2f}",
        ),
        (
            "source in the picture or not, average precision / max F1",
            "peak of "
            + ", of ".join(
                f"{which} {{average_precision:.2f}} / {{max_f1:.2f}}".format(**off[f"peak of {which}"])
                for which in HEARING
            )
            + ", cosine {average_precision:.2f} / {max_f1:.2f}".format(**off["cosine of the embeddings"]),
            "prediction, which ignores audio, {average_precision:.2f} / {max_f1:.2f}".format(
                **off["peak of prediction"]
            )
            + ", chance 0.50 / 0.67",
        ),
        (
            f"off-screen sounds left dark, as drawn ({off['drawn']})",
            f"{off['left_dark']:.2f}",
            f"sources lit where they are {off['lit']:.2f}",
        ),
    ):
        lines.append(f"| {name} | {value} | {others} |")
    return "\n".join(lines)
