"""What the commands make of sound that is silent, broken or one of several, and of clocks that are broken."""

from __future__ import annotations

import json

import numpy as np
import pytest
from lines import one_error
from making import tone, write_media
from odd_media import float_wav, garbled, several_tracks

from cmac_hub.features import Features
from cmac_hub.media import read_audio


@pytest.fixture(scope="module")
def two(tmp_path_factory):
    return several_tracks(tmp_path_factory.mktemp("tracks") / "two.mkv", 0.0, 0.4)


def test_another_track_is_named_when_the_first_one_is_silent(cmac, two, tmp_path):
    code, _, err = cmac("localize", two, "-o", tmp_path / "out.mp4")
    line = one_error(err)
    assert code == 0 and "no audible sound on audio track 1, others are 2: aac, mono, deu (--audio-track)" in line
    assert "nothing to hear on audio track 1, others are 2: aac" in one_error(cmac("features", two, "-o", tmp_path)[2])


def test_the_track_is_chosen_in_every_command(cmac, two, tmp_path):
    out = tmp_path / "out.mp4"
    code, text, err = cmac("localize", two, "-o", out, "--audio-track", 2, "--json")
    assert (code, err) == (0, "") and all(json.loads(line)["audible"] for line in text.splitlines())
    assert np.abs(read_audio(out, 16000)).max() > 0.3
    assert cmac("figure", two, "--time", 1, "-o", tmp_path / "f.png", "--audio-track", 2)[0] == 0
    for track in (2, 1):
        assert cmac("features", two, "-o", tmp_path / str(track), "--audio-track", track)[0] == 0
    assert not Features.load(tmp_path / "2" / "two.mkv.safetensors").silent
    assert Features.load(tmp_path / "1" / "two.mkv.safetensors").silent
    for command in ("localize", "features"):
        code, _, err = cmac(command, two, "-o", tmp_path / "none.mp4", "--audio-track", 3)
        assert code == 1 and "has no audio track 3; its tracks are 1: aac, mono, eng; 2: aac" in one_error(err)


def test_features_of_another_track_are_no_second_run(cmac, two, tmp_path):
    assert cmac("features", two, "-o", tmp_path, "--audio-track", 2)[0] == 0
    assert cmac("features", two, "-o", tmp_path, "--audio-track", 2)[::2] == (0, "")
    code, _, err = cmac("features", two, "-o", tmp_path)
    assert code == 1 and "was made with other weights or settings" in one_error(err)


@pytest.mark.parametrize("wrong", ["0", "-1", "first"])
def test_tracks_are_counted_from_one(cmac, two, wrong, capsys):
    with pytest.raises(SystemExit):
        cmac("localize", two, "--audio-track", wrong)
    assert "counted from 1" in capsys.readouterr().err


def test_a_sample_that_is_no_number_costs_nothing(cmac, tmp_path):
    sound = tone(2.0)
    sound[16000] = np.nan
    video = write_media(tmp_path / "nan.mov", times=np.arange(50) / 25, sound=sound, audio_codec="pcm_f32le")
    assert np.float32(np.nan).tobytes() in video.read_bytes()
    for path in (video, float_wav(tmp_path / "nan.wav", sound[:, None])):
        code, _, err = cmac("features", path, "-o", tmp_path)
        assert code == 0 and "no numbers (NaN)" in one_error(err)
        found = Features.load(tmp_path / f"{path.name}.safetensors")
        assert all(bool(value.isfinite().all()) for value in found.to_dict().values())
    code, out, err = cmac("localize", video, "-o", tmp_path / "out.mp4", "--json")
    assert code == 0 and "no numbers (NaN)" in one_error(err)
    assert all(json.loads(line, parse_constant=pytest.fail)["audible"] for line in out.splitlines())
    heard = read_audio(tmp_path / "out.mp4", 16000)
    assert np.abs(heard[-4000:]).max() > 0.2, "the sound goes on to its end"


def test_streams_that_cannot_be_decoded_are_no_silence_and_no_absence(cmac, clip, tmp_path):
    deaf = garbled(clip, tmp_path / "deaf.mp4", "audio")
    code, _, err = cmac("features", deaf, "-o", tmp_path)
    assert code == 0 and "no sound of" in one_error(err) and "nothing to hear" not in err
    assert Features.load(tmp_path / "deaf.mp4.safetensors").audio is None
    code, _, err = cmac("localize", deaf, "-o", tmp_path / "out.mp4")
    assert code == 1 and "no sound of" in err and "--map prediction" in err and "silen" not in err
    assert cmac("localize", deaf, "-o", tmp_path / "out.mp4", "--map", "prediction")[0] == 0
    blind = garbled(clip, tmp_path / "blind.mp4", "video")
    code, _, err = cmac("features", blind, "-o", tmp_path)
    assert code == 0 and "no frame of" in one_error(err)
    found = Features.load(tmp_path / "blind.mp4.safetensors")
    assert found.visual is None and found.audio is not None


def test_a_mended_clock_is_said_in_one_line(cmac, tmp_path):
    part = write_media(tmp_path / "part.ts", times=np.arange(50) / 25, sound=tone(2.0))
    path = tmp_path / "joined.ts"
    path.write_bytes(part.read_bytes() * 2)
    code, out, err = cmac("localize", path, "-o", tmp_path / "out.mp4", "--json")
    assert code == 0 and "2 parts of which each begins anew" in one_error(err)
    rows = [json.loads(line) for line in out.splitlines()]
    assert all(row["audible"] for row in rows[:15])
    assert cmac("features", path, "-o", tmp_path)[0] == 0
    times = Features.load(tmp_path / "joined.ts.safetensors").times
    assert len(times) == 4
    assert cmac("figure", path, "--time", float(times[3]), "-o", tmp_path / "f.png")[0] == 0
