"""Maps as data: every map of a video in one .npz file, written with flat memory however long the video.

Each array grows in a nameless file of its own; the archive is put together when their lengths are known. It is not
compressed: such numbers hardly shrink, and NumPy reads it ten times as fast.

The keys, for N windows; a key whose stream is missing is missing too:

    times              (N,) float64   seconds on the container's clock: the windows' centers
    padded             (N,) bool      part of the window lay outside of the file
    sound_level        (N,) float32   RMS of the window's sound in [0, 1]; below 0.001 there is nothing to hear
    agreement          (N,) float32   cosine of the embeddings of picture and sound, in [-1, 1]
    visual_guidance    (N, T', H', W') float32   where in the frame the sound is answered (Eq. 4); T' steps of time
                       within a window, H' rows from the top, W' columns over the whole displayed frame
    visual_prediction, visual_joint              the other two maps, likewise
    audio_guidance     (N, F', S') float32       which frequencies and moments the picture answers to; F' bands from
                       low to high, evenly on the mel scale, S' steps of time within a window
    audio_prediction, audio_joint                likewise
    frame_size         (2,) int64     width, height in pixels of the displayed frame
    map_shift          (2,) float64   rows, columns by which visual maps lie below and right of what they describe

A map over its frame: `cmac_hub.geometry.over_frame(visual_joint[n].mean(0), *frame_size, tuple(map_shift))`.
"""

from __future__ import annotations

import shutil
import tempfile
import zipfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import IO, Any

import numpy as np

from cmac_hub.files import naming, replacing
from cmac_hub.media import MediaInfo
from cmac_hub.moments import Moment


class MapsWriter:
    """Takes the moments of one video; see `writing_maps`.

    Args:
        info: of the video.
        folder: where the arrays grow.
        open_files: closes them.
    """

    def __init__(self, info: MediaInfo, folder: Path, open_files: ExitStack) -> None:
        self._info, self._folder, self._open = info, folder, open_files
        self._columns: dict[str, _Column] = {}
        self._shift: tuple[float, float] = (0.0, 0.0)

    def add(self, moment: Moment) -> None:
        """The next moment, with all of its maps."""
        self._shift = moment.shift
        self._append("times", np.float64(moment.time))
        self._append("padded", np.bool_(moment.padded))
        if moment.level is not None:
            self._append("sound_level", np.float32(moment.level))
        if moment.agreement is not None:
            self._append("agreement", np.float32(moment.agreement))
        for name, values in moment.attention._asdict().items():
            if values is not None:
                self._append(name, values.numpy())

    def save(self, path: Path) -> None:
        """Puts the archive together."""
        with zipfile.ZipFile(path, "w") as archive:
            for name, column in self._columns.items():
                with archive.open(f"{name}.npy", "w", force_zip64=True) as file:
                    column.copy_to(file)
            size = np.array([self._info.width, self._info.height], np.int64)
            for name, values in (("frame_size", size), ("map_shift", np.array(self._shift, np.float64))):
                with archive.open(f"{name}.npy", "w") as file:
                    np.lib.format.write_array(file, values, allow_pickle=False)

    def _append(self, name: str, values: np.ndarray | np.generic) -> None:
        if name not in self._columns:
            file = self._open.enter_context(tempfile.TemporaryFile(dir=self._folder))  # noqa: SIM115
            self._columns[name] = _Column(file)
        self._columns[name].append(np.ascontiguousarray(values).reshape(values.shape))


class _Column:
    """An array (N, ...) that grows in a file."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file, self._count = file, 0
        self._row: np.ndarray | None = None

    def append(self, row: np.ndarray) -> None:
        self._row, self._count = row, self._count + 1
        self._file.write(row.tobytes())

    def copy_to(self, file: IO[bytes]) -> None:
        assert self._row is not None
        header: dict[str, Any] = np.lib.format.header_data_from_array_1_0(self._row)
        header |= {"shape": (self._count, *self._row.shape), "fortran_order": False}
        np.lib.format.write_array_header_2_0(file, header)
        self._file.seek(0)
        shutil.copyfileobj(self._file, file)


@contextmanager
def writing_maps(path: Path, info: MediaInfo, overwrite: bool = False) -> Iterator[MapsWriter]:
    """A writer whose moments stand in `path` when all went well; nothing does otherwise.

    Raises:
        OutputError: see `cmac_hub.files.replacing`.
    """
    with replacing(path, overwrite, info.path) as temporary, ExitStack() as open_files:
        writer = MapsWriter(info, path.parent, open_files)
        yield writer
        with naming(path):
            writer.save(temporary)
