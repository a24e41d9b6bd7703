from cmac_hub.train.evaluate.toolbox.sounds import find_sounds


def test_official_layouts(tmp_path, shared):
    assert len(find_sounds("esc50", shared / "esc50")) == 2000
    urban = find_sounds("urbansound8k", shared / "urbansound8k")
    assert {one.fold for one in urban} == {"1", "2", "10"}
    for folder in ("scenes_stereo", "scenes_stereo_testset"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "bus01.wav").write_bytes(b"")
    assert [(one.label, one.fold) for one in find_sounds("dcase2013", tmp_path)] == [("bus", "train"), ("bus", "test")]
