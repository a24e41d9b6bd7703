"""The attention drawn in one's own way: a red dot where each window's peak is, sound and frame times kept.

python examples/overlay.py dog.mp4 dog_dots.mp4
"""

import sys

import numpy as np

from cmac_hub import load_cmac
from cmac_hub.media import VideoWriter, probe, read_frames

source, target = sys.argv[1:]
info = probe(source)
peaks = list(load_cmac().visualizer.locate(source))
times = np.array([peak.time for peak in peaks])

size = {"width": info.width, "height": info.height}
with VideoWriter(target, **size, frame_rate=info.frame_rate, source=source) as writer:
    for frame in read_frames(source):
        peak = peaks[int(np.abs(times - frame.time).argmin())]
        x, y = int(peak.x), int(peak.y)
        frame.image[max(0, y - 4) : y + 4, max(0, x - 4) : x + 4] = 255, 0, 0
        writer.write(frame.image, frame.time)
print(target)
