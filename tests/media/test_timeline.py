"""The laws of a mended clock, on stamps that were whole and then broken: what comes back must be what was whole."""

from __future__ import annotations

import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cmac_hub.media.timeline import Stamps, timeline

FRAME, BLOCK = 1 / 25, 1024 / 48000


def part(seconds, start=0.0, *, late=0.0, kinds="va", frame=FRAME):
    """Packets (kind, decoding stamp, presentation stamp, length) as they lie in a file; sound begins `late` seconds."""
    rows = []
    if "v" in kinds:
        rows += [("v", start + i * frame, start + i * frame + 0.04, frame) for i in range(round(seconds / frame))]
    if "a" in kinds:
        rows += [("a", start + late + t, start + late + t, BLOCK) for t in np.arange(0, seconds - late, BLOCK)]
    return sorted(rows, key=lambda row: row[1])


def joined(*parts):
    """The packets of all parts, and where each belongs when every part begins where the one before it ended."""
    rows, whole, end = [], [], 0.0
    for one in parts:
        shift = end - min(row[2] for row in one)
        whole += [row[1] + shift for row in one]
        end = max(row[2] + shift + row[3] for row in one)
        rows += one
    return rows, np.array(whole)


def mend(rows, breaking=None):
    """(timeline, {kind: mended decoding times}, {kind: numbers of its rows})."""
    stamps, numbers = {}, {}
    for kind in "va":
        at = numbers[kind] = np.array([i for i, row in enumerate(rows) if row[0] == kind], int)
        values = np.array([rows[i][1:] for i in at]).reshape(-1, 3).T.copy()
        stamps[kind] = Stamps(at, *values) if len(at) else None
    if breaking is not None:
        breaking(stamps)
    clock = timeline(stamps["v"], stamps["a"])
    shifts = {"v": clock.video, "a": clock.audio}
    found = {k: one.decoded + (0 if shifts[k] is None else shifts[k]) for k, one in stamps.items() if one is not None}
    return clock, found, numbers


def assert_whole(rows, whole, breaking=None, within=0.05):
    """All packets of both streams lie where they belong, up to one common shift."""
    clock, found, numbers = mend(rows, breaking)
    off = np.concatenate([found[kind] - whole[numbers[kind]] for kind in found])
    assert np.abs(off - np.median(off)).max() < within, clock.said
    return clock


SECONDS, STARTS = st.floats(1.5, 8), st.sampled_from([0.0, 0.4])


@settings(max_examples=30)
@given(st.lists(st.tuples(SECONDS, STARTS), min_size=2, max_size=4), st.sampled_from(["va", "v", "a"]))
def test_parts_that_begin_anew_follow_each_other(sizes, kinds):
    clock = assert_whole(*joined(*(part(seconds, start, kinds=kinds) for seconds, start in sizes)))
    assert clock.said == f"{len(sizes)} parts of which each begins anew"


@settings(max_examples=20)
@given(SECONDS, st.floats(0.5, 3))
def test_sound_that_is_late_in_the_second_part_stays_late(seconds, late):
    """Its own stamps need not even fall: they belong to the part whose clock they are on."""
    assert_whole(*joined(part(seconds), part(late + 4, late=late)))


def test_a_part_without_sound_keeps_its_time():
    assert_whole(*joined(part(3), part(4, kinds="v"), part(3)))
    assert_whole(*joined(part(3, kinds="v"), part(4)))


@settings(max_examples=40)
@given(
    st.sampled_from("va"), st.integers(0, 99), st.integers(1, 17),
    st.sampled_from([600.0, -600.0, 30.0, -30.0, 5.0, -5.0, 72000.0, 3e7]),
)  # fmt: skip
def test_wild_stamps_alone_are_put_back(kind, begin, count, jump):
    def breaking(stamps):
        stop = min(begin + count, 99 if abs(jump) < 600 else 10**9)
        for times in (stamps[kind].decoded, stamps[kind].shown):
            times[begin:stop] += jump

    if begin == 0 and abs(jump) < 600:
        begin = 1
    assert_whole(*joined(part(8)), breaking)


def test_a_wild_stamp_beside_packets_that_were_lost():
    rows, whole = joined(part(8))
    kept = [i for i, row in enumerate(rows) if row[0] == "a" or not 2 < row[1] < 2.9]

    def breaking(stamps):
        stamps["v"].decoded[50] += 10619.0

    clock, found, numbers = mend([rows[i] for i in kept], breaking)
    off = np.concatenate([found[kind] - whole[np.array(kept)[numbers[kind]]] for kind in "va"])
    assert "1 wild" in clock.said and np.count_nonzero(np.abs(off - np.median(off)) > 1e-6) <= 1


@settings(max_examples=20)
@given(st.floats(121, 1e6), st.floats(0.2, 119))
def test_gaps_in_which_there_is_nothing(long, short):
    """Both streams go on after a gap: a long one is closed, a short one is what it is."""
    before = part(3, 1.4)
    assert_whole(*joined(before, part(3, 4.4 + long)))
    rows = before + part(3, 4.4 + short)
    clock, _, _ = mend(rows)
    assert not clock.said and clock.video is None and clock.audio is None


@settings(max_examples=20)
@given(st.sampled_from("va"), st.integers(0, 60), st.floats(130, 1e6))
def test_a_jump_of_one_stream_alone(kind, begin, jump):
    """One stream's clock jumps, or falls, and stays: it is moved back to the other's. So it is if it begins apart."""
    for sign, first in ((1, begin), (-1, begin + 20)):

        def breaking(stamps, sign=sign, first=first):
            for times in (stamps[kind].decoded, stamps[kind].shown):
                times[first:] += sign * jump

        assert_whole(*joined(part(6)), breaking)


@pytest.mark.parametrize(
    "rows",
    [
        part(60, frame=10.0),
        part(600, frame=60.0, kinds="v"),
        part(1000, frame=500.0),
        part(300, late=250.0),
        [row for row in part(20) if row[0] == "v" or not 5 < row[1] < 12],
        [row for row in part(400) if row[0] == "a" or not 5 < row[1] < 390],
        [row for row in part(20) if row[0] == "a" or row[1] > 4],
    ],
    ids=["slides", "silent slides", "a slide of 500 s", "late sound", "silence", "a long still", "late picture"],
)
def test_what_is_honest_stays(rows):
    clock, found, numbers = mend(rows)
    assert not clock.said
    for kind in "va":
        if len(numbers[kind]):
            np.testing.assert_array_equal(found[kind], [rows[i][1] for i in numbers[kind]])


def test_segments_that_overlap_a_little_are_no_parts():
    """Sound of 40 ms twice, as live streams are cut: the picture's clock goes on, and so must the sound's."""
    rows = part(4)
    again = [row for row in rows if row[0] == "a" and 1.96 < row[1] < 2.0]
    at = max(i for i, row in enumerate(rows) if row[1] < 2.0) + 1
    assert not mend(rows[:at] + again + rows[at:])[0].said


@pytest.mark.parametrize("stuck", [0.0, 1.7])
def test_stamps_of_sound_that_repeat_count_on(stuck):
    def breaking(stamps):
        for times in (stamps["a"].decoded, stamps["a"].shown):
            times[times > stuck] = stuck

    assert "that repeat" in assert_whole(*joined(part(5)), breaking).said


def test_missing_stamps_are_no_break():
    def breaking(stamps):
        stamps["v"].decoded[::3] = stamps["v"].shown[::3] = np.nan

    assert not mend(part(5), breaking)[0].said
    assert timeline(None, Stamps(np.arange(2), *np.full((2, 2), np.nan), np.zeros(2))) is None


def test_every_frame_claims_to_last_a_year():
    """The stamps of a file with one wrong length in its header: each frame comes 58982 s after the one before."""
    rows = part(1, kinds="v") + [("v", 1 + i * 58982.9, 1 + i * 58982.9, 58982.9) for i in range(65)]
    clock = mend(rows)[0]
    assert clock.end - clock.start == pytest.approx(90 * FRAME, abs=0.1)


@pytest.mark.parametrize("seed", range(3))
def test_garbage_ends_soon_in_a_clock_that_rises(seed):
    """Stamps without any sense: time still only rises, by no more than the longest gap at once."""
    rng = np.random.default_rng(seed)

    def breaking(stamps):
        for kind in "va":
            stamps[kind].decoded[:] = rng.uniform(-1e6, 1e6, len(stamps[kind].decoded))
            stamps[kind].shown[:] = stamps[kind].decoded

    clock, found, _ = mend(part(40), breaking)
    times = np.sort(np.concatenate(list(found.values())))
    assert np.isfinite(times).all() and np.diff(times).max() <= 121
    assert all(np.diff(one).min() > -120 for one in found.values())
    assert clock.end >= times[-1]


def without_decoding(count, shift):
    """Breaks the first packets of the picture: stamps of presentation alone, that many seconds later."""

    def breaking(stamps):
        stamps["v"].decoded[:count] = np.nan
        stamps["v"].shown[:count] += shift

    return breaking


@given(st.integers(1, 5), st.sampled_from([9000.0, -9000.0, 30.0]))
def test_packets_with_a_wild_stamp_of_presentation_alone_follow_the_others(count, shift):
    rows = part(4)
    clock, _, numbers = mend(rows, without_decoding(count, shift))
    wanted = np.array([rows[i][2] for i in numbers["v"]])
    shown = wanted + np.where(np.arange(len(wanted)) < count, shift, 0) + clock.video
    assert clock.said == f"{count} wild time stamp{'s' * (count > 1)} of the picture"
    np.testing.assert_allclose(shown, wanted, atol=0.05)
    assert clock.start == pytest.approx(0.0, abs=0.05) and clock.end == pytest.approx(4.04, abs=0.1)


@pytest.mark.parametrize("shift", [0.0, 1.0])
def test_honest_stamps_of_presentation_alone_stay(shift):
    clock, _, _ = mend(part(4), without_decoding(3, shift))
    assert clock.said == "" and clock.video is None


@pytest.mark.parametrize("kinds", ["va", "v", "a"])
def test_stamps_that_are_noise_tell_nothing(kinds):
    """What comes of them is as long as its packets, not as its stamps."""
    rows, rng = part(60, kinds=kinds), np.random.default_rng(0)

    def breaking(stamps):
        for one in stamps.values():
            if one is not None:
                noise = rng.normal(0, 30, len(one.decoded))
                one.decoded[:] += noise
                one.shown[:] += noise

    clock, found, _ = mend(rows, breaking)
    assert "that tell nothing" in clock.said and clock.end - clock.start == pytest.approx(60, abs=1)
    assert all(np.diff(one).min() > 0 for one in found.values())


def test_noise_of_one_stream_leaves_the_other_alone():
    rows, rng = part(60), np.random.default_rng(0)

    def breaking(stamps):
        stamps["a"].decoded[:] += rng.normal(0, 300, len(stamps["a"].decoded))
        stamps["a"].shown[:] = stamps["a"].decoded

    clock, found, _ = mend(rows, breaking)
    assert clock.said == "time stamps of the sound that tell nothing" and clock.video is None
    np.testing.assert_allclose(found["a"], np.arange(len(found["a"])) * BLOCK, atol=0.05)


def test_an_hour_of_short_parts_takes_seconds():
    rows, whole = joined(*[part(2)] * 1800)
    begun = time.process_time()
    clock = assert_whole(rows, whole)
    assert clock.said == "1800 parts of which each begins anew" and time.process_time() - begun < 10
