"""A drawn video: decoding, the network, drawing and encoding beside each other, moments as frames need them.

A frame is decoded once, for the network and for drawing. It waits for the moments around it, and so for all windows
that are under way: how many those are is chosen so that the frames fit in memory.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

from tqdm import tqdm

from cmac_hub.ahead import ahead
from cmac_hub.canvas import Bracket, Canvas
from cmac_hub.checks import check_positive
from cmac_hub.cores import SharedCores
from cmac_hub.inference import check_batch_size
from cmac_hub.media import MediaInfo, Tee, VideoWriter
from cmac_hub.media.tee import ROOM, bytes_a_second
from cmac_hub.moments import Moment

FRAMES_BEHIND = 4
"""Drawn frames that wait to be encoded."""

BATCH = 8
"""Windows that pass through the network at once: 16 are no faster on a CPU, and as many frames more would wait."""


def decoding_for(info: MediaInfo, window: float, hop: float, batch_size: int | None) -> tuple[Tee, int]:
    """How a video is decoded to be drawn, and how many windows are to pass through the network at once.

    Args:
        info: of the video.
        window: seconds.
        hop: seconds.
        batch_size: windows at once; the default is as many as frames may wait for, up to `BATCH`.

    Raises:
        ValueError: a window, hop or batch_size that is not positive.
    """
    check_positive(window=window, hop=hop)
    # Frames wait from the file's start, or the moment before the drawn one, to the frame after the last window cut.
    # Between lie three batches, one to be drawn, one in the network, one waiting for it, and a window.
    seconds = ROOM / bytes_a_second(info) - window / 2 - max(window / 2, hop) - 2 / (info.frame_rate or 25)
    most = (seconds / hop - 1) / 3
    size = check_batch_size(batch_size, int(min(BATCH, most)) if most >= 1 else BATCH)
    return Tee(info, ROOM if size <= most else 0), size


def draw_video(
    canvas: Canvas,
    tee: Tee,
    observed: Iterator[Moment],
    most: int,
    seen: Callable[[Moment], None],
    output: str | Path,
    overwrite: bool,
    progress: bool | Callable[[float, float | None], None],
) -> None:
    """Draws every frame of a video and writes it with the video's own sound.

    Args:
        canvas: draws one frame.
        tee: decodes the video; `observed` uses what it decodes.
        observed: the moments of all of it, in order; they are made ahead, in a thread of their own.
        most: moments that may wait for their frames.
        seen: is called with each of them in order, in this thread, before a frame is drawn that needs it.
        output: see `cmac_hub.media.VideoWriter`, which also says what is raised.
        overwrite: replace an existing output.
        progress: show a progress bar on stderr; or a function, see `cmac_hub.visualizer.Visualizer.render`.
    """

    def moments(ready: Iterator[Moment]) -> Iterator[Moment]:
        for moment in ready:
            seen(moment)
            canvas.add_sound(moment)
            yield moment

    info, size = tee.info, {"width": canvas.width, "height": canvas.height}
    with VideoWriter(output, **size, frame_rate=info.frame_rate, source=info, overwrite=overwrite) as writer:
        total = None if info.duration is None or not info.frame_rate else round(info.duration * info.frame_rate)
        # Beside this thread, which draws: one decodes and one observes, ahead of it, and one encodes, behind it.
        with (
            closing(ahead(observed, most, SharedCores())) as ready,
            closing(tee.pictures()) as frames,
            ThreadPoolExecutor(1) as encoder,
        ):
            remaining = moments(ready)
            around = Bracket(remaining)
            behind: deque[Future[None]] = deque()
            for frame in tqdm(frames, total=total, disable=progress is not True, unit="frame", desc=info.path.name):
                if callable(progress):
                    progress(frame.time - info.start, info.duration)
                drawn = canvas.draw(frame.picture, frame.time, *around(frame.time))
                behind.append(encoder.submit(writer.write_yuv, drawn, frame.time, frame.duration))
                if len(behind) > FRAMES_BEHIND:
                    behind.popleft().result()
            for written in behind:
                written.result()
            # Sound may go on after the last frame: its windows are seen as well.
            deque(remaining, maxlen=0)
