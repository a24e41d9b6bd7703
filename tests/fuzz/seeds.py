"""Files to mutate: small clips of many containers and codecs, made on the spot; and some strange from birth."""

from __future__ import annotations

import struct
import wave
import zlib
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from making import tone, write_media

CLIPS = [
    # name, video codec, pixel format, audio codec, sample rate
    ("h264.mp4", "libx264", "yuv420p", "aac", 16000),
    ("fragmented.mp4", "libx264", "yuv420p", "aac", 44100),
    ("h264.ts", "libx264", "yuv420p", "aac", 48000),
    ("h264.flv", "libx264", "yuv420p", "aac", 44100),
    ("h264.mov", "libx264", "yuv444p", "pcm_s16le", 22050),
    ("vp9.webm", "libvpx-vp9", "yuv420p", "libopus", 48000),
    ("mpeg4.avi", "mpeg4", "yuv420p", "mp3", 44100),
    ("mjpeg.avi", "mjpeg", "yuvj420p", "pcm_s16le", 8000),
    ("mpeg2.mpg", "mpeg2video", "yuv420p", "mp2", 48000),
    ("ffv1.mkv", "ffv1", "yuv420p10le", "flac", 32000),
    ("wmv.wmv", "wmv2", "yuv420p", "wmav2", 44100),
    ("hlg.mp4", "libx265", "yuv420p10le", "aac", 48000),
    ("av1.mkv", "libsvtav1", "yuv420p", "libopus", 48000),
]

SOUNDS = [
    ("sound.mp3", "mp3", 44100),
    ("sound.ogg", "libopus", 48000),
    ("sound.flac", "flac", 24000),
    ("sound.aac", "aac", 32000),
    ("sound.wav", "pcm_s16le", 16000),
]


def write_seeds(folder: Path) -> list[Path]:
    """Two seconds of each kind, the picture at 25 frames a second."""
    return [write_clip(folder / clip[0], *clip[1:]) for clip in CLIPS] + [
        write_media(folder / name, sound=tone(2.0, rate), sample_rate=rate, audio_codec=codec)
        for name, codec, rate in SOUNDS
    ]


def write_clip(path: Path, codec: str, pixels: str, audio: str, rate: int) -> Path:
    """Two seconds of noise beside gray; frames are stored in another order than shown, where codecs do that."""
    options = {"movflags": "frag_keyframe+empty_moov"} if "fragmented" in path.name else {}
    tags = "log-level=none:pools=1:frame-threads=1:colorprim=bt2020:transfer=arib-std-b67:colormatrix=bt2020nc"
    coding = {"libx265": {"x265-params": f"{tags}:hdr10=1:max-cll=2000,400"}, "libsvtav1": {"preset": "12"}}
    with av.open(str(path), "w", options=options) as container:
        stream = container.add_stream(codec, rate=25, options=coding.get(codec, {"g": "10"}))
        stream.width, stream.height, stream.pix_fmt = 64, 48, pixels
        track = container.add_stream(audio, rate=rate, layout="mono")
        track.bit_rate = 64000
        noise = np.random.default_rng(0).integers(0, 256, (50, 48, 64, 3), np.uint8)
        noise[:, :, :32] = 100
        for index, image in enumerate(noise):
            frame = av.VideoFrame.from_ndarray(image, format="rgb24").reformat(format=pixels)
            frame.pts, frame.time_base = index, Fraction(1, 25)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
        sound = av.AudioFrame.from_ndarray(tone(2.0, rate)[None], format="fltp", layout="mono")
        sound.sample_rate, sound.pts, sound.time_base = rate, 0, Fraction(1, rate)
        resampler = av.AudioResampler(
            track.codec_context.format.name, "mono", rate, track.codec_context.frame_size or 1024
        )
        for part in [*resampler.resample(sound), *resampler.resample(None)]:
            container.mux(track.encode(part))
        container.mux(track.encode(None))
    return path


def write_strange(folder: Path) -> list[Path]:
    """What no mutation comes by: huge and tiny pictures, thousands of streams, rates and layouts that change midway."""
    return [
        *(_picture(folder / f"{width}x{height}.png", width, height) for width, height in SIZES),
        _many_streams(folder / "many.mov", 900),
        _many_streams(folder / "too_many.mov", 5000),
        _joined(folder / "rates.mp3", "mp3", (8000, 44100, 16000)),
        _joined(folder / "rates.aac", "aac", (8000, 96000, 16000)),
        _wave(folder / "slow.wav", 200),
        _wave(folder / "fast.wav", 2**31 - 1),
        _wave(folder / "wide.wav", 16000, channels=1000),
        _changing(folder / "changing.ts"),
    ]


SIZES = [(100_000, 2), (2, 100_000), (12_000, 12_000), (1, 1)]


def _picture(path: Path, width: int, height: int) -> Path:
    """Three black pictures, a row of PNG files."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0))
    pixels = chunk(b"IDAT", zlib.compress(bytes((width + 1) * height), 1))
    path.write_bytes((b"\x89PNG\r\n\x1a\n" + header + pixels + chunk(b"IEND", b"")) * 3)
    return path


def _many_streams(path: Path, count: int) -> Path:
    """The one track of a file, over and over."""
    data = bytearray(write_media(path, sound=tone(1.0), audio_codec="pcm_s16le").read_bytes())
    movie, track = data.rindex(b"moov") - 4, data.rindex(b"trak") - 4
    length = struct.unpack_from(">I", data, track)[0]
    more = bytes(data[track : track + length]) * (count - 1)
    struct.pack_into(">I", data, movie, struct.unpack_from(">I", data, movie)[0] + len(more))
    path.write_bytes(data[: track + length] + more + data[track + length :])
    return path


def _joined(path: Path, codec: str, rates: tuple[int, ...]) -> Path:
    parts = []
    for rate in rates:
        part = path.with_name(f"{rate}{path.suffix}")
        write_media(part, sound=tone(0.7, rate), sample_rate=rate, audio_codec=codec)
        parts.append(part.read_bytes())
        part.unlink()
    path.write_bytes(b"".join(parts))
    return path


def _wave(path: Path, rate: int, channels: int = 1) -> Path:
    with wave.open(str(path), "wb") as file:
        file.setnchannels(channels)
        file.setsampwidth(2)
        file.setframerate(16000)
        file.writeframes((tone(1.0) * 32767).astype("<i2").tobytes())
    data = bytearray(path.read_bytes())
    struct.pack_into("<I", data, 24, rate)
    path.write_bytes(data)
    return path


def _changing(path: Path) -> Path:
    """Size, pixel format and sample rate change in the middle of a stream."""
    data = b""
    for size, pixels, rate in (((64, 48), "yuv420p", 16000), ((96, 20), "yuv444p", 48000), ((40, 80), "yuv422p", 8000)):
        part = path.with_name("part.ts")
        write_media(part, times=np.arange(10) / 10, size=size, pix_fmt=pixels, sound=tone(1.0, rate), sample_rate=rate)
        data += part.read_bytes()
        part.unlink()
    path.write_bytes(data)
    return path
