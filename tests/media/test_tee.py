"""One decoding for windows and for drawing: both are given what two decodings would give them, within some memory."""

from __future__ import annotations

import threading
from itertools import islice

import numpy as np
import pytest
from counting import counted
from hypothesis import given, settings
from hypothesis import strategies as st
from making import tone, write_media

from cmac_hub.errors import MediaError
from cmac_hub.media import Tee, probe, read_yuv_frames, tee, windows
from cmac_hub.media.tee import bytes_a_second

PICTURE = 96 * 64 * 3 // 2
"""Bytes of one of `clip`."""


def same(one, other):
    return (one.time, one.duration) == (other.time, other.duration) and all(
        np.array_equal(a, b) for a, b in zip(one.picture, other.picture, strict=True)
    )


def cut(info, **how):
    return list(windows(info, hop=0.25, frames=4, size=32, multiple=8, sample_rate=16000, **how))


def same_windows(one, other):
    return len(one) == len(other) and all(
        a.time == b.time
        and a.padded == b.padded
        and np.array_equal(a.frames, b.frames)
        and np.array_equal(a.frame_times, b.frame_times)
        and np.array_equal(a.waveform, b.waveform)
        for a, b in zip(one, other, strict=True)
    )


def test_a_clip_is_decoded_once_and_both_see_all_of_it(clip):
    info, shared = probe(clip), Tee(probe(clip))
    with counted() as work:
        seen = cut(info, decoded=shared.decoded())
        drawn = list(shared.pictures())
    assert (work.decoded, work.opened) == (75, 2)
    assert same_windows(seen, cut(info))
    wanted = list(read_yuv_frames(clip))
    assert len(drawn) == len(wanted) == 75 and all(map(same, drawn, wanted))


@pytest.mark.parametrize("room", [0, PICTURE - 1, 10 * PICTURE])
def test_without_room_it_is_decoded_twice_and_both_see_all_of_it(clip, room):
    info, shared = probe(clip), Tee(probe(clip), room)
    with counted() as work:
        seen = cut(info, decoded=shared.decoded())
        drawn = list(shared.pictures())
    assert (work.decoded, work.opened) == (150, 3)
    assert same_windows(seen, cut(info))
    assert all(map(same, drawn, read_yuv_frames(clip))) and len(drawn) == 75


@settings(deadline=None, max_examples=25)
@given(room=st.integers(0, 12), taken=st.lists(st.integers(0, 9), max_size=12), end=st.integers(0, 75))
def test_no_more_wait_than_there_is_room_for(clip, room, taken, end):
    """However the two take turns, and wherever the first one stops."""
    info = probe(clip)
    wanted, shared = list(read_yuv_frames(info)), Tee(info, room * PICTURE)
    decoded, pictures, drawn, count = shared.decoded(), shared.pictures(), [], 0
    for number in taken:
        count += len(list(islice(decoded, min(number, end - count))))
        assert shared._waiting.qsize() <= room + 1, "and one that says that no more come"
        drawn += islice(pictures, min(number, max(0, shared._waiting.qsize() - 1)))
    started = count > 0 or bool(list(islice(decoded, 1)))
    decoded.close()
    assert started
    drawn += pictures
    assert len(drawn) == 75 and all(map(same, drawn, wanted))


def test_every_real_format(shared):
    """Of variable rate, turned, of ten bits, transparent, of other colors, broken off."""
    for path in sorted((shared / "formats").iterdir()):
        if path.name == "invalid_header.mkv" or not (info := probe(path)).has_video:
            continue
        both = Tee(info)
        times = [time for time, _ in islice(both.decoded(), 40)]
        drawn = list(islice(both.pictures(), len(times)))
        assert [one.time for one in drawn] == times
        assert all(map(same, drawn, read_yuv_frames(info))), path


def test_a_file_that_cannot_be_decoded_ends_both(clip, tmp_path):
    path = write_media(tmp_path / "a.mkv", times=np.arange(50) / 25, sound=tone(2.0), undecodable=True)
    shared = Tee(probe(path))
    with pytest.raises(MediaError, match=r"no frame of .* can be decoded"):
        list(shared.decoded())
    with pytest.raises(MediaError, match=r"no frame of .* can be decoded"):
        list(shared.pictures())


def test_one_who_draws_waits_for_frames_and_leaves_no_thread(clip):
    info, before = probe(clip), threading.active_count()
    shared, drawn = Tee(info), []
    thread = threading.Thread(target=lambda: drawn.extend(shared.pictures()))
    thread.start()
    assert len(list(shared.decoded())) == 75
    thread.join(10)
    assert len(drawn) == 75
    again = Tee(info, 0)
    list(again.decoded())
    rest = again.pictures()
    next(rest)
    rest.close()
    assert threading.active_count() == before


def test_bytes_of_a_second(clip, tmp_path):
    assert bytes_a_second(probe(clip)) == pytest.approx(25 * PICTURE)
    odd = write_media(tmp_path / "odd.mkv", times=np.arange(5) / 25, size=(63, 47), pix_fmt="yuv444p")
    picture = next(read_yuv_frames(odd)).picture
    assert picture.bytes == 63 * 47 * 3
    assert bytes_a_second(probe(odd)) == pytest.approx(picture.bytes * (probe(odd).frame_rate or 25))
    assert tee.ROOM == 256 * 2**20
