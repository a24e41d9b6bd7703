"""How a decoded frame is turned and mirrored for display: the eight ways of a display matrix."""

from __future__ import annotations

from typing import Any, NamedTuple

import av
import numpy as np
from av.sidedata.sidedata import SideDataContainer


class Orientation(NamedTuple):
    """First a turn, then perhaps a mirror."""

    rotation: int = 0
    """Degrees counterclockwise: 0, 90, 180 or 270."""
    mirrored: bool = False
    """Whether left and right are swapped after the turn."""

    @property
    def transposed(self) -> bool:
        """Whether rows become columns."""
        return self.rotation in (90, 270)

    def apply(self, image: np.ndarray) -> np.ndarray:
        """(H, W, ...) as decoded -> as displayed, contiguous."""
        if self == UPRIGHT:
            return image
        turned = np.rot90(image, self.rotation // 90)
        return np.ascontiguousarray(turned[:, ::-1] if self.mirrored else turned)


UPRIGHT = Orientation()


def side_data(frame: av.VideoFrame, kind: str) -> bytes | None:
    """What a decoder says beside a frame, of a kind by FFmpeg's name; None if nothing."""
    # `frame.side_data` would stay with the frame and hold it: a circle, and its pixels stay until Python looks for one.
    found: Any = SideDataContainer(frame).get(kind)  # type: ignore[call-arg]
    return None if found is None else bytes(found)


def frame_orientation(frame: av.VideoFrame) -> Orientation:
    """As a frame's display matrix says; the nearest of the eight if its angle lies between them."""
    matrix = side_data(frame, "DISPLAYMATRIX")
    return UPRIGHT if matrix is None else orientation_of(np.frombuffer(matrix, np.int32, 9).reshape(3, 3))


def orientation_of(matrix: np.ndarray) -> Orientation:
    """Of a display matrix (3, 3), any unit: a pixel (p, q), counted to the right and down, is shown at
    (a p + c q + x, b p + d q + y), where a, b are the first two numbers of the first row, c, d of the second one."""
    (a, b), (c, d) = matrix[:2, :2].astype(np.int64).tolist()
    if abs(a) + abs(d) >= abs(b) + abs(c):
        left, up = a < 0, d < 0
        return Orientation(180 if up else 0, left != up)
    # The picture's rows become columns: q goes along x, p along y.
    left, up = c < 0, b < 0
    return Orientation(90 if up else 270, left == up)
