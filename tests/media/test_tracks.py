"""Which of several sound tracks is heard, and what is said of streams that nobody can decode."""

from __future__ import annotations

import av
import numpy as np
import pytest
from making import tone, write_media
from odd_media import garbled, several_tracks

from cmac_hub.errors import MediaError, UndecodableError
from cmac_hub.media import VideoWriter, probe, read_audio, read_frames, windows

RATE = 16000
HOW = {"frames": 2, "size": 32, "sample_rate": RATE}


@pytest.fixture(scope="module")
def three(tmp_path_factory):
    return several_tracks(tmp_path_factory.mktemp("tracks") / "three.mkv", 0.0, 0.4, 0.1)


@pytest.mark.parametrize(("track", "loudest"), [(None, 0.0), (1, 0.0), (2, 0.4), (3, 0.1)])
def test_the_track_that_is_wanted_is_heard(three, tmp_path, track, loudest):
    info = probe(three, track)
    assert info.audio_track == (track or 1)
    heard = [read_audio(three, RATE, audio_track=track), read_audio(info, RATE)]
    heard += [next(windows(source, audio_track=track, **HOW)).waveform for source in (three, info, probe(three))]
    with VideoWriter(tmp_path / "out.mp4", width=64, height=48, frame_rate=25, source=info) as writer:
        for frame in read_frames(info):
            writer.write(frame.image, frame.time)
    heard.append(read_audio(tmp_path / "out.mp4", RATE))
    assert [np.abs(one).max() for one in heard] == pytest.approx([loudest] * 6, abs=0.05)


def test_a_track_that_is_not_there_is_one_line_with_those_that_are(three, video_only):
    with pytest.raises(MediaError, match=r"has no audio track 4; its tracks are 1: aac, mono, eng; 2: .*deu; 3: aac"):
        probe(three, 4)
    with pytest.raises(MediaError, match="has no audio track 1; it has none"):
        probe(video_only, 1)


def renamed(source, target, old, new):
    target.write_bytes(source.read_bytes().replace(old, new))
    return target


def encrypted(source, target):
    """All streams encrypted as the common scheme of MP4 is."""
    options = {"encryption_scheme": "cenc-aes-ctr", "encryption_key": "0f" * 16, "encryption_kid": "a7" * 16}
    with av.open(str(source)) as read, av.open(str(target), "w", container_options=options) as written:
        streams = {stream.index: written.add_stream_from_template(stream) for stream in read.streams}
        for packet in read.demux():
            if packet.dts is not None:
                packet.stream = streams[packet.stream.index]
                written.mux(packet)
    return target


def test_a_picture_that_cannot_be_decoded_is_said_and_costs_the_sound_nothing(clip, tmp_path):
    unknown = renamed(clip, tmp_path / "unknown.mp4", b"avc1", b"zzz1")
    for path, why in (
        (garbled(clip, tmp_path / "noise.mp4", "video"), "is broken"),
        (unknown, "does not know its codec"),
    ):
        with pytest.warns(UserWarning, match=f"{path.name}.*{why}"):
            found = list(windows(path, **HOW))
        assert len(found) == 3 and all(one.frames is None and np.abs(one.waveform).max() > 0.2 for one in found)
        with pytest.raises(MediaError, match=r"no frame of|a picture of an unknown codec"):
            next(read_frames(path))


def test_sound_that_cannot_be_decoded_is_no_silence(clip, tmp_path):
    flac = write_media(tmp_path / "flac.mp4", times=np.arange(75) / 25, sound=tone(3.0), audio_codec="flac")
    unknown = renamed(flac, tmp_path / "unknown.mp4", b"fLaC", b"zzz2")
    for path in (garbled(clip, tmp_path / "noise.mp4", "audio"), unknown):
        with pytest.warns(UserWarning, match=rf"sound of .*{path.name}"):
            found = list(windows(path, **HOW))
        assert len(found) == 3 and all(one.waveform is None and one.frames is not None for one in found)
        with pytest.raises(MediaError, match=r"no sound of|sound of an unknown codec"):
            read_audio(path, RATE)


def test_an_encrypted_file_is_said_to_be_one(clip, tmp_path):
    path = encrypted(clip, tmp_path / "locked.mp4")
    with pytest.raises(UndecodableError, match=r"no frame of .* is encrypted; no sound of .* is encrypted$"):
        next(windows(path, **HOW))


def test_nothing_but_unknown_codecs(tmp_path):
    flac = write_media(tmp_path / "flac.mp4", sound=tone(1.0), audio_codec="flac")
    path = renamed(flac, tmp_path / "unknown.mp4", b"fLaC", b"zzz2")
    with pytest.raises(MediaError, match="this FFmpeg does not know the codec of its sound"):
        probe(path)
    with pytest.raises(MediaError, match=r"audio track 1 of .* cannot be decoded; its tracks are 1: cannot be decoded"):
        probe(path, 1)


def test_a_silent_end_of_sound_is_silence(tmp_path):
    """Sound that ends before the picture: what is beyond its end is silence, however it is reached."""
    path = write_media(tmp_path / "short.mp4", times=np.arange(100) / 25, sound=tone(1.0))
    (one,) = windows(path, start=3.0, stop=4.0, **HOW)
    assert one.waveform is not None and not one.waveform.any()
