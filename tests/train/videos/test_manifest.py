import pytest
from hypothesis import given
from hypothesis import strategies as st

from cmac_hub.train.videos.manifest import Manifest, ManifestError, Texts


@given(st.lists(st.text()))
def test_texts_are_a_list(texts):
    found = Texts(texts)
    assert [found[i] for i in range(len(found))] == texts


def write(path, lines):
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def test_segments_of_one_file_are_one_video(tmp_path):
    lines = ["path,start,end,label,group", "a/dog ü.mp4,0,10,bark,g", "b.mp4,1.5,4,,", "a/dog ü.mp4,10,20,bark,g"]
    manifest = Manifest.load(write(tmp_path / "manifest.csv", lines))
    assert len(manifest) == 3
    first = manifest[0]
    assert first.path == str(tmp_path / "a" / "dog ü.mp4")
    assert (first.start, first.end, first.label, first.group, first.video) == (0.0, 10.0, "bark", "g", 0)
    assert [manifest[i].video for i in range(3)] == [0, 1, 0]


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (["path,start,end,label,group"], "lists no video"),
        (["path,label", "a.mp4,x"], "has no column start, end"),
        (["path,start,end", "a.mp4,zero,1"], "line 2: start 'zero'"),
        (["path,start,end", "a.mp4,5,1"], r"the end 1\.0 comes before the start 5\.0"),
        (["path,start,end", "a.mp4,0,nan"], "comes before"),
    ],
)
def test_what_is_no_manifest(tmp_path, lines, message):
    with pytest.raises(ManifestError, match=message):
        Manifest.load(write(tmp_path / "manifest.csv", lines))


def test_a_missing_manifest_names_the_way(tmp_path):
    with pytest.raises(ManifestError, match="train index FOLDER"):
        Manifest.load(tmp_path / "none.csv")


def test_a_long_manifest_is_small():
    manifest = Manifest([(f"videos/{i:09d}.mp4", 0.0, 10.0, "label", "") for i in range(20000)])
    size = manifest._paths._bytes.nbytes + manifest._times.nbytes + manifest._video.nbytes
    assert size / len(manifest) < 100, "bytes a line: a million lines take less than 100 MB"
    assert manifest[19999].path == "videos/000019999.mp4"
