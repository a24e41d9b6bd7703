"""Sound as it is heard: frames of any channels as a left and a right side."""

from __future__ import annotations

import math
import warnings
from pathlib import Path

import av
import numpy as np

from cmac_hub.errors import UndecodableError

FLOATS = {"flt": np.float32, "fltp": np.float32, "dbl": np.float64, "dblp": np.float64}
"""Kinds of samples, as FFmpeg names them, that may be no numbers."""

STANDARD = 8
"""Channels up to which files say what they are, and FFmpeg how they are mixed."""

PLANES = 7
"""Channels that may be read each in a plane of its own: PyAV looks for the end of a list of eight, and of longer ones,
in the memory behind it, and takes what is there for planes."""


def is_one(layout: av.AudioLayout) -> bool:
    """Whether channels are heard as one: a single one, ambisonic ones, or many."""
    return layout.nb_channels == 1 or layout.nb_channels > STANDARD or layout.name.startswith("ambisonic")


SLOWEST, FASTEST = 1000, 10_000_000
"""Hertz between which sample rates lie; others are errors of a header, and would cost hours."""


class Mixer:
    """Frames of one kind -> pieces of sound (2, n) float32 at another rate.

    Sides are mixed as FFmpeg does, never beyond full scale. Of ambisonic sound channel W is both sides, of more than
    `STANDARD` channels it is their mean. Samples that are NaN become silence, infinite ones full scale. The resampler
    sees no stamps, only a count of samples, or FFmpeg would stretch the sound to follow their jitter.

    Args:
        path: the file, for messages.
        like: a frame of the kind.
        sample_rate: hertz of the pieces.

    Raises:
        UndecodableError: the rate of the frames is beyond `SLOWEST` and `FASTEST`.
    """

    def __init__(self, path: Path, like: av.AudioFrame, sample_rate: int) -> None:
        if not SLOWEST <= like.sample_rate <= FASTEST:
            raise UndecodableError(
                f"the sound of {path} has {like.sample_rate} samples a second by its header; {SLOWEST} to {FASTEST} "
                "can be heard: convert it, or mend the header"
            )
        layout = like.layout
        self._path, self._channels = path, layout.nb_channels
        self._ambisonic = layout.name.startswith("ambisonic")
        self._resampler = av.AudioResampler(
            "fltp", "mono" if is_one(layout) else "stereo", sample_rate, options={"rematrix_maxval": "1.0"}
        )
        self._one = is_one(layout) and self._channels > 1
        apart = like.format.name in FLOATS and like.format.is_planar and self._channels > PLANES
        self._packer = av.AudioResampler("flt", layout.name, like.sample_rate) if self._one or apart else None

    def __call__(self, frame: av.AudioFrame | None) -> list[np.ndarray]:
        """The pieces that a frame gives; None gives what is left.

        Raises:
            UndecodableError: the channels cannot be mixed.
        """
        if frame is not None:
            frame.pts = None
        try:
            given = [] if frame is None else [frame]
            frames = given if self._packer is None else self._packer.resample(frame)
            ready = (self._single(one) if self._one else self._finite(one) for one in frames)
            mixed = [out for one in ready for out in self._resampler.resample(one)]
            if frame is None:
                mixed += self._resampler.resample(None)
        except (av.FFmpegError, ValueError) as error:
            raise UndecodableError(
                f"the sound of {self._path} of {self._channels} channels cannot be mixed down "
                f"({str(error).splitlines()[0]}); convert it first"
            ) from error
        pieces = (out.to_ndarray() for out in mixed)
        return [piece if len(piece) == 2 else np.concatenate((piece, piece)) for piece in pieces]

    def _finite(self, frame: av.AudioFrame) -> av.AudioFrame:
        kind = FLOATS.get(frame.format.name)
        # An infinite or undefined sample makes such a sum; so may what lies behind the samples, and changes nothing.
        with np.errstate(all="ignore"):
            sums = [] if kind is None else [np.frombuffer(memoryview(plane), kind).sum() for plane in frame.planes]
        if all(map(math.isfinite, sums)):
            return frame
        samples = frame.to_ndarray()
        return self._frame(samples, frame, frame.format.name, frame.layout.name)

    def _single(self, frame: av.AudioFrame) -> av.AudioFrame:
        samples = frame.to_ndarray().reshape(-1, self._channels).T
        kept = samples[:1] if self._ambisonic else self._only_finite(samples).mean(0, keepdims=True)
        return self._frame(kept, frame, "fltp", "mono")

    def _frame(self, samples: np.ndarray, like: av.AudioFrame, kind: str, layout: str) -> av.AudioFrame:
        samples = np.ascontiguousarray(self._only_finite(samples))
        frame = av.AudioFrame.from_ndarray(samples, format=kind, layout=layout)
        frame.sample_rate = like.sample_rate
        return frame

    def _only_finite(self, samples: np.ndarray) -> np.ndarray:
        if np.isfinite(samples).all():
            return samples
        if np.isnan(samples).any():
            what = "samples that are no numbers (NaN): silence instead"
            warnings.warn(f"the sound of {self._path} has {what}", stacklevel=2)
        return np.nan_to_num(samples, nan=0.0, posinf=1.0, neginf=-1.0)
