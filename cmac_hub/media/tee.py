"""One decoding of a video for two: each frame passes on to the windows of a network, and waits as a picture to be drawn
on.

Who cuts the windows decodes; who draws takes what has been decoded. The first never waits for room, as windows may be
what the second waits for: how far it is ahead is up to those who use the windows. From the first picture on for which
there is no room none are kept, and the file is decoded once more for drawing.
"""

from __future__ import annotations

from collections.abc import Generator
from contextlib import closing
from queue import SimpleQueue

import av

from cmac_hub.ahead import ahead
from cmac_hub.media.frames import YUVFrame, decode_frames, lasting, read_yuv_frames
from cmac_hub.media.info import MediaInfo
from cmac_hub.media.yuv import FORMATS, YUVScaler, format_of

ROOM = 256 * 2**20
"""Bytes that waiting pictures may take."""

FRAMES_AHEAD = 8
"""Frames of a second decoding that wait to be drawn on."""


class Tee:
    """The frames of one video for two threads.

    Args:
        info: of a file that has a video stream.
        room: bytes of pictures that may wait; with 0 the file is decoded twice.
    """

    def __init__(self, info: MediaInfo, room: int = ROOM) -> None:
        self.info = info
        self._room = room
        self._waiting: SimpleQueue[YUVFrame | None] = SimpleQueue()
        """Ends with None."""
        self._complete = False
        """Whether all frames of the file have been put there."""
        self._put = self._taken = 0
        """Bytes of pictures that were, each written by one thread alone."""

    def decoded(self) -> Generator[tuple[float, av.VideoFrame], None, None]:
        """What `cmac_hub.media.frames.decode_frames` gives, for `windows`. To be used once, in any thread; `pictures`
        waits for it to begin."""
        scaler, keeping = YUVScaler(self.info.width, self.info.height), True
        try:
            for time, frame in decode_frames(self.info):
                if keeping:
                    # Before the frame goes on: two threads may not share it, as scaling changes its tags for a moment.
                    picture = scaler(frame)
                    self._put += picture.bytes
                    keeping = self._put - self._taken <= self._room
                    self._waiting.put(YUVFrame(time, picture, lasting(self.info, time, frame)) if keeping else None)
                yield time, frame
            self._complete = keeping
        finally:
            self._waiting.put(None)

    def pictures(self) -> Generator[YUVFrame, None, None]:
        """What `cmac_hub.media.read_yuv_frames` gives, as `decoded` comes to it. To be used once, in another thread."""
        count = 0
        while (one := self._waiting.get()) is not None:
            self._taken += one.picture.bytes
            count += 1
            yield one
        if not self._complete:
            with closing(ahead(read_yuv_frames(self.info, count), FRAMES_AHEAD)) as rest:
                yield from rest


def bytes_a_second(info: MediaInfo) -> float:
    """Bytes of a second's pictures, as far as the file tells its frame rate."""
    color = 0.5 if format_of(info.width, info.height) == FORMATS[True] else 2
    return info.width * info.height * (1 + color) * (info.frame_rate or 25)
