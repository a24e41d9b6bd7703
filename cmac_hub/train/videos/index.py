"""`train index`: looks into every video of a collection once, and writes the manifest of those that can be trained on.

    python -m cmac_hub.train index videos/ -o manifest.csv
    python -m cmac_hub.train index videos/ -o small.csv --cut small/    # the same of copies that are quick to read

What is left out stands in `manifest.skipped.csv` with the reason. A second call goes on where the first was broken off.
"""

from __future__ import annotations

import csv
import io
import os
from collections import Counter
from collections.abc import Iterable
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context
from pathlib import Path

import numpy as np
from tqdm import tqdm

from cmac_hub.errors import MediaError, UndecodableError
from cmac_hub.files import naming
from cmac_hub.media import MediaInfo, probe, read_frame, windows
from cmac_hub.media.find import is_drawn
from cmac_hub.train.videos.cut import Cut
from cmac_hub.train.videos.dataset_layouts import Candidate
from cmac_hub.train.videos.manifest import AS_BYTES, COLUMNS
from cmac_hub.train.videos.pairs import AUDIBLE
from cmac_hub.train.writing import writing

SOUNDED = 8
"""Seconds that are listened to, evenly over a video, before it counts as silent."""

MISSING = "missing"
"""Why a video is left out that another call may find."""

LOST = {"picture": "video cannot be decoded", "sound": "audio cannot be decoded"}
"""What is there, but broken, encrypted, or of a codec that FFmpeg does not know."""


def inspect(candidate: Candidate, shortest: float = 1.0) -> tuple[str, float, float]:
    """(reason why it cannot be used or "", start, end in seconds)."""
    if candidate.path is None or not candidate.path.exists():
        return MISSING, 0.0, 0.0
    if is_drawn(candidate.path):
        return "drawn by cmac localize", 0.0, 0.0
    try:
        info = probe(candidate.path)
        if not info.has_video:
            return (LOST["picture"] if "picture" in info.undecodable else "no video"), 0.0, 0.0
        if not info.has_audio:
            return (LOST["sound"] if "sound" in info.undecodable else "no audio"), 0.0, 0.0
        start, end = info.start, info.start + (info.duration or 0.0)
        if (
            candidate.start is not None
            and candidate.end is not None
            and end - start > candidate.end - candidate.start + 2
        ):
            # The whole video of which the collection means a part.
            start, end = info.start + candidate.start, min(end, info.start + candidate.end)
        if end - start < shortest:
            return "no duration" if info.duration is None else "too short", start, end
        try:
            read_frame(info, (start + end) / 2)
        except UndecodableError:
            return LOST["picture"], start, end
        for moment in np.linspace(start, end - 1, SOUNDED):
            if _loudest(info, float(moment)) >= AUDIBLE:
                return "", start, end
        return "silent", start, end
    except UndecodableError:
        return LOST["sound"], 0.0, 0.0
    except MediaError:
        return "broken", 0.0, 0.0


def _loudest(info: MediaInfo, moment: float) -> float:
    cut = windows(info, frames=1, size=16, sample_rate=8000, start=moment, stop=moment + 1, video=False)
    waveform = next(cut).waveform
    return 0.0 if waveform is None else float(np.abs(waveform).max(initial=0))


def index(
    candidates: list[Candidate], manifest: Path, *, cut: Cut | None = None, workers: int = 0, progress: bool = True
) -> Counter[str]:
    """Writes `manifest` and, beside it, `STEM.skipped.csv` (name, reason).

    Args:
        candidates: see `cmac_hub.train.videos.dataset_layouts.find_candidates`.
        manifest: where to write; its paths are relative to its folder.
        cut: make a small copy of each good one, and name it instead.
        workers: processes; 0: one a core.
        progress: show a progress bar on stderr.

    Returns:
        how many there are of each reason; "" counts the good ones.
    """
    part = manifest.with_suffix(".partial.csv")
    targets = {} if cut is None else cut.targets(candidates)
    where = {one.key: _relative(targets.get(one.key, one.path), manifest) for one in candidates}
    # Copies of one long video are told by their group: their paths no longer tell.
    groups = {one.key: _relative(one.path, manifest) for one in candidates if targets and one.start is not None}
    # What a call with other copies noted, or did not find, is looked at again.
    noted = _read_partial(part).items()
    done = {key: row for key, row in noted if row[6] not in ("", MISSING) or (row[0] == where.get(key) and not row[6])}
    waiting = [(one, targets.get(one.key)) for one in candidates if one.key not in done]
    with naming(part), part.open("a", newline="", encoding="utf-8", errors=AS_BYTES) as file:
        writer = csv.writer(file)
        for one, (reason, start, end) in _look_at_all(cut, waiting, workers, progress):
            row = [where[one.key], f"{start:.3f}", f"{end:.3f}", one.label, groups.get(one.key, ""), one.key, reason]
            writer.writerow(row)
            file.flush()
            done[one.key] = row
    rows = [done[one.key] for one in candidates]
    _write(manifest, COLUMNS, [row[:5] for row in rows if not row[6]])
    _write(manifest.with_suffix(".skipped.csv"), ["name", "reason"], [row[5:7] for row in rows if row[6]])
    part.unlink()
    return Counter(row[6] for row in rows)


def _relative(path: Path | None, manifest: Path) -> str:
    """From the manifest's folder to a video; where links are on the way, by the folders that they stand for."""
    if path is None:
        return ""
    found = os.path.relpath(path, manifest.parent)
    real, folder = os.path.realpath(path), os.path.realpath(manifest.parent)
    return found if os.path.realpath(os.path.join(folder, found)) == real else os.path.relpath(real, folder)


def _look(cut: Cut | None, job: tuple[Candidate, Path | None]) -> tuple[str, float, float]:
    """As `inspect`, of the copy that is made of a good one."""
    candidate, target = job
    reason, start, end = inspect(candidate)
    if reason or cut is None or candidate.path is None or target is None:
        return reason, start, end
    try:
        return "", *cut.make(candidate.path, target, start, end)
    except UndecodableError:
        return LOST["picture"], start, end
    except MediaError:
        return "broken", start, end


def _look_at_all(
    cut: Cut | None, jobs: list[tuple[Candidate, Path | None]], workers: int, progress: bool
) -> Iterable[tuple[Candidate, tuple[str, float, float]]]:
    bar = partial(tqdm, total=len(jobs), disable=not progress, unit="video", desc="index")
    look = partial(_look, cut)
    if workers == 1 or len(jobs) < 2:
        yield from bar((job[0], look(job)) for job in jobs)
        return
    # A forked FFmpeg or torch thread pool may hang; a spawned process has none of either.
    with ProcessPoolExecutor(workers or os.cpu_count(), mp_context=get_context("spawn")) as pool:
        yield from bar(zip((job[0] for job in jobs), pool.map(look, jobs, chunksize=4), strict=True))


def _read_partial(part: Path) -> dict[str, list[str]]:
    """Rows of a broken-off call by name; a last line that was cut is left out."""
    if not part.exists():
        return {}
    with part.open(newline="", encoding="utf-8", errors=AS_BYTES) as file:
        text = file.read()
    whole = io.StringIO(text[: text.rfind("\n") + 1], newline="")
    rows = [row for row in csv.reader(whole) if len(row) == 7]
    _write(part, None, rows)
    return {row[5]: row for row in rows}


def _write(path: Path, header: list[str] | None, rows: list[list[str]]) -> None:
    with writing(path, errors=AS_BYTES) as file:
        csv.writer(file).writerows([*([header] if header else []), *rows])
