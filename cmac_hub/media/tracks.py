"""The sound tracks of a file, and which of them is heard."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import av
from av.container import InputContainer

from cmac_hub.errors import ArgumentError, MediaError
from cmac_hub.media.opening import codec_name


class AudioTrack(NamedTuple):
    """One sound track, as the file describes it."""

    number: int
    """Counted from 1, as `audio_track` counts."""
    codec: str | None
    """None for one that FFmpeg does not know, and that nobody can hear here."""
    layout: str
    """FFmpeg's name of its channels: "stereo", "5.1", "9 channels"."""
    language: str
    """Of three letters; empty where the file does not say."""

    def __str__(self) -> str:
        what = (self.layout, self.language) if self.codec else ("cannot be decoded", self.language)
        return f"{self.number}: {', '.join(part for part in (self.codec, *what) if part)}"


def audio_tracks(container: InputContainer) -> tuple[AudioTrack, ...]:
    """All of a container's."""
    found = []
    for number, stream in enumerate(container.streams.audio, 1):
        known = stream.codec_context is not None and stream.codec_context.sample_rate
        language = stream.metadata.get("language", "")
        found.append(
            AudioTrack(
                number,
                codec_name(stream) if known else None,
                stream.codec_context.layout.name if known else "",
                "" if language == "und" else language,
            )
        )
    return tuple(found)


def choose_track(path: Path, tracks: Sequence[AudioTrack], wanted: int | None) -> int | None:
    """The number of the track that is heard: the one that is wanted, else the first that can be decoded, if any.

    Raises:
        ArgumentError: what is wanted is no number.
        MediaError: the wanted one is not there, or cannot be decoded; the message lists those that are there.
    """
    if wanted is None:
        return next((one.number for one in tracks if one.codec), None)
    if any(one.number == wanted and one.codec for one in tracks):
        return wanted
    if not isinstance(wanted, int):
        raise ArgumentError(f"audio_track is {wanted!r}; it is a number, counted from 1")
    there = f"its tracks are {'; '.join(map(str, tracks))}" if tracks else "it has none"
    there_is = any(one.number == wanted for one in tracks)
    what = f"audio track {wanted} of {path} cannot be decoded" if there_is else f"{path} has no audio track {wanted}"
    raise MediaError(f"{what}; {there}")


def audio_stream(container: InputContainer, number: int | None) -> av.AudioStream | None:
    """The stream of a track that `choose_track` gave."""
    return None if number is None else container.streams.audio[number - 1]
