"""The attention drawn in one's own way: the raw maps, and a red dot where each window's peak is.

python examples/overlay.py dog.mp4 dog_dots.mp4
"""

import sys

import av
import numpy as np

from cmac_hub import load_cmac

source, target = sys.argv[1:]
maps = list(load_cmac().visualizer.heatmaps(source))
times = np.array([time for time, _ in maps])

with av.open(source) as reader, av.open(target, "w") as writer:
    stream = None
    for frame in reader.decode(video=0):
        pixels = frame.to_ndarray(format="rgb24")
        height, width = (side // 2 * 2 for side in pixels.shape[:2])
        heat = maps[int(np.abs(times - frame.time).argmin())][1]
        row, column = np.unravel_index(heat.argmax(), heat.shape)
        y, x = int((row + 0.5) / heat.shape[0] * height), int((column + 0.5) / heat.shape[1] * width)
        pixels[max(0, y - 4) : y + 4, max(0, x - 4) : x + 4] = 255, 0, 0
        if stream is None:
            stream = writer.add_stream("libx264", rate=reader.streams.video[0].average_rate or 25)
            stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        picture = av.VideoFrame.from_ndarray(np.ascontiguousarray(pixels[:height, :width]), format="rgb24")
        writer.mux(stream.encode(picture))
    if stream is not None:
        writer.mux(stream.encode(None))
print(target)
