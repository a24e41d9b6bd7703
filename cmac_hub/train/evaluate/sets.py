"""What each evaluation can be run on, declared once: parser, help, commands, readers and reports all read this table.

A new set is a line here and the function that it names.
"""

from __future__ import annotations

import pkgutil
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from cmac_hub.errors import CMACError
from cmac_hub.train.arguments import LIBRARY
from cmac_hub.train.scenes.layout import LAYOUT


@dataclass(frozen=True)
class Crops:
    """How a recording is cut for the probe (paper, section 4.2)."""

    count: int
    """Evenly over a recording; their scores are averaged."""
    seconds: float


@dataclass(frozen=True)
class EvaluationSet:
    """One choice of `--on`. Exactly one of `reader` and `measure` is named, as "module:function"."""

    title: str
    """Of its part of a report."""
    data: str
    """What `--data` is."""
    reader: str = ""
    """Reads what `--data` is; the command measures on it."""
    measure: str = ""
    """Measures by itself: (model, data, ...) -> (report, table in Markdown)."""
    needs: Literal["", "videos", "lists"] = ""
    """Another option that must say where the set's files lie."""
    collected: bool = False
    """Whether it needs the collected layout (`cmac_hub.train.scenes.collected_library`), which is not shipped; all
    others run on anyone's data."""
    crops: Crops | None = None
    """Of the probe."""

    @property
    def composed(self) -> bool:
        """Whether scenes are composed for it, of which there can be any number."""
        return self.data == LIBRARY

    @property
    def splits(self) -> tuple[str, ...]:
        """What `--split` can be, the default first: the number of an official list, or the data that were kept from
        training. Boxes and sounds of others are not split by it."""
        if self.needs == "lists":
            return ("1", "2", "3")
        return ("test", "validation") if self.measure else ()

    def function(self) -> Callable[..., Any]:
        """The reader or measure itself; its module is imported now."""
        found: Callable[..., Any] = pkgutil.resolve_name(f"cmac_hub.train.evaluate.{self.reader or self.measure}")
        return found


SETS: dict[str, dict[str, EvaluationSet]] = {
    "localize": {
        "scenes": EvaluationSet("Composed scenes", LIBRARY, measure="localization:measure_scenes"),
        "grounding": EvaluationSet(
            "Frequencies, masks and off-screen sounds on composed scenes",
            LIBRARY,
            measure="grounding:measure_grounding",
        ),
        "movement": EvaluationSet(
            "Movement: twins matched, composed scenes", LIBRARY, measure="movement:measure_movement"
        ),
        "clips": EvaluationSet(
            "Real shots with boxes of our own",
            "the collected data",
            measure="boxed_clips:measure_shots",
            collected=True,
        ),
        "vggss": EvaluationSet("VGG-SS", "its vggss.json", reader="boxes:vggss_boxes", needs="videos"),
        "flickr": EvaluationSet(
            "Flickr-SoundNet", "its folder of .xml, or a csv as below", reader="boxes:flickr_boxes", needs="videos"
        ),
        "csv": EvaluationSet(
            "Videos with boxes of a csv", "a csv file,x0,y0,x1,y1", reader="boxes:csv_boxes", needs="videos"
        ),
    },
    "probe": {
        "esc50": EvaluationSet(
            "ESC-50, linear classifier", "its folder", reader="toolbox.sounds:read_esc50", crops=Crops(10, 2.0)
        ),
        "urbansound8k": EvaluationSet(
            "UrbanSound8K, linear classifier",
            "its folder",
            reader="toolbox.sounds:read_urbansound8k",
            crops=Crops(10, 2.0),
        ),
        "dcase2013": EvaluationSet(
            "DCASE 2013, linear classifier", "its folder", reader="toolbox.sounds:read_dcase", crops=Crops(60, 1.0)
        ),
        "dcase2014": EvaluationSet(
            "DCASE 2014, linear classifier", "its folder", reader="toolbox.sounds:read_dcase", crops=Crops(60, 1.0)
        ),
        "csv": EvaluationSet(
            "Sounds of a csv, linear classifier",
            "a csv file,label,fold",
            reader="toolbox.sounds:read_csv",
            crops=Crops(10, 2.0),
        ),
    },
    "retrieve": {
        "scenes": EvaluationSet(
            "Audio to visual and back, composed scenes", LIBRARY, measure="retrieval:measure_scenes"
        ),
        "clips": EvaluationSet(
            "Audio to visual and back, real shots",
            "the collected data",
            measure="retrieval:measure_shots",
            collected=True,
        ),
        "ucf101": EvaluationSet(
            "UCF101, videos of the same action", "its videos", reader="toolbox.actions:read_ucf101", needs="lists"
        ),
        "hmdb51": EvaluationSet(
            "HMDB51, videos of the same action", "its videos", reader="toolbox.actions:read_hmdb51", needs="lists"
        ),
    },
    "finetune": {
        "ucf101": EvaluationSet("UCF101, finetuned", "its videos", reader="toolbox.actions:read_ucf101", needs="lists"),
        "hmdb51": EvaluationSet("HMDB51, finetuned", "its videos", reader="toolbox.actions:read_hmdb51", needs="lists"),
    },
}
"""Command -> name -> set."""


def find_set(command: str, name: str) -> EvaluationSet:
    """One set. Raises CMACError for an unknown name."""
    if name not in SETS[command]:
        raise CMACError(f"unknown set {name!r}; accepted are {', '.join(SETS[command])}")
    return SETS[command][name]


def describe_sets(command: str) -> str:
    """Lines for `--help`: what each set is, what it needs, which of them run on anyone's data, and how that lies."""
    lines = ["what --on can be:"]
    for name, one in SETS[command].items():
        needs = f", --{one.needs}" if one.needs else ""
        mark = " [only the collected layout]" if one.collected else ""
        lines.append(f"  {name:<14}{one.title}; --data: {one.data}{needs}{mark}")
    if any(one.collected for one in SETS[command].values()):
        lines.append("All but those marked run on anyone's data.")
    if any(one.composed for one in SETS[command].values()):
        lines += ["", LAYOUT]
    return "\n".join(lines)


def as_table() -> str:
    """All sets in Markdown, as `docs/training.md` lists them."""
    lines = ["| command | `--on` | what | `--data` | runs on anyone's data |", "| --- | --- | --- | --- | --- |"]
    for command, sets in SETS.items():
        for name, one in sets.items():
            data = one.data + (f", `--{one.needs}`" if one.needs else "")
            lines.append(f"| `{command}` | `{name}` | {one.title} | {data} | {'no' if one.collected else 'yes'} |")
    return "\n".join(lines)
