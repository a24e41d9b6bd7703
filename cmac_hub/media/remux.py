"""The sound of a source on its way into another container: its own packets where they fit, else encoded as AAC."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction

import av
import numpy as np
from av.container import InputContainer, OutputContainer

from cmac_hub.media.audio import decode_audio
from cmac_hub.media.heard import is_one
from cmac_hub.media.info import MediaInfo
from cmac_hub.media.opening import codec_name, demux_packets, isolate
from cmac_hub.media.survey import move_packets

_MP4 = {"aac", "mp3", "ac3", "eac3", "alac"}

COPIED = {
    ".mp4": _MP4 | {"opus", "flac"},
    ".m4v": _MP4 | {"opus", "flac"},
    ".mov": _MP4,
    ".mkv": _MP4 | {"opus", "flac", "vorbis", "mp2", "pcm_s16le", "pcm_s24le", "pcm_f32le"},
}
"""Codecs whose packets are copied as they are, by the suffix of the output."""

MP3_LEAST = 16000
"""Hertz below which MP4 takes no MP3 (of MPEG 2.5)."""

AAC_RATES = (8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000)
"""Hertz that the AAC encoder takes."""

Timed = tuple[float, av.Packet]
"""Seconds on the output's clock, and a packet ready to be muxed."""


def remux_audio(
    source: InputContainer, audio: av.AudioStream, info: MediaInfo, target: OutputContainer, suffix: str
) -> Iterator[Timed]:
    """Adds a sound stream to `target` at once; then gives its packets in order, moved so that `info.start` is zero.

    Args:
        source: an opening of the file that nothing else reads.
        sound: its stream.
        info: what `probe` says of the file.
        target: a container whose header is not yet written.
        suffix: of the output, in lower case.
    """
    isolate(source, audio)
    codec, rate = codec_name(audio), audio.codec_context.sample_rate
    refused = codec == "mp3" and rate < MP3_LEAST and suffix in (".mp4", ".m4v")
    # Parts that were joined may be coded each in its own way; decoded, they become one.
    mended = info.timeline is not None and info.timeline.audio is not None
    if codec in COPIED[suffix] and not refused and not mended:
        # Matroska has no times below zero: rather than move the whole video, the coder's run-in is left out.
        earliest = 0.0 if suffix == ".mkv" else float("-inf")
        return _copied(source, audio, info, target.add_stream_from_template(audio), earliest)
    rate = rate if rate in AAC_RATES else 48000
    layout = "mono" if is_one(audio.codec_context.layout) else "stereo"
    encoder = target.add_stream("aac", rate=rate, layout=layout)
    assert isinstance(encoder, av.AudioStream)
    encoder.codec_context.time_base = Fraction(1, rate)
    return _encoded(info, encoder, rate, layout)


def _copied(
    source: InputContainer, audio: av.AudioStream, info: MediaInfo, out: av.AudioStream, earliest: float
) -> Iterator[Timed]:
    base = audio.time_base or Fraction(1, 1000)
    shift = round(Fraction(info.start) / base)
    previous: int | None = None
    for packet in move_packets(demux_packets(source, audio), None):
        stamp = packet.pts if packet.pts is not None else packet.dts
        if stamp is None or packet.size == 0 or packet.is_corrupt:
            continue
        packet.pts = stamp - shift
        packet.dts = packet.pts if packet.dts is None else packet.dts - shift
        if previous is not None and packet.dts <= previous:
            continue
        previous = packet.dts
        time = float(packet.pts * base)
        if time < earliest:
            continue
        packet.stream = out
        yield time, packet


def _encoded(info: MediaInfo, encoder: av.AudioStream, rate: int, layout: str) -> Iterator[Timed]:
    count = 0
    for sides in decode_audio(info, rate, info.start):
        piece = sides if layout == "stereo" else sides[:1]
        frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(piece.clip(-1, 1)), format="fltp", layout=layout)
        frame.sample_rate, frame.pts, frame.time_base = rate, count, Fraction(1, rate)
        count += piece.shape[1]
        yield from _timed(encoder.encode(frame))
    if count:
        yield from _timed(encoder.encode(None))


def _timed(packets: list[av.Packet]) -> Iterator[Timed]:
    for packet in packets:
        if packet.pts is not None:
            yield float(packet.pts * packet.time_base), packet
