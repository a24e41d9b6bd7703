"""What a header says, and where it must not be believed."""

from __future__ import annotations

from fractions import Fraction

import av
import numpy as np
import pytest
from making import tone, write_media

from cmac_hub.errors import MediaError
from cmac_hub.media import info, opening, probe, read_frame, windows
from cmac_hub.media.info import _frame_rate


@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
@pytest.mark.parametrize("start", [0.0, 20.0])
def test_a_duration_is_from_the_start_to_the_end(tmp_path, suffix, start):
    times = start + np.arange(75) / 25
    found = probe(write_media(tmp_path / f"a{suffix}", times=times, sound=tone(3.0), sound_start=start))
    assert found.start == pytest.approx(start, abs=0.1)
    assert found.duration == pytest.approx(3.0, abs=0.15)


def test_pixels_that_are_not_square_are_made_so(tmp_path):
    path = write_media(tmp_path / "wide.mp4", times=np.arange(5) / 25, size=(64, 64), aspect=Fraction(2, 1))
    assert (probe(path).width, probe(path).height) == (128, 64)
    assert read_frame(path, 0.0).image.shape == (64, 128, 3)
    odd = write_media(tmp_path / "odd.mkv", times=np.arange(5) / 25, size=(64, 64), aspect=Fraction(8, 1))
    with av.open(str(odd)) as container:
        assert container.streams.video[0].sample_aspect_ratio == 8
    assert probe(odd).width == 64, "nobody has such pixels"


def test_pictures_that_would_fill_the_memory_are_refused(tmp_path, monkeypatch):
    path = write_media(tmp_path / "large.mp4", times=np.arange(5) / 25, size=(64, 48))
    monkeypatch.setattr(info, "MOST_PIXELS", 64 * 48)
    assert probe(path).width == 64
    monkeypatch.setattr(info, "MOST_PIXELS", 64 * 48 - 1)
    with pytest.raises(MediaError, match=r"large\.mp4 have 64x48 pixels; at most 3071 can be read .* scale them down"):
        probe(path)


def test_a_frame_larger_than_that_is_never_decoded(tmp_path, monkeypatch):
    """The header may say less than the frames have."""
    path = write_media(tmp_path / "large.mp4", times=np.arange(5) / 25, size=(640, 480))
    monkeypatch.setattr(opening, "LIMITS", {"max_pixels": str(640 * 480 - 1)})
    with opening.open_media(path) as container, pytest.raises(av.FFmpegError):
        next(container.decode(video=0))
    with pytest.raises(MediaError, match=r"no frame of .* can be decoded"):
        read_frame(path, 0.0)


@pytest.mark.parametrize(
    ("average", "guessed", "expected"),
    [(25, 30, 25.0), (30000, 25, 25.0), (None, 24, 24.0), (90000, 1000, None), (None, None, None), (240, 1, 240.0)],
)
def test_a_rate_of_the_clock_is_no_frame_rate(average, guessed, expected):
    class Stream:
        average_rate, guessed_rate = average, guessed

    assert _frame_rate(Stream()) == expected


def test_a_recording_of_a_browser_is_as_long_as_its_packets_say(tmp_path):
    """WebM as it is sent: no duration and no index."""
    how = {"times": np.arange(50) / 25, "sound": tone(2.0, 48000), "sample_rate": 48000}
    whole = write_media(tmp_path / "a.webm", video_codec="libvpx", audio_codec="libopus", **how)
    sent = tmp_path / "b.webm"
    with av.open(str(whole)) as given, av.open(str(sent), "w", format="webm", options={"live": "1"}) as made:
        streams = {stream.index: made.add_stream_from_template(stream) for stream in given.streams}
        for packet in given.demux():
            if packet.dts is not None:
                packet.stream = streams[packet.stream.index]
                made.mux(packet)
    with av.open(str(sent)) as container:
        assert container.duration is None
    assert probe(sent).duration == pytest.approx(2.0, abs=0.05)


def test_what_an_edit_list_cuts_away_is_no_part_of_the_file(shared, tmp_path):
    """Packets from the last key frame on, four seconds before the first that is shown: `ffmpeg -ss 4 -c copy`."""
    (source,) = (shared / "clips").glob("000_*.mp4")
    path = tmp_path / "cut.mp4"
    with av.open(str(source)) as given, av.open(str(path), "w") as made:
        streams = {stream.index: made.add_stream_from_template(stream) for stream in given.streams}
        for packet in given.demux():
            if packet.dts is None or (packet.stream.type == "audio" and packet.pts * packet.time_base < 4):
                continue
            shift = round(4 / packet.time_base)
            packet.pts, packet.dts = packet.pts - shift, packet.dts - shift
            packet.stream = streams[packet.stream.index]
            made.mux(packet)
    found = probe(path)
    assert found.start == pytest.approx(0, abs=0.01) and found.duration == pytest.approx(6.01, abs=0.02)
    cut = list(windows(path, hop=0.25, frames=2, size=32, sample_rate=8000))
    assert len(cut) == 23 and cut[0].time == pytest.approx(0.5, abs=0.01)
    assert np.abs(cut[0].waveform).max() > 1e-3
