import subprocess
import sys

import pytest

from cmac_hub.errors import CMACError
from cmac_hub.train.__main__ import build_parser, main
from cmac_hub.train.evaluate.sets import SETS
from cmac_hub.train.scenes.layout import LAYOUT
from cmac_hub.train.scenes.readers import load_library


@pytest.mark.parametrize(("command", "name"), [(command, name) for command in SETS for name in SETS[command]])
def test_every_set_names_a_function_that_is_there(command, name):
    one = SETS[command][name]
    assert callable(one.function()) and bool(one.reader) != bool(one.measure)
    assert (one.crops is not None) == (command == "probe")


@pytest.mark.parametrize("command", list(SETS))
def test_help_lists_the_sets_and_marks_what_is_not_for_anyone(command, capsys):
    with pytest.raises(SystemExit):
        main([command, "--help"])
    lines = capsys.readouterr().out.splitlines()
    for name, one in SETS[command].items():
        (line,) = [line for line in lines if line.startswith(f"  {name} ") and one.title in line]
        assert ("only the collected layout" in line) == one.collected


@pytest.mark.parametrize("command", "pretrain distill ablate scenes pack release localize retrieve".split())
def test_help_tells_the_layout_of_a_folder_of_ones_own(command, capsys):
    with pytest.raises(SystemExit):
        main([command, "--help"])
    assert LAYOUT.strip() in capsys.readouterr().out


def test_a_folder_of_no_layout_is_sent_to_that_help(tmp_path):
    (tmp_path / "things").mkdir()
    for folder in (tmp_path / "nothing", tmp_path):
        with pytest.raises(CMACError, match=r"see python -m cmac_hub\.train pretrain --help"):
            load_library(folder, "train")


def test_the_table_needs_no_torch():
    code = "import sys, cmac_hub.train.evaluate.sets; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize(
    "arguments",
    [
        ["localize", "--data", "x", "--scenes", "0"],
        ["scenes", "-o", "x", "--count", "0"],
        ["scenes", "-o", "x", "--seed", "-1"],
        ["finetune", "--data", "x", "--lists", "x", "-o", "x", "--epochs", "0"],
        ["probe", "--data", "x", "--seeds", "-1"],
        ["ablate", "table1", "-o", "x", "--seeds", "one"],
        ["index", "x", "-o", "x", "--workers", "-1"],
    ],
)
def test_impossible_counts_are_refused_at_once(arguments, capsys):
    with pytest.raises(SystemExit) as ended:
        build_parser().parse_args(arguments)
    assert ended.value.code == 2
    assert "is no whole number from" in capsys.readouterr().err
