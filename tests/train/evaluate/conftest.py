"""Small sets in the layouts that evaluations read."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from making import tone, write_media

from cmac_hub.train.evaluate.boxes import BoxedClip
from cmac_hub.train.evaluate.toolbox.scene_maps import make_scenes
from cmac_hub.train.scenes.compose import Scene
from cmac_hub.train.scenes.library import Library


@pytest.fixture(scope="session")
def sounds(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two classes, low and high tones, in three folds."""
    folder = tmp_path_factory.mktemp("sounds")
    lines = ["file,label,fold"]
    for i in range(12):
        label, hertz = ("low", 200 + 10 * i) if i % 2 else ("high", 2000 + 50 * i)
        write_media(folder / f"{i}.m4a", sound=tone(1.2, hertz=hertz))
        lines.append(f"{i}.m4a,{label},{i // 4 + 1}")
    (folder / "sounds.csv").write_text("\n".join(lines))
    return folder / "sounds.csv"


@pytest.fixture(scope="session")
def ucf(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Bright videos brighten, dark ones darken; UCF101's names and lists."""
    folder = tmp_path_factory.mktemp("ucf")
    (folder / "lists").mkdir()
    lists: dict[str, list[str]] = {"train": [], "test": []}
    for number, label in enumerate(("Rise", "Fall")):
        (folder / "UCF-101" / label).mkdir(parents=True)
        for group in range(1, 5):
            name = f"v_{label}_g{group:02d}_c01.avi"
            level = np.linspace(20, 220, 40) if label == "Rise" else np.linspace(220, 20, 40)
            images = np.repeat(level.astype(np.uint8)[:, None, None, None], 48, 1).repeat(64, 2).repeat(3, 3)
            sound = tone(1.6) if group == 1 else None
            # The container is told by its content, so the official name may hold any.
            made = write_media(folder / "made.mp4", times=np.arange(40) / 25, images=images, sound=sound)
            made.rename(folder / "UCF-101" / label / name)
            line = f"{label}/{name} {number + 1}" if group > 1 else f"{label}/{name}"
            lists["train" if group > 1 else "test"].append(line)
    for part, lines in lists.items():
        (folder / "lists" / f"{part}list01.txt").write_text("\n".join(lines) + "\n")
    return folder


@pytest.fixture(scope="session")
def shots(tmp_path_factory: pytest.TempPathFactory, clip: Path) -> Path:
    """A folder whose `clips` holds two shots of held-out groups, with names of `real_boxes.csv`, and one of training.

    The last is not there: no evaluation may look for it.
    """
    folder = tmp_path_factory.mktemp("shots")
    (folder / "clips").mkdir()
    held = ["014_drumstick-hitting-object-greates.mp4", "010_drumstick-hitting-object-greates.mp4"]
    for name in held:
        shutil.copy(clip, folder / "clips" / name)
    (folder / "clips" / "clips.csv").write_text("\n".join(["file,group", *(f"{n},1" for n in held), "gone.mp4,3"]))
    return folder


@pytest.fixture
def two(tmp_path: Path, clip: Path) -> list[BoxedClip]:
    """Two boxed clips of different sound."""
    other = write_media(tmp_path / "other.mp4", times=np.arange(75) / 25, size=(96, 64), sound=tone(3.0, hertz=3000))
    return [BoxedClip(clip, 1.5, ((0.0, 0.0, 0.5, 1.0),)), BoxedClip(other, 1.5, ((0.5, 0.0, 1.0, 1.0),))]


@pytest.fixture(scope="session")
def scenes(tiny_config) -> list[Scene]:
    """Two dozen composed scenes of the package's own drawings."""
    return make_scenes(Library.of_drawings("test", count=2), tiny_config, 24, seed=0)
