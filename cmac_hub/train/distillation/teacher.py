"""Teachers of sounds: what gives an embedding of a window; YAMNet, from the TensorFlow Lite file that Google published.

YAMNet was trained on AudioSet's labels. Its file is not part of this package; what runs it is the extra `teachers`.
"""

from __future__ import annotations

import hashlib
import warnings
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from cmac_hub.errors import CMACError


class Teacher(Protocol):
    """Embeds windows of sound."""

    name: str
    sample_rate: int
    """Hertz."""
    samples: int
    """Length of a window."""
    size: int
    """Of an embedding."""

    def embed(self, waveforms_BN: np.ndarray) -> np.ndarray:
        """(B, samples) fp32 in [-1, 1] -> (B, size) fp32."""
        ...

    def about(self) -> dict[str, Any]:
        """What a checkpoint says of its teacher: plain JSON values that tell it from any other."""
        ...


class YAMNet:
    """The average over its last feature map, 1024 numbers that are not negative, of 0.975 s of sound.

    Args:
        path: of `yamnet.tflite`.

    Raises:
        CMACError: the extra is not installed, there is no such file, or it is not YAMNet.
    """

    name = "YAMNet"
    sample_rate = 16000
    samples = 15600
    size = 1024

    def __init__(self, path: Path) -> None:
        try:
            from ai_edge_litert.interpreter import Interpreter
        except ImportError as error:
            raise CMACError("the teacher needs ai-edge-litert; install it: pip install 'cmac-hub[teachers]'") from error
        if not path.is_file():
            raise CMACError(f"there is no teacher {path}; give the path of yamnet.tflite")
        self.path = path
        try:
            # The embedding is no output of the published file: it stays readable only with all tensors kept.
            with warnings.catch_warnings(action="ignore"):
                network = Interpreter(str(path), experimental_preserve_all_tensors=True, num_threads=1)
            network.allocate_tensors()
        except (ValueError, RuntimeError) as error:
            raise CMACError(f"{path} is no TensorFlow Lite file ({str(error).splitlines()[0]})") from error
        given = network.get_input_details()[0]
        averages = [
            one["index"]
            for one in network.get_tensor_details()
            if "global_average_pooling" in one["name"] and one["shape"].tolist() == [1, self.size]
        ]
        if given["shape"].tolist() != [1, self.samples] or not averages:
            raise CMACError(f"{path} is not YAMNet: expected {self.samples} samples in and an average of {self.size}")
        self._network, self._input, self._embedding = network, given["index"], averages[-1]

    def __reduce__(self) -> tuple[type[YAMNet], tuple[Path]]:
        """A data worker that is not forked opens the file itself."""
        return YAMNet, (self.path,)

    def embed(self, waveforms_BN: np.ndarray) -> np.ndarray:
        """(B, samples) fp32 in [-1, 1] -> (B, size) fp32, not negative; about a millisecond a window."""
        found = np.empty((len(waveforms_BN), self.size), np.float32)
        for row, waveform in enumerate(waveforms_BN):
            self._network.set_tensor(self._input, waveform[None].astype(np.float32, copy=False))
            self._network.invoke()
            found[row] = self._network.get_tensor(self._embedding)[0]
        return found

    def about(self) -> dict[str, Any]:
        """Name, file, its hash and its license."""
        digest = hashlib.sha256(self.path.read_bytes()).hexdigest()
        return {"name": self.name, "file": self.path.name, "sha256": digest, "license": "apache-2.0"}


def embed_long(teacher: Teacher, waveforms_BN: np.ndarray) -> np.ndarray:
    """Any length: (B, n) fp32 at the teacher's rate -> (B, size), the mean over windows that overlap by half or more.

    What is shorter than a window is filled up with silence.
    """
    spare = max(0, waveforms_BN.shape[1] - teacher.samples)
    # The first window begins at the beginning, the last one ends at the end.
    starts = np.linspace(0, spare, 1 + -(-2 * spare // teacher.samples)).round().astype(int)
    filled = np.pad(waveforms_BN, ((0, 0), (0, max(0, teacher.samples - waveforms_BN.shape[1]))))
    found = [teacher.embed(filled[:, start : start + teacher.samples]) for start in starts]
    return np.stack(found).mean(0)
