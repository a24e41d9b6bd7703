"""What is said where the sound track that is heard is silent."""

from __future__ import annotations

from pathlib import Path

from cmac_hub.media import MediaInfo, as_info


def other_tracks(source: Path | MediaInfo, audio_track: int | None) -> str:
    """The part of a line that names the other sound tracks; empty where there is none."""
    info = as_info(source, audio_track)
    others = "; ".join(str(one) for one in info.audio_tracks if one.codec and one.number != info.audio_track)
    return f" on audio track {info.audio_track}, others are {others} (--audio-track)" if others else ""
