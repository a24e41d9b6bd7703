import pytest

from cmac_hub.errors import CMACError
from cmac_hub.train.ablate import ablate
from cmac_hub.train.evaluate.toolbox import requirements
from cmac_hub.train.evaluate.toolbox.requirements import require_scikit_learn


def test_what_is_there_is_not_asked_for():
    require_scikit_learn("the probe")


def test_a_table_asks_before_it_trains(tmp_path, monkeypatch):
    monkeypatch.setattr(requirements, "find_spec", lambda name: None)
    (tmp_path / "data" / "esc50").mkdir(parents=True)
    with pytest.raises(CMACError, match="the table's last column needs scikit-learn; install it: pip install"):
        ablate("heads", tmp_path / "data", tmp_path / "runs", base="nano", progress=False)
    assert not (tmp_path / "runs").exists()
