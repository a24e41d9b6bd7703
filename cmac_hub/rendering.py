"""A drawn video: the network, decoding, drawing and encoding beside each other, moments as frames need them."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

from tqdm import tqdm

from cmac_hub.ahead import ahead
from cmac_hub.canvas import Bracket, Canvas
from cmac_hub.cores import SharedCores
from cmac_hub.inference import BATCH
from cmac_hub.media import MediaInfo, VideoWriter, read_yuv_frames
from cmac_hub.moments import Moment

MOMENTS_AHEAD = BATCH
"""Observed moments that wait for their frames."""

FRAMES_AHEAD = 8
"""Decoded frames that wait to be drawn on."""

FRAMES_BEHIND = 4
"""Drawn frames that wait to be encoded."""


def draw_video(
    canvas: Canvas,
    info: MediaInfo,
    observed: Iterator[Moment],
    seen: Callable[[Moment], None],
    output: str | Path,
    overwrite: bool,
    progress: bool | Callable[[float, float | None], None],
) -> None:
    """Draws every frame of a video and writes it with the video's own sound.

    Args:
        canvas: draws one frame.
        info: of the video.
        observed: the moments of all of it, in order; they are made ahead, in a thread of their own.
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

    size = {"width": canvas.width, "height": canvas.height}
    with VideoWriter(output, **size, frame_rate=info.frame_rate, source=info, overwrite=overwrite) as writer:
        total = None if info.duration is None or not info.frame_rate else round(info.duration * info.frame_rate)
        # Beside this thread, which draws: one observes and one decodes, ahead of it, and one encodes, behind it.
        with (
            closing(ahead(observed, MOMENTS_AHEAD, SharedCores())) as ready,
            closing(ahead(read_yuv_frames(info), FRAMES_AHEAD)) as frames,
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
