import json

from cmac_hub.hub import checkpoint_hash
from cmac_hub.train.start import Start, check_start


def test_a_start_noted_by_another_version_is_read(tmp_path, tiny):
    (tmp_path / "start.json").write_text(json.dumps({"weights": checkpoint_hash(tiny), "before": {}, "videos": 7}))
    assert check_start(tmp_path, tiny, resume=True) == Start(checkpoint_hash(tiny), {}, None)


def test_a_new_run_begins_with_what_it_is_given(tmp_path, tiny):
    assert check_start(tmp_path, None, resume=False) == Start("", {}, None)
    assert check_start(tmp_path, tiny, resume=False).weights == checkpoint_hash(tiny)
