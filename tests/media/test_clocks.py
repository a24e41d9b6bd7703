"""Files whose clocks are broken, by edited bytes: what is shown, heard, sought and written is as if they were not."""

from __future__ import annotations

import shutil
import warnings

import numpy as np
import pytest
from making import tone, write_media

from cmac_hub.media import VideoWriter, probe, read_audio, read_frame, read_frames, survey, windows

RATE = 16000
HOW = {"frames": 5, "size": 32, "sample_rate": RATE}


def flashes_and_beeps(path, seconds=3, **how):
    """A flash and a beep together at the middle of every second."""
    images = np.zeros((25 * seconds, 48, 64, 3), np.uint8)
    sound = np.zeros(seconds * RATE, np.float32)
    for second in range(seconds):
        images[25 * second + 12 : 25 * second + 15] = 255
        begin = second * RATE + RATE * 12 // 25
        sound[begin : begin + 1920] = tone(0.12, level=0.8)
    return write_media(path, times=np.arange(len(images)) / 25, images=images, sound=sound, **how)


def seen_and_heard(path):
    """When flashes and beeps begin, seconds from the file's start."""
    info = probe(path)
    frames = [(frame.time - info.start, frame.image.mean() > 128) for frame in read_frames(info)]
    flashes = [time for (time, lit), (_, before) in zip(frames[1:], frames, strict=False) if lit and not before]
    loud = np.abs(read_audio(info, RATE)[: int(RATE * info.duration) // 160 * 160]).reshape(-1, 160).max(1) > 0.2
    return flashes, [0.01 * i for i in range(1, len(loud)) if loud[i] and not loud[i - 1]]


def join(target, *sources):
    target.write_bytes(b"".join(source.read_bytes() for source in sources))
    return target


def move_stamp(path, identifier, number, seconds):
    """Moves the stamps of one PES of an MPEG-TS, counted from 0, by some seconds."""
    data, seen = bytearray(path.read_bytes()), -1
    for at in range(0, len(data), 188):
        begins = data[at + 1] & 64 and (data[at + 1] & 31) << 8 | data[at + 2] == identifier
        start = at + 4 + (data[at + 4] + 1 if data[at + 3] & 32 else 0)
        seen += bool(begins and data[start : start + 3] == b"\0\0\1")
        if not begins or seen != number:
            continue
        for one in (start + 9, start + 14)[: {2: 1, 3: 2}[data[start + 7] >> 6]]:
            bits = int.from_bytes(data[one : one + 5])
            stamp = (bits >> 33 & 7) << 30 | (bits >> 17 & 0x7FFF) << 15 | bits >> 1 & 0x7FFF
            stamp = (stamp + round(seconds * 90000)) % (1 << 33)
            kept = bits & ~(7 << 33 | 0x7FFF << 17 | 0x7FFF << 1)
            moved = kept | (stamp >> 30) << 33 | (stamp >> 15 & 0x7FFF) << 17 | (stamp & 0x7FFF) << 1
            data[one : one + 5] = moved.to_bytes(5)
        seen += 1
    path.write_bytes(data)


@pytest.fixture(scope="module")
def stream(tmp_path_factory):
    return flashes_and_beeps(tmp_path_factory.mktemp("clocks") / "a.ts")


def assert_in_step(path, seconds, within=0.05):
    """Every flash has its beep, one in every second, whatever is said of the file's clock."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        flashes, beeps = seen_and_heard(path)
    assert len(flashes) == len(beeps) == seconds
    assert flashes == pytest.approx(beeps, abs=within)
    assert np.diff(flashes) == pytest.approx(np.ones(seconds - 1), abs=0.15)


def copy(source, target):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        info = probe(source)
    with VideoWriter(target, width=64, height=48, frame_rate=25, source=info) as writer:
        for frame in read_frames(info):
            writer.write(frame.image, frame.time, frame.duration)
    return target


def test_nothing_after_a_join_is_lost(stream, tmp_path):
    path = join(tmp_path / "joined.ts", stream, stream, stream)
    with pytest.warns(UserWarning, match=r"joined.ts was mended: 3 parts of which each begins anew$") as said:
        info = probe(path)
    assert len(said) == 1 and info.duration == pytest.approx(9.1, abs=0.2)
    assert_in_step(path, 9)
    assert_in_step(copy(path, tmp_path / "out.mp4"), 9)
    assert len(list(windows(info, **HOW))) == 9


def test_a_moment_of_a_mended_file_is_the_same_sought_or_streamed(stream, tmp_path):
    info = probe(join(tmp_path / "joined.ts", stream, stream))
    for whole in windows(info, **HOW):
        (sought,) = windows(info, start=whole.time - 0.5, stop=whole.time + 0.5, **{**HOW})
        np.testing.assert_array_equal(sought.frame_times, whole.frame_times)
        np.testing.assert_array_equal(sought.frames, whole.frames)
        assert np.abs(sought.waveform - whole.waveform)[:-800].max() < 0.05
    for frame in list(read_frames(info))[::20]:
        assert read_frame(info, frame.time + 0.02).time == frame.time


@pytest.mark.parametrize(("suffix", "codec"), [("oga", "flac"), ("opus", "libopus")])
def test_chained_sound_is_heard_to_its_end(tmp_path, suffix, codec):
    path = write_media(tmp_path / f"a.{suffix}", sound=tone(2.0, 48000), sample_rate=48000, audio_codec=codec)
    chain = probe(join(tmp_path / f"chain.{suffix}", path, path))
    heard = [np.sqrt(np.mean(one.waveform**2)) for one in windows(chain, **HOW)]
    assert len(heard) == 4 and heard == pytest.approx([0.21] * 4, abs=0.03)


@pytest.mark.parametrize("identifier", [0x100, 0x101], ids=["picture", "sound"])
@pytest.mark.parametrize("number", [0, 1, -1])
@pytest.mark.parametrize("jump", [600.0, -0.7, 40000.0])
def test_one_wild_stamp_costs_neither_time_nor_the_other_stream(stream, tmp_path, identifier, number, jump):
    path = tmp_path / "wild.ts"
    shutil.copy(stream, path)
    count = {0x100: 75, 0x101: path.read_bytes().count(b"\0\0\1\xc0")}[identifier]
    if number in (0, count - 1) and jump < 0:
        return
    move_stamp(path, identifier, number % count, jump)
    assert path.read_bytes() != stream.read_bytes()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        info = probe(path)
        assert info.duration == pytest.approx(3.05, abs=0.15)
        assert len(list(windows(info, **HOW))) == 3
        assert len(list(read_frames(info))) == 75
    if number > 0:
        assert_in_step(path, 3)


def test_a_recording_that_goes_on_after_hours(stream, tmp_path):
    later = tmp_path / "later.ts"
    shutil.copy(stream, later)
    for identifier, count in ((0x100, 75), (0x101, stream.read_bytes().count(b"\0\0\1\xc0"))):
        for number in range(count):
            move_stamp(later, identifier, number, 20 * 3600)
    path = join(tmp_path / "pause.ts", stream, later)
    with pytest.warns(UserWarning, match=r"20\.0 h in which there is nothing"):
        assert probe(path).duration < 7
    assert_in_step(path, 6)


def edit_box(path, kind, change):
    """Has a box of an MP4 changed in place: `change` gets its content as a bytearray."""
    data = bytearray(path.read_bytes())
    at = data.find(kind)
    size = int.from_bytes(data[at - 4 : at])
    content = data[at + 4 : at - 4 + size]
    change(content)
    data[at + 4 : at - 4 + size] = content
    path.write_bytes(data)


def test_a_header_that_tells_a_year(clip, tmp_path):
    path = tmp_path / "year.mp4"
    shutil.copy(clip, path)
    edit_box(path, b"mvhd", lambda box: box.__setitem__(slice(16, 20), (1000 * 86400 * 365 // 10).to_bytes(4)))
    edit_box(path, b"tkhd", lambda box: box.__setitem__(slice(20, 24), (1000 * 86400 * 365 // 10).to_bytes(4)))
    edit_box(path, b"elst", lambda box: box.__setitem__(slice(8, 12), (1000 * 86400 * 365 // 10).to_bytes(4)))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        info = probe(path)
    assert info.duration == pytest.approx(3.0, abs=0.15)
    assert len(list(windows(info, **HOW))) == 3


def test_one_length_in_a_header_moves_all_frames_far_away(tmp_path):
    path = write_media(tmp_path / "far.mp4", times=np.arange(75) / 25)
    path.write_bytes(path.read_bytes().replace(b"edts", b"free"))

    def far(box):
        assert int.from_bytes(box[8:12]) == 75, "all frames are in one entry of equal lengths"
        box[12:16] = (5 * 3600 * 90000).to_bytes(4)

    edit_box(path, b"stts", far)
    with pytest.warns(UserWarning, match="h in which there is nothing"):
        info = probe(path)
    assert info.duration < 4 and len(list(windows(info, **HOW))) <= 4
    assert len(list(read_frames(info))) == 75


def test_slides_keep_their_times(tmp_path):
    times = np.array([0.0, 10.0, 70.0, 71.0])
    path = write_media(tmp_path / "slides.mkv", times=times, sound=tone(5.0), sound_start=30.0, audio_codec="flac")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        info = probe(path)
        assert [frame.time for frame in read_frames(info)] == pytest.approx(times)
        shown = [one.frame_times[0] for one in windows(info, **{**HOW, "hop": 10.0})]
    assert shown == [0, 10, 10, 10, 10, 10, 10, 70]


def test_a_file_is_surveyed_once_and_an_index_spares_it(clip, stream, monkeypatch):
    opened = []
    original = survey.open_media
    monkeypatch.setattr(survey, "open_media", lambda path: opened.append(path) or original(path))
    survey._surveyed.cache_clear()
    for _ in range(3):
        probe(clip), probe(stream)
    assert opened == [stream]


def test_real_files_are_taken_as_they_are(shared):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for path in sorted((shared / "formats").iterdir()):
            if path.name != "invalid_header.mkv":
                info = probe(path)
                assert info.duration and info.timeline.video is None and info.timeline.audio is None
