import csv
import os
import shutil
from pathlib import Path

import av
import numpy as np
import pytest
from making import tone, write_media

from cmac_hub.train.__main__ import main
from cmac_hub.train.recipe import load_recipe
from cmac_hub.train.videos import index as module
from cmac_hub.train.videos.cut import Cut
from cmac_hub.train.videos.dataset_layouts import Candidate, find_candidates
from cmac_hub.train.videos.index import index
from cmac_hub.train.videos.manifest import Manifest, ManifestError
from cmac_hub.train.videos.pairs import VideoPairs


@pytest.fixture(scope="module")
def videos(tmp_path_factory):
    """Good, silent, mute, short and broken files."""
    folder = tmp_path_factory.mktemp("videos")
    (folder / "dogs").mkdir()
    times = np.arange(50) / 25
    write_media(folder / "dogs" / "good.mp4", times=times, sound=tone(2.0))
    write_media(folder / "silent.mp4", times=times, sound=np.zeros(32000, np.float32))
    write_media(folder / "mute.mp4", times=times)
    write_media(folder / "short.mp4", times=times[:10], sound=tone(0.4))
    write_media(folder / "tone.m4a", sound=tone(2.0))
    (folder / "broken.mp4").write_bytes(b"no video at all")
    return folder


REASONS = {
    "broken.mp4": "broken",
    "mute.mp4": "no audio",
    "short.mp4": "too short",
    "silent.mp4": "silent",
    "tone.m4a": "no video",
}


@pytest.mark.parametrize("workers", [1, 2])
def test_the_good_are_listed_and_the_others_have_a_reason(videos, tmp_path, workers):
    counts = index(find_candidates(videos), tmp_path / "m.csv", workers=workers, progress=False)
    assert counts == {"": 1, **dict.fromkeys(REASONS.values(), 1)}
    segment = Manifest.load(tmp_path / "m.csv")[0]
    assert segment.label == "dogs" and segment.end - segment.start == pytest.approx(2.0, abs=0.1)
    with (tmp_path / "m.skipped.csv").open() as file:
        assert {row["name"]: row["reason"] for row in csv.DictReader(file)} == REASONS
    assert not (tmp_path / "m.partial.csv").exists()


def test_a_broken_off_call_goes_on(videos, tmp_path, monkeypatch):
    candidates = find_candidates(videos)
    seen = []
    original = module.inspect

    def interrupted(candidate, *rest):
        seen.append(candidate.name)
        if len(seen) == 4:
            raise KeyboardInterrupt
        return original(candidate, *rest)

    monkeypatch.setattr(module, "inspect", interrupted)
    with pytest.raises(KeyboardInterrupt):
        index(candidates, tmp_path / "m.csv", workers=1, progress=False)
    with (tmp_path / "m.partial.csv").open("a") as file:
        file.write("dogs/good.mp4,0,2,dogs,,dogs/go")
    counts = index(candidates, tmp_path / "m.csv", workers=1, progress=False)
    assert counts.total() == 6 and counts[""] == 1
    assert len(seen) == 4 + 3, "the three that were done are not looked at again"


def test_what_was_missing_is_looked_for_again(videos, tmp_path):
    row = ["", "0.000", "0.000", "dogs", "", "dogs/good.mp4", "missing"]
    (tmp_path / "m.partial.csv").write_text(",".join(row) + "\n")
    assert index(find_candidates(videos), tmp_path / "m.csv", workers=1, progress=False)[""] == 1


def test_a_manifest_behind_a_link_names_its_videos(videos, tmp_path):
    (tmp_path / "far" / "away").mkdir(parents=True)
    (tmp_path / "here").symlink_to(tmp_path / "far" / "away")
    index(find_candidates(videos), tmp_path / "here" / "m.csv", workers=1, progress=False)
    assert Path(Manifest.load(tmp_path / "here" / "m.csv")[0].path).exists()


def test_overlays_and_names_of_other_days(videos, tmp_path):
    """An overlay beside its source is no training video; a name that is no UTF-8 is like any other."""
    for name in (b"dog.mp4", b"dog_attention.mp4", b"caf\xe9.mp4"):
        shutil.copy(videos / "dogs" / "good.mp4", os.fsencode(tmp_path) + b"/" + name)
    counts = index(find_candidates(tmp_path), tmp_path / "m.csv", workers=1, progress=False)
    assert counts == {"": 2, "drawn by cmac localize": 1}
    found = Manifest.load(tmp_path / "m.csv")
    assert found.hash() and sorted(os.fsencode(Path(found[i].path).name) for i in range(2)) == [
        b"caf\xe9.mp4", b"dog.mp4",
    ]  # fmt: skip
    assert all(Path(found[i].path).exists() for i in range(2))


def test_kinetics(videos, tmp_path):
    folder = tmp_path / "k400"
    (folder / "dog barking").mkdir(parents=True)
    for name in ("dog barking/aaa_000005_000015.mp4", "bbb.mp4"):
        (folder / name).write_bytes(b"x")
    table = tmp_path / "train.csv"
    table.write_text(
        "label,youtube_id,time_start,time_end,split\ndog barking,aaa,5,15,train\nx,bbb,10,20,train\nx,ccc,0,10,train\n"
    )
    found = find_candidates(table, folder)
    assert found[0] == Candidate(folder / "dog barking" / "aaa_000005_000015.mp4", "aaa_000005_000015", "dog barking")
    assert found[1] == Candidate(folder / "bbb.mp4", "bbb", "x", 10.0, 20.0)
    assert found[2].path is None
    assert module.inspect(found[2])[0] == "missing"


def test_audioset(tmp_path):
    folder = tmp_path / "audioset"
    folder.mkdir()
    for name in ("--PJHxphWEs_30000_40000.mp4", "Yabc.mp4"):
        (folder / name).write_bytes(b"x")
    table = tmp_path / "balanced.csv"
    table.write_text(
        "# Segments csv created\n# YTID, start_seconds, end_seconds, positive_labels\n"
        '--PJHxphWEs, 30.000, 40.000, "/m/09x0r,/t/dd00088"\nabc, 0.000, 10.000, "/m/04rlf"\n'
    )
    found = find_candidates(table, folder)
    assert found[0] == Candidate(
        folder / "--PJHxphWEs_30000_40000.mp4", "--PJHxphWEs_30000_40000", "/m/09x0r,/t/dd00088"
    )
    assert found[1] == Candidate(folder / "Yabc.mp4", "abc", "/m/04rlf", 0.0, 10.0)


def test_a_segment_of_a_longer_video(tmp_path):
    path = write_media(tmp_path / "long.mp4", times=np.arange(150) / 25, sound=tone(6.0))
    reason, start, end = module.inspect(Candidate(path, "long", "", 2.0, 3.5))
    assert (reason, round(end - start, 2)) == ("", 1.5) and start == pytest.approx(2.0, abs=0.05)


def test_several_stretches_of_one_video(tmp_path):
    write_media(tmp_path / "aaa.mp4", times=np.arange(150) / 25, sound=tone(6.0))
    (tmp_path / "k.csv").write_text("label,youtube_id,time_start,time_end\nx,aaa,0,2\ny,aaa,3,5\n")
    index(find_candidates(tmp_path / "k.csv", tmp_path), tmp_path / "m.csv", workers=1, progress=False)
    manifest = Manifest.load(tmp_path / "m.csv")
    assert [(manifest[i].label, round(manifest[i].start)) for i in range(2)] == [("x", 0), ("y", 3)]


@pytest.mark.parametrize("text", ["label,youtube_id,time_start,time_end\nx,aaa,,\n", "# ids\nabc, zero, 1, x\n"])
def test_a_broken_line_of_a_collection_is_said(videos, tmp_path, text):
    (tmp_path / "bad.csv").write_text(text)
    with pytest.raises(ManifestError, match="has a line without an id and two times"):
        find_candidates(tmp_path / "bad.csv", videos)


def test_lists_and_what_is_no_source(videos, tmp_path):
    (videos / "list.txt").write_text("dogs/good.mp4\n\nmute.mp4\n")
    assert [one.name for one in find_candidates(videos / "list.txt")] == ["dogs/good.mp4", "mute.mp4"]
    (videos / "list.txt").unlink()
    (tmp_path / "other.csv").write_text("a,b\n1,2\n")
    for source, folder, message in (
        (tmp_path / "none", None, "there is no folder or file"),
        (tmp_path / "other.csv", None, "say where they lie"),
        (tmp_path / "other.csv", videos, "expected the csv of Kinetics"),
    ):
        with pytest.raises(ManifestError, match=message):
            find_candidates(source, folder)


def test_nothing_but_broken_files_is_an_error(videos, tmp_path, capsys):
    (tmp_path / "bad").mkdir()
    (tmp_path / "bad" / "one.mp4").write_bytes(b"x")
    assert main(["index", str(tmp_path / "bad"), "-o", str(tmp_path / "m.csv"), "--workers", "1"]) == 1
    out, err = capsys.readouterr()
    assert "1 left out: broken" in out and "no video can be trained on" in err


def test_which_stream_cannot_be_decoded(tmp_path):
    """A stream that is there and broken is neither silence nor absence; one bad sample breaks none."""
    times = np.arange(50) / 25
    good = write_media(tmp_path / "good.mp4", times=times, sound=tone(2.0))
    write_media(tmp_path / "blind.mkv", times=times, sound=tone(2.0), undecodable=True)
    with av.open(str(good)) as container:
        places = [(packet.pos, packet.size) for packet in container.demux(audio=0) if packet.size]
    data = bytearray(good.read_bytes())
    for at, size in places:
        data[at : at + size] = np.random.default_rng(at).bytes(size)
    (tmp_path / "deaf.mp4").write_bytes(data)
    (tmp_path / "unknown.mp4").write_bytes(good.read_bytes().replace(b"avc1", b"zzz1"))
    reasons = {one.name: module.inspect(one)[0] for one in find_candidates(tmp_path)}
    assert reasons == {
        "good.mp4": "", "blind.mkv": "video cannot be decoded", "deaf.mp4": "audio cannot be decoded",
        "unknown.mp4": "video cannot be decoded",
    }  # fmt: skip


def test_vgg_sound(tmp_path):
    """Ten seconds from a start; the official csv has no header."""
    folder = tmp_path / "videos"
    folder.mkdir()
    for name in ("---g-f_I2yQ_000001.mp4", "abc.mp4", "def_30_40.mp4"):
        (folder / name).write_bytes(b"x")
    table = tmp_path / "vggsound.csv"
    table.write_text(
        '---g-f_I2yQ,1,people marching,test\nabc,20,"cat, meowing",train\ndef,30,dog,train\nghi,5,dog,train\n'
    )
    with pytest.warns(UserWarning, match="has the splits test, train: all are taken; .* --split NAME"):
        found = find_candidates(table, folder)
    assert found == [
        Candidate(folder / "---g-f_I2yQ_000001.mp4", "---g-f_I2yQ_000001", "people marching"),
        Candidate(folder / "abc.mp4", "abc", "cat, meowing", 20.0, 30.0),
        Candidate(folder / "def_30_40.mp4", "def_30_40", "dog"),
        Candidate(None, "ghi", "dog", 5.0, 15.0),
    ]
    assert [one.name for one in find_candidates(table, folder, "test")] == ["---g-f_I2yQ_000001"]
    with pytest.raises(ManifestError, match="no split 'val'; it has test, train"):
        find_candidates(table, folder, "val")


def test_an_id_finds_the_video_not_the_sound_beside_it(tmp_path):
    folder = tmp_path / "videos"
    (folder / "b").mkdir(parents=True)
    for name in ("abc_000010_000020.mp4", "abc_000010_000020.wav", "aaa.m4a", "b/aaa.MP4", "b/ccc.wav"):
        (folder / name).write_bytes(b"x")
    table = tmp_path / "k.csv"
    table.write_text("label,youtube_id,time_start,time_end\nx,abc,10,20\nx,aaa,0,10\nx,ccc,0,10\n")
    names = ["abc_000010_000020.mp4", "aaa.MP4", "ccc.wav"]
    assert [one.path.name for one in find_candidates(table, folder)] == names


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "latin-1"])
def test_tables_and_lists_of_windows(tmp_path, encoding):
    (tmp_path / "café.mp4").write_bytes(b"x")

    def write(name, text):
        (tmp_path / name).write_bytes(text.replace("\n", "\r\n").encode(encoding))
        return tmp_path / name

    expected = Candidate(tmp_path / "café.mp4", "café", "gähn", 10.0, 20.0)
    kinetics = write("k.csv", "label,youtube_id,time_start,time_end,split\ngähn,café,10,20,train\n")
    audioset = write("a.csv", "café, 10.0, 20.0, gähn\n")
    vggsound = write("v.csv", "café;10;gähn;train\n")
    for table in (kinetics, audioset, vggsound):
        (found,) = find_candidates(table, tmp_path)
        assert (found.path, found.label, found.start, found.end) == expected[:1] + expected[2:]
    (found,) = find_candidates(write("l.txt", "café.mp4\n"))
    assert found.path == tmp_path / "café.mp4"
    manifest = Manifest.load(write("m.csv", "path,start,end,label,group\ncafé.mp4,0,2,gähn,é\n"))
    assert manifest[0][:5] == (str(tmp_path / "café.mp4"), 0.0, 2.0, "gähn", "é")


def test_a_recording_of_a_browser_is_read_to_its_end(tmp_path):
    """WebM as it is sent, without a duration and an index."""
    how = {"times": np.arange(75) / 25, "sound": tone(3.0, 48000), "sample_rate": 48000}
    whole = write_media(tmp_path / "a.webm", video_codec="libvpx", audio_codec="libopus", **how)
    with (
        av.open(str(whole)) as given,
        av.open(str(tmp_path / "b.webm"), "w", format="webm", options={"live": "1"}) as made,
    ):
        streams = {stream.index: made.add_stream_from_template(stream) for stream in given.streams}
        for packet in given.demux():
            if packet.dts is not None:
                packet.stream = streams[packet.stream.index]
                made.mux(packet)
    with av.open(str(tmp_path / "b.webm")) as container:
        assert container.duration is None
    reason, start, end = module.inspect(Candidate(tmp_path / "b.webm", "b"))
    assert reason == "" and end - start == pytest.approx(3.0, abs=0.1)


def test_copies_are_cut_once_and_listed(videos, tmp_path):
    write_media(tmp_path / "aaa.mkv", times=np.arange(150) / 25, size=(96, 64), sound=tone(6.0))
    (tmp_path / "k.csv").write_text("label,youtube_id,time_start,time_end\nx,aaa,0,2\ny,aaa,3,5\nz,bbb,0,1\n")
    command = ["index", str(tmp_path / "k.csv"), "--videos", str(tmp_path), "-o", str(tmp_path / "m.csv")]
    command += ["--cut", str(tmp_path / "small"), "--size", "32", "--workers", "1"]
    assert main(command) == 0
    manifest = Manifest.load(tmp_path / "m.csv")
    made = sorted((tmp_path / "small").iterdir())
    assert [Path(manifest[i].path).resolve() for i in range(2)] == made and len(manifest) == 2
    found = [(manifest[i].label, round(manifest[i].end - manifest[i].start, 1)) for i in range(2)]
    assert found == [("x", 2), ("y", 2)]
    assert manifest[0].group == manifest[1].group == "aaa.mkv", "no copy of one film is held out from another"
    pair = VideoPairs(load_recipe("nano"), manifest).pair(0)
    assert pair.frames.shape[1:3] == (64, 64) and pair.waveform.abs().max() > 0.1
    stamps = [path.stat().st_mtime_ns for path in made]
    made[1].write_bytes(made[1].read_bytes()[:2000])
    assert main(command) == 0
    assert made[0].stat().st_mtime_ns == stamps[0] and made[1].stat().st_size > 2000
    assert main([*command[:-3], "16", *command[-2:]]) == 0
    assert made[0].stat().st_mtime_ns != stamps[0], "copies of another size are made anew"


def test_names_of_copies_stay_below_their_folder():
    names = ["/a/b.mp4", "../b.MP4", "a/b.avi", "a/b.mp4", "..", "c"]
    targets = Cut(Path("small")).targets([Candidate(None, name) for name in names])
    assert [str(targets[name]) for name in names] == [
        "small/a/b.mp4", "small/b.mp4", "small/a/b.avi.mp4", "small/a/b_2.mp4", "small/video.mp4", "small/c.mp4",
    ]  # fmt: skip
