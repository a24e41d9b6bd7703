"""Media that nobody wants and some people have."""

from __future__ import annotations

import struct
from fractions import Fraction

import av
import numpy as np
from making import tone

RATE = 16000


def float_wav(path, samples):
    """(n, channels) float32, whatever its values, as a WAV of that type."""
    data, channels = np.ascontiguousarray(samples, "<f4").tobytes(), samples.shape[1]
    head = struct.pack("<IHHIIHH", 16, 3, channels, RATE, RATE * 4 * channels, 4 * channels, 32)
    path.write_bytes(b"RIFF" + struct.pack("<I", 36 + len(data)) + b"WAVEfmt " + head + b"data"
                     + struct.pack("<I", len(data)) + data)  # fmt: skip
    return path


def several_tracks(path, *levels, languages=("eng", "deu", "")):
    """Two seconds of picture, and one tone a track."""
    with av.open(str(path), "w") as container:
        video = container.add_stream("libx264", rate=25)
        video.width, video.height, video.pix_fmt = 64, 48, "yuv420p"
        tracks = [container.add_stream("aac", rate=RATE, layout="mono") for _ in levels]
        for track, language in zip(tracks, languages, strict=False):
            if language:
                track.metadata["language"] = language
        for i in range(50):
            frame = av.VideoFrame.from_ndarray(np.full((48, 64, 3), 4 * i, np.uint8), format="rgb24")
            frame.pts, frame.time_base = i, Fraction(1, 25)
            container.mux(video.encode(frame))
        container.mux(video.encode(None))
        for track, level in zip(tracks, levels, strict=True):
            sound = av.AudioFrame.from_ndarray(tone(2.0, level=level)[None], format="fltp", layout="mono")
            sound.sample_rate, sound.pts = RATE, 0
            for part in av.AudioResampler("fltp", "mono", RATE, frame_size=1024).resample(sound):
                container.mux(track.encode(part))
            container.mux(track.encode(None))
    return path


def garbled(source, target, kind):
    """A copy of a file in which every packet of one stream is noise."""
    data, rng = bytearray(source.read_bytes()), np.random.default_rng(0)
    with av.open(str(source)) as container:
        for packet in container.demux(**{kind: 0}):
            if packet.size and packet.pos:
                data[packet.pos : packet.pos + packet.size] = rng.bytes(packet.size)
    target.write_bytes(data)
    return target
