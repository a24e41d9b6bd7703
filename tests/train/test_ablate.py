import csv

import pytest

from cmac_hub.errors import CMACError
from cmac_hub.train.__main__ import main
from cmac_hub.train.ablate import TABLES, ablate, row_recipe
from cmac_hub.train.recipe import load_recipe


@pytest.mark.parametrize("table", TABLES)
def test_every_row_is_a_recipe_in_the_papers_settings_and_over_another(table):
    for row in TABLES[table]:
        if row.recipe:
            assert row_recipe(row, None, {"seed": 3}) == load_recipe(f"ablation/{row.recipe}", seed=3)
            over = row_recipe(row, "nano", {"steps": 5})
            assert (over.architecture, over.steps, over.batch) == ("cmac-nano", 5, 64)
    full = {"base": 1.5, "without_lac": 0.0, "lambda_2": 2.0}
    for row in TABLES[table]:
        if row.recipe in full:
            assert row_recipe(row, "nano", {}).objective.consistency_weight == full[row.recipe]


def test_rows_are_the_papers_in_what_tables_vary_but_for_their_own_keys(tmp_path):
    (tmp_path / "mine.json").write_text('{"extends": "nano", "scales": 3, "consistency_weight": 1.0}')
    full = row_recipe(TABLES["table2"][3], str(tmp_path / "mine.json"), {})
    assert (full.scales, full.objective.consistency_weight, full.objective.reduction, full.batch) == (2, 1.5, "sum", 64)
    three = row_recipe(TABLES["table2"][4], str(tmp_path / "mine.json"), {})
    assert (three.scales, three.objective.consistency_weight) == (3, 1.5)
    alone = row_recipe(TABLES["consistency"][1], str(tmp_path / "mine.json"), {})
    assert (alone.scales, alone.objective.consistency_weight, alone.objective.reduction) == (2, 1.5, "mean")


def test_a_table_is_trained_once_and_written(tiny_file, tmp_path, monkeypatch):
    from cmac_hub.train import ablate as module

    monkeypatch.setattr(module, "summarize", lambda *_: {})
    changes = {"architecture": tiny_file, "steps": 2, "batch": 4, "workers": 0, "drawn_clips": 100}
    how = {"base": "nano", "seeds": (0, 1), "overrides": changes, "progress": False}
    text = ablate("heads", None, tmp_path, **how)
    assert "| shared head |" in text and " +- " in text and text.count("\n") == 3
    with (tmp_path / "heads.csv").open() as file:
        assert [(row["row"], row["seed"]) for row in csv.DictReader(file)] == [
            ("shared head", "0"), ("shared head", "1"), ("separate heads", "0"), ("separate heads", "1"),
        ]  # fmt: skip
    trained = (tmp_path / "base_seed0" / "checkpoints" / "step_00000002.pt").stat().st_mtime_ns
    assert ablate("heads", None, tmp_path, **how) == text
    # Another table that shares a row with this one does not train it again.
    monkeypatch.setitem(TABLES, "lambda", (TABLES["lambda"][3],))
    assert "| lambda 1.5 |" in ablate("lambda", None, tmp_path, **how)
    assert (tmp_path / "base_seed0" / "checkpoints" / "step_00000002.pt").stat().st_mtime_ns == trained
    assert {path.name for path in tmp_path.glob("*.md")} == {"heads.md", "lambda.md"}


def test_the_papers_figures_stand_apart():
    from cmac_hub.train.ablate import as_table

    text = as_table("table1", [])
    assert text.splitlines()[0].endswith("| the paper: UCF101 | the paper: HMDB51 |")
    assert as_table("lambda", []).splitlines()[0].endswith("| seeds | the paper: UCF101 |")
    assert as_table("heads", []).splitlines()[0].endswith("| seeds |")
    measured = [{"row": "Scratch", "seed": 0, "pointing, known": 0.125}]
    scratch = as_table("table1", measured).splitlines()
    assert scratch[0].startswith("| | pointing, known | seeds |")
    assert scratch[2].startswith("| Scratch | 0.125 | 1 |")
    assert text.startswith("| | contrastive | consistency | accuracy | seeds |")
    assert text.splitlines()[-1] == "| CMAC | - | - | - | 0 | 87.2 | 57.8 |"


def test_a_stopped_row_is_no_result(tiny_file, tmp_path, monkeypatch):
    """Ctrl-C ends the whole table, not one row of it."""
    from contextlib import nullcontext

    from cmac_hub.train import pretrain as loop

    monkeypatch.setattr(loop, "catching_signals", lambda: nullcontext([2]))
    changes = {"architecture": tiny_file, "steps": 2, "batch": 4, "workers": 0, "drawn_clips": 100}
    with pytest.raises(loop.StoppedError, match="stopped and saved at step 0 of 2"):
        ablate("heads", None, tmp_path, base="nano", overrides=changes, progress=False)
    assert not (tmp_path / "heads.md").exists()


def test_a_stopped_table_says_how_it_goes_on(tmp_path, monkeypatch, capsys):
    from cmac_hub.train import ablate as module
    from cmac_hub.train.pretrain import StoppedError

    def stop(*_, **__):
        raise StoppedError("stopped and saved at step 3 of 9 in runs/x")

    monkeypatch.setattr(module, "ablate", stop)
    assert main(["ablate", "heads", "--base", "nano_drawn", "-o", str(tmp_path), "--device", "cpu"]) == 0
    assert capsys.readouterr().err == (
        "cmac_hub.train: stopped and saved at step 3 of 9 in runs/x; the same command goes on\n"
    )


def test_networks_are_measured_once_random_weights_too(tiny_file, tmp_path, monkeypatch):
    from cmac_hub.train import ablate as module

    asked = []
    monkeypatch.setattr(module, "find_sounds", lambda *_: [])
    monkeypatch.setattr(module, "summarize", lambda model, data, esc50: asked.append(esc50) or {"R@1 of 100": 0.5})
    monkeypatch.setitem(TABLES, "table1", (TABLES["table1"][0], TABLES["table1"][-1]))
    changes = {"architecture": tiny_file, "steps": 1, "batch": 4, "workers": 0, "drawn_clips": 100}
    for _ in range(2):
        text = ablate("table1", None, tmp_path, base="nano", overrides=changes, esc50=tmp_path, progress=False)
    assert asked == [tmp_path] * 2, "one a network, however often the table is asked for"
    assert "| Scratch | 0.500 | 1 |" in text
    with pytest.raises(CMACError, match="base_seed0 has steps 1, not 2; choose another folder"):
        ablate("table1", None, tmp_path, base="nano", overrides=changes | {"steps": 2}, esc50=tmp_path, progress=False)


def test_recordings_that_are_not_there_are_told_before_anything_is_trained(tmp_path):
    with pytest.raises(CMACError, match=r"there is no file .*esc50\.csv; give the set's own folder"):
        ablate("table1", None, tmp_path / "runs", base="nano", esc50=tmp_path / "esc")
    assert not (tmp_path / "runs").exists()


def test_without_data_drawn_scenes_are_graded_and_of_videos_nothing_is(tiny, tmp_path):
    from cmac_hub.train.evaluate.summary import summarize

    assert set(summarize(tiny, None, scenes=12)) == {"pointing, known"}
    assert summarize(tiny, tmp_path / "manifest.csv") == {}
