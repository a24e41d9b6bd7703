"""Headers and stamps that claim much: what reading costs follows the packets that are there, never the size of a claim.

The broken files are whole ones of which a few bytes were edited, or that were written again with other stamps.
"""

from __future__ import annotations

import shutil
import struct
import warnings
from dataclasses import replace
from itertools import islice

import av
import numpy as np
import pytest
from fuzz.seeds import CLIPS, write_clip
from making import tone, write_media

from cmac_hub.errors import UndecodableError
from cmac_hub.media import probe, read_audio, read_frames, windows

HOW = {"frames": 5, "size": 32, "sample_rate": 16000}


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Two seconds of 50 frames and of a tone, by name; x264 stores frames in another order than it shows them."""
    folder = tmp_path_factory.mktemp("claims")
    return {clip[0]: write_clip(folder / clip[0], *clip[1:]) for clip in CLIPS if clip[0] in ("h264.mp4", "mpeg4.avi")}


def assert_two_seconds(path, within=0.3):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        info = probe(path)
        assert info.duration == pytest.approx(2.0, abs=within)
        found = list(islice(windows(info, **HOW), 5))
        assert [one.time - info.start for one in found] == pytest.approx([0.5, 1.5])
        times = np.array([frame.time for frame in read_frames(info)]) - info.start
        assert len(times) == 50 and times == pytest.approx(np.arange(50) / 25, abs=0.15)
        assert all(0 < (frame.duration or 0.04) < 2.5 for frame in read_frames(info))
        assert len(read_audio(info, 16000)) == pytest.approx(32000, abs=16000 * within)
    return found


def moved(source, target, kind, seconds=0.0, **options):
    """Written again with one stream later."""
    with av.open(str(source)) as container, av.open(str(target), "w", options=options) as output:
        streams = {stream.index: output.add_stream_from_template(stream) for stream in container.streams}
        for packet in container.demux():
            if packet.dts is None:
                continue
            if packet.stream.type == kind:
                ticks = round(seconds / packet.time_base)
                packet.pts, packet.dts = packet.pts + ticks, packet.dts + ticks
            packet.stream = streams[packet.stream_index]
            output.mux(packet)
    return target


@pytest.mark.parametrize("suffix", [".nut", ".mkv", ".ts", ".mov"])
@pytest.mark.parametrize("kind", ["video", "audio"])
def test_picture_and_sound_hours_apart(made, tmp_path, suffix, kind):
    """The first frames of such files have stamps of presentation alone; they follow the others."""
    path = moved(made["h264.mp4"], tmp_path / f"apart{suffix}", kind, 9000.0)
    with pytest.warns(UserWarning, match=r"2\.5 h in which there is nothing"):
        probe(path)
    found = assert_two_seconds(path)
    assert all(one.frames is not None and np.abs(one.waveform).max() > 0.1 for one in found)


@pytest.mark.parametrize("kind", ["video", "audio"])
def test_no_frame_lies_where_no_packet_does(made, tmp_path, kind):
    """Should decoders or demuxers come upon stamps that were not seen beforehand."""
    path = moved(made["h264.mp4"], tmp_path / "apart.mkv", kind, 9000.0)
    with pytest.warns(UserWarning, match="was mended"):
        info = probe(path)
    unaware = replace(info, timeline=replace(info.timeline, video=None, audio=None))
    assert [frame.time < 10 for frame in read_frames(unaware)] == [True] * 50
    assert len(read_audio(unaware, 16000)) < 10 * 16000


def edited(source, target, change):
    """A copy whose bytes were edited in place; `change` gets them all."""
    shutil.copy(source, target)
    data = bytearray(source.read_bytes())
    change(data)
    assert data != source.read_bytes()
    target.write_bytes(data)
    return target


def test_frames_hours_apart_in_a_file_that_breaks_off(made, tmp_path):
    """MP4 is read in the order of stamps: where the end of the sound is missing, the second frame is not read after it
    unless the picture is read alone."""
    whole = moved(made["h264.mp4"], tmp_path / "whole.mp4", "video", movflags="faststart")

    def change(data):
        lengths = data.index(b"stts", data.index(b"vide")) + 8
        assert struct.unpack_from(">III", data, lengths) == (1, 50, 512)
        struct.pack_into(">I", data, lengths + 8, 3600 * 12800)
        data[:] = data.replace(b"edts", b"free")[: len(data) * 95 // 100]

    path = edited(whole, tmp_path / "broken.mp4", change)
    with pytest.warns(UserWarning, match="h in which there is nothing"):
        info = probe(path)
    assert 1 < info.duration < 2.2 and len(list(islice(windows(info, **HOW), 5))) == 2
    assert 25 < len(list(read_frames(info))) < 50


def streams_of_avi(data):
    """Where the headers of streams begin: a type, then after 16 bytes scale, rate, start, length."""
    return [at + 8 for at in range(len(data)) if data.startswith(b"strh", at)]


@pytest.mark.parametrize("scale", [125, 1 << 17, 1_860_459_454, 2**31 - 1])
def test_frames_of_an_avi_that_claim_years(made, tmp_path, scale):
    """`scale` / 25 seconds each: more than a file may claim where there is sound of two seconds."""

    def change(data):
        picture = streams_of_avi(data)[0]
        assert data[picture : picture + 4] == b"vids"
        struct.pack_into("<II", data, picture + 20, scale, 1 if scale == 125 else 25)

    assert_two_seconds(edited(made["mpeg4.avi"], tmp_path / "slow.avi", change))


@pytest.mark.parametrize("ticks", [1, 2, 3])
def test_a_clock_of_a_tick_a_second(made, tmp_path, ticks):
    """Frames of 512 ticks of 1/12800 s become some of minutes, and their times a clock has no ticks for."""

    def change(data):
        clock = data.index(b"mdhd") + 16
        assert struct.unpack_from(">I", data, clock) == (12800,)
        struct.pack_into(">I", data, clock, ticks)
        data[:] = data.replace(b"edts", b"free")

    assert_two_seconds(edited(made["h264.mp4"], tmp_path / "slow.mp4", change))


@pytest.mark.parametrize("seconds", [12, 32, 100])
def test_packets_of_sound_that_claim_half_a_minute_each(tmp_path, made, seconds):
    def change(data):
        sound = streams_of_avi(data)[1]
        assert data[sound : sound + 4] == b"auds"
        struct.pack_into("<II", data, sound + 20, seconds, 1)

    path = edited(made["mpeg4.avi"], tmp_path / "long.avi", change)
    with pytest.warns(UserWarning, match="time stamps of the sound that lie further apart than its packets last"):
        assert probe(path).duration == pytest.approx(2.0, abs=0.3)
    found = assert_two_seconds(path)
    assert [np.sqrt(np.mean(one.waveform**2)) for one in found] == pytest.approx([0.21, 0.21], abs=0.05)


def at_rate(path, rate):
    """A second of a tone in a WAV whose header says another rate."""
    write_media(path, sound=tone(1.0), audio_codec="pcm_s16le")
    data = bytearray(path.read_bytes())
    struct.pack_into("<I", data, data.index(b"fmt ") + 12, rate)
    path.write_bytes(data)
    return path


@pytest.mark.parametrize("rate", [1, 2, 999, 10_000_001, 1 << 30, 2**31 - 1])
def test_absurd_rates_of_samples_are_refused(tmp_path, rate):
    path = at_rate(tmp_path / "absurd.wav", rate)
    message = f"has {rate} samples a second by its header; 1000 to 10000000 can be heard"
    with pytest.raises(UndecodableError, match=message):
        read_audio(path, 16000)
    with pytest.raises(UndecodableError, match=message):
        next(windows(path, **HOW))


@pytest.mark.parametrize("rate", [1000, 10_000_000])
def test_rates_at_the_limits_are_heard(tmp_path, rate):
    heard = read_audio(at_rate(tmp_path / "edge.wav", rate), 16000)
    assert len(heard) == pytest.approx(16000 * 16000 / rate, rel=0.001, abs=5)


def test_an_absurd_rate_costs_not_the_picture_beside_it(tmp_path):
    path = write_media(tmp_path / "a.avi", times=np.arange(50) / 25, sound=tone(2.0), audio_codec="pcm_s16le")

    def change(data):
        format_of_sound = data.index(b"strf", streams_of_avi(data)[1]) + 8
        assert struct.unpack_from("<I", data, format_of_sound + 4) == (16000,)
        struct.pack_into("<I", data, format_of_sound + 4, 2)

    with pytest.warns(UserWarning, match="has 2 samples a second by its header.*the rest is used without it"):
        found = list(windows(edited(path, tmp_path / "b.avi", change), **HOW))
    assert len(found) == 2 and all(one.waveform is None and one.frames is not None for one in found)
