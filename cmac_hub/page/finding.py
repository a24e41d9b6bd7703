"""The work behind the page: a clip and what is wanted -> an overlay video and what it says. It knows no browser."""

from __future__ import annotations

import threading
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from cmac_hub.checks import check_choice
from cmac_hub.config import HEARING, Layout, Map, Scale
from cmac_hub.demo import make_scene
from cmac_hub.drawing import visible_from
from cmac_hub.errors import MediaError
from cmac_hub.hub import load
from cmac_hub.media import write_video
from cmac_hub.moments import Peak
from cmac_hub.network import Network
from cmac_hub.optimize import optimize_for_inference
from cmac_hub.page.limits import check_clip, check_seconds
from cmac_hub.page.visits import LeftError
from cmac_hub.page.words import what_is_not_heard
from cmac_hub.visualizer import Visualizer

SCENES = {"flute, car": 4, "siren, bee": 1, "bird, flute": 2, "bell, flute": 3,
          "rattle, bee": 5, "car, flute": 10, "bee, bird": 12, "drum, rattle": 14}  # fmt: skip
"""What sounds and what is silent -> seed of the drawn scene; every thing sounds in one."""

LONGEST_NAME = 80
"""Letters of a clip's name that the output keeps."""


@dataclass(frozen=True)
class Found:
    """What was found in one clip."""

    clip: Path
    video: Path
    """The overlay."""
    network: str
    map: Map
    start: float
    end: float
    """Seconds on the clip's clock between which moments lie."""
    width: int
    height: int
    """Pixels of the displayed frame."""
    peaks: tuple[Peak, ...]
    """One a window."""
    lit_from: float | None
    """The lowest value that is seen to be lit; None where the likeliest places are."""
    warnings: tuple[str, ...]
    """What was mended or left out."""


class Finder:
    """Finds sources with a few networks, each of which is loaded once, when it is first wanted.

    It computes one thing at a time; whoever calls from several threads waits.

    Args:
        names: of the networks that are offered, as `load_cmac` takes them.
        device: where they compute.
        window: seconds that a network is shown at once; None for what it was trained on.
    """

    def __init__(self, names: tuple[str, ...], device: str = "cpu", window: float | None = None) -> None:
        self.names = names
        self._device, self._window = device, window
        self._loaded: dict[str, Visualizer] = {}
        self._lock = threading.RLock()

    def visualizer(self, name: str) -> Visualizer:
        """One of the networks. Raises ArgumentError for another name, CheckpointError where it cannot be loaded."""
        check_choice("network", name, self.names)
        with self._lock:
            if name not in self._loaded:
                network = load(name, Network, device=self._device)
                network.require_attention("demo --serve")
                self._loaded[name] = Visualizer(optimize_for_inference(network, "auto"))
            return self._loaded[name]

    def find(
        self,
        clip: Path,
        folder: Path,
        *,
        network: str,
        map: Map,
        layout: Layout,
        scale: Scale,
        progress: Callable[[float], None] = lambda share: None,
    ) -> Found:
        """Draws the overlay of a clip.

        Args:
            clip: a video.
            folder: for the overlay; when it disappears, so does the work.
            network: one of the names.
            map: see `Visualizer.render`.
            layout: see `Visualizer.render`.
            scale: see `Visualizer.render`.
            progress: is told the share that is done, in [0, 1].

        Raises:
            CMACError: the clip is none that the page takes, or cannot be read; or an unknown choice.
            LeftError: the folder has gone.
        """
        # Warnings belong to the process: one clip is worked on at a time, and others' are not kept.
        with self._lock, warnings.catch_warnings(record=True) as said:
            warnings.simplefilter("always")
            info = check_clip(clip)
            visualizer = self.visualizer(network)

            def tell(seconds: float, of: float | None) -> None:
                if not folder.is_dir():
                    raise LeftError
                check_seconds(clip, seconds)
                progress(min(1.0, seconds / of) if of else 0.5)

            video = folder / f"{clip.stem[:LONGEST_NAME]}_attention.mp4"
            peaks = visualizer.render(
                clip, video, map=map, layout=layout, scale=scale, window=self._window, progress=tell
            )
        if not peaks:
            raise MediaError(f"{clip} is too short to show anything")
        heard_of = [str(one.message) for one in said if str(clip) in str(one.message)]
        limits = visualizer.model.config.display.limits("visual", map)
        return Found(
            clip=clip,
            video=video,
            network=network,
            map=map,
            start=info.start,
            end=info.start + (info.duration or peaks[-1].time - info.start),
            width=info.width,
            height=info.height,
            peaks=tuple(peaks),
            lit_from=visible_from(limits) if scale == "absolute" else None,
            warnings=tuple(dict.fromkeys([*heard_of, *what_is_not_heard(info)])),
        )

    def draw_moment(self, found: Found, time: float, target: Path) -> None:
        """The figure of one moment of a clip, as a picture 1440 pixels wide. Raises MediaError as `figure` does."""
        with self._lock:
            # The clock's last instants have no frame of their own.
            inside = min(max(time, found.start), found.end)
            self.visualizer(found.network).figure(found.clip, inside, window=self._window).savefig(target, dpi=90)


def surest_moment(found: Found) -> float:
    """Seconds on the clip's clock: where the map is highest, of windows with something to hear if that matters."""
    telling = [peak for peak in found.peaks if peak.audible or found.map not in HEARING]
    best = max(telling or found.peaks, key=lambda peak: peak.score)
    return min(max(best.time, found.start), found.end)


def draw_scene(name: str, folder: Path) -> Path:
    """One of the scenes as a video with sound, drawn unless it is there. Raises ArgumentError for an unknown name."""
    check_choice("scene", name, tuple(SCENES))
    scene = make_scene(SCENES[name])
    path = folder / f"{scene.source}_and_{scene.distractor}.mp4"
    if not path.exists():
        sound, size = (scene.waveform, scene.sample_rate), (scene.width, scene.height)
        write_video(path, scene.frames(), scene.frame_rate, *sound, size=size, overwrite=True)
    return path
