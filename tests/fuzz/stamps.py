"""Time stamps that shift, jump, fall back, or are missing: a file's packets, written again."""

from __future__ import annotations

from pathlib import Path

import av
import numpy as np

LAWS = ["shift", "jump", "fall", "reverse", "same", "absurd", "noise"]

CONTAINERS = [".ts", ".mkv", ".avi", ".nut", ".mov"]


def restamp(rng: np.random.Generator, source: Path, target: Path) -> None:
    """Writes `source` again with other stamps, as much of it as the container takes."""
    law = LAWS[rng.integers(len(LAWS))]
    try:
        with av.open(str(source)) as container, av.open(str(target), "w") as output:
            streams = {
                s.index: output.add_stream_from_template(s) for s in container.streams if s.type in ("video", "audio")
            }
            packets = [p for p in container.demux() if p.stream.index in streams and p.dts is not None]
            stamps = [(p.pts, p.dts) for p in packets]
            chosen = list(streams)[rng.integers(len(streams))]
            middle, size = int(rng.integers(len(packets))), int(2 ** rng.uniform(0, 40))
            for index, packet in enumerate(packets):
                if packet.stream.index == chosen or law in ("shift", "reverse"):
                    pts, dts = stamps[index]
                    pts = dts if pts is None else pts
                    late = index >= middle
                    shift = {
                        "shift": size,
                        "jump": size * late,
                        "fall": -size * late,
                        "absurd": (index == middle) << 61,
                    }
                    if law == "reverse":
                        pts = dts = stamps[-1 - index][1]
                    elif law == "same":
                        pts = dts = stamps[0][1]
                    elif law == "noise":
                        pts = dts = dts + int(rng.integers(-size, size + 1))
                    else:
                        pts, dts = pts + shift[law], dts + shift[law]
                    packet.pts, packet.dts = pts, dts
                packet.stream = streams[packet.stream.index]
                try:
                    output.mux(packet)
                except (av.FFmpegError, OverflowError):
                    # A container that refuses falling stamps goes on after them.
                    continue
    except (av.FFmpegError, ValueError, OverflowError, IndexError, KeyError, TypeError):
        return
