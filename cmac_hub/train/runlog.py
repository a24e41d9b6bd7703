"""What a run writes down: its settings and surroundings once, a line of figures every few steps."""

from __future__ import annotations

import csv
import os
import platform
import subprocess
import time
from collections.abc import Sequence
from contextlib import suppress
from importlib import metadata
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor

from cmac_hub.files import naming
from cmac_hub.train.writing import writing

FIGURES = ["loss", "contrastive", "consistency", "accuracy", "spread", "guidance_mean", "guidance_std"]
PACE = ["learning_rate", "clips_per_second", "waiting_share", "replaced"]


def environment() -> dict[str, str]:
    """Versions, device and git revision, for whoever wants to repeat the run."""
    packages = ("cmac-hub", "torch", "torchvision", "torchaudio", "av", "numpy", "pillow")
    found = {"python": platform.python_version(), "machine": platform.machine()}
    for name in packages:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            found[name] = "not installed"
    if torch.cuda.is_available():
        found["gpu"] = torch.cuda.get_device_name()
    found["git_revision"] = _git_revision()
    return found


def _git_revision() -> str:
    """Of the repository that tracks this very file; "unknown" where there is none, or no git."""
    this = Path(__file__)
    try:
        tracked, revision = (
            subprocess.run(["git", *words], cwd=this.parent, capture_output=True, text=True, check=False)
            for words in (("ls-files", "--error-unmatch", this.name), ("rev-parse", "HEAD"))
        )
    except OSError:
        return "unknown"
    return revision.stdout.strip() if tracked.returncode == revision.returncode == 0 else "unknown"


class RunLog:
    """Means of figures over some steps -> `log.csv`, and TensorBoard where it is installed.

    Args:
        run: the run's folder.
        step: steps already done; later lines of a broken-off run are dropped.
        figures: names of what each step gives.
        begun: what `begun` gave at that step: the line that the run was broken off in goes on.

    Raises:
        OutputError: log.csv cannot be written; by every method.
    """

    def __init__(
        self, run: Path, step: int, figures: Sequence[str] = FIGURES, begun: dict[str, Any] | None = None
    ) -> None:
        self.figures, self.columns = figures, ["step", *figures, *PACE]
        path = self._path = run / "log.csv"
        kept = []
        if path.exists():
            with path.open(newline="") as file:
                kept = [row for row in csv.DictReader(file) if _is_whole(row) and int(row["step"]) <= step]
        with writing(path) as file:
            header = csv.DictWriter(file, self.columns, extrasaction="ignore", restval="")
            header.writeheader()
            header.writerows(kept)
        with naming(path):
            self._file = path.open("a", newline="")
        self._csv = csv.DictWriter(self._file, self.columns)
        self._board = _tensorboard(run)
        self._restart()
        if begun is not None:
            self._sums.update({name: begun["sums"][name] for name in figures})
            self._steps, self._replaced = begun["steps"], begun["replaced"]

    def _restart(self) -> None:
        self._sums: dict[str, float | Tensor] = dict.fromkeys(self.figures, 0.0)
        self._replaced = cast("int | Tensor", 0)
        self._steps, self._clips, self._waited, self._since = 0, 0, 0.0, time.perf_counter()

    def add(self, figures: dict[str, Tensor], clips: int, replaced: int | Tensor, waited: float) -> None:
        """One step.

        Args:
            figures: a scalar for each of the log's.
            clips: of all processes.
            replaced: broken videos, a number or a scalar.
            waited: seconds that the step waited for data.
        """
        for name, value in figures.items():
            # Kept where it is: turning it into a number would make a GPU wait at every step.
            self._sums[name] = self._sums[name] + value.detach()
        self._steps, self._clips = self._steps + 1, self._clips + clips
        self._replaced, self._waited = self._replaced + replaced, self._waited + waited

    def write(self, step: int, learning_rate: float) -> dict[str, Any]:
        """Writes the means since the last line and begins anew. Returns the line."""
        seconds = max(1e-9, time.perf_counter() - self._since)
        row: dict[str, Any] = {name: round(float(value) / max(1, self._steps), 5) for name, value in self._sums.items()}
        row |= {"step": step, "learning_rate": f"{learning_rate:.3e}", "replaced": int(self._replaced)}
        row |= {"clips_per_second": round(self._clips / seconds, 1), "waiting_share": round(self._waited / seconds, 3)}
        with naming(self._path):
            self._csv.writerow(row)
            self._file.flush()
        if self._board is not None:
            for name in self.columns[1:]:
                self._board.add_scalar(name, float(row[name]), step)
        self._restart()
        return row

    def begun(self) -> dict[str, Any]:
        """The line that is not yet written, for a checkpoint; the disk has those that are, once this returns."""
        with naming(self._path):
            os.fsync(self._file.fileno())
        sums = {name: torch.as_tensor(value).cpu() for name, value in self._sums.items()}
        return {"sums": sums, "steps": self._steps, "replaced": int(self._replaced)}

    def __enter__(self) -> RunLog:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        # What could not be written before cannot be written now; the first error is the one that counts.
        with naming(self._path) if kind is None else suppress(OSError):
            self._file.close()
        if self._board is not None:
            self._board.close()


def _is_whole(row: dict[str, Any]) -> bool:
    """Whether a line of the log was not cut short."""
    return None not in row.values() and str(row["step"]).isdigit()


def _tensorboard(run: Path) -> Any:
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        return None
    return SummaryWriter(str(run / "tensorboard"))
