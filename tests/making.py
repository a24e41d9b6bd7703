"""Media made on the fly."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import numpy as np

from cmac_hub.config import architecture

VERSION_1 = Path(__file__).with_name("data") / "version_1"
"""Files that 0.1.0 wrote: a released network, its run, features of a clip; they stay readable for ever."""

CMAC_BASE, CMAC_NANO, CMAC_LITE = map(architecture, ("cmac-base", "cmac-nano", "cmac-lite"))


def tone(seconds: float, rate: int = 16000, hertz: float = 440.0, level: float = 0.3) -> np.ndarray:
    return (level * np.sin(2 * np.pi * hertz * np.arange(round(seconds * rate)) / rate)).astype(np.float32)


def write_media(
    path: Path,
    *,
    times: np.ndarray | None = None,
    images: np.ndarray | None = None,
    size: tuple[int, int] = (64, 48),
    sound: np.ndarray | None = None,
    sample_rate: int = 16000,
    sound_start: float = 0.0,
    layout: str = "mono",
    video_codec: str = "libx264",
    audio_codec: str = "aac",
    pix_fmt: str = "yuv420p",
    fragmented: bool = False,
    undecodable: bool = False,
    aspect: Fraction | None = None,
) -> Path:
    """A file with frames at given times (brightness tells the time unless images are given) and a waveform.

    The packets of an `undecodable` picture are there, and hold zeros.
    """

    def pictures(packets):
        for packet in packets:
            if undecodable:
                empty = av.Packet(bytes(packet.size))
                empty.stream, empty.time_base = packet.stream, packet.time_base
                empty.pts, empty.dts = packet.pts, packet.dts
                packet = empty
            container.mux(packet)

    options = {"movflags": "frag_keyframe+empty_moov"} if fragmented else {}
    with av.open(str(path), "w", options=options) as container:
        if times is not None:
            stream = container.add_stream(video_codec, rate=25)
            stream.width, stream.height, stream.pix_fmt = *size, pix_fmt
            if aspect is not None:
                stream.codec_context.sample_aspect_ratio = aspect
            stream.codec_context.time_base = stream.time_base = Fraction(1, 90000)
            if video_codec == "libx264":
                stream.codec_context.options = {"crf": "10", "preset": "ultrafast", "g": "10"}
        if sound is not None:
            track = container.add_stream(audio_codec, rate=sample_rate, layout=layout)
            track.codec_context.time_base = Fraction(1, sample_rate)
        if times is not None:
            for index, time in enumerate(times):
                if images is None:
                    image = np.full((size[1], size[0], 3), round(20 + 200 * index / max(1, len(times) - 1)), np.uint8)
                else:
                    image = images[index]
                frame = av.VideoFrame.from_ndarray(image, format="rgb24").reformat(format=pix_fmt)
                frame.pts, frame.time_base = round(float(time) * 90000), Fraction(1, 90000)
                pictures(stream.encode(frame))
            pictures(stream.encode(None))
        if sound is not None:
            channels = sound if sound.ndim == 2 else sound[None]
            format_name = track.codec_context.format.name
            resampler = av.AudioResampler(format_name, layout, sample_rate)
            step = 1024
            for start in range(0, channels.shape[1], step):
                part = np.ascontiguousarray(channels[:, start : start + step], np.float32)
                frame = av.AudioFrame.from_ndarray(part, format="fltp", layout=layout)
                frame.sample_rate = sample_rate
                frame.pts, frame.time_base = start + round(sound_start * sample_rate), Fraction(1, sample_rate)
                for out in resampler.resample(frame):
                    container.mux(track.encode(out))
            container.mux(track.encode(None))
    return path
