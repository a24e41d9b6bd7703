"""What README and the pages it links to promise, run as it stands there."""

import re
import shlex
from pathlib import Path

import pytest

from cmac_hub.cli import main
from cmac_hub.cli.demo import write_drawn_scene
from cmac_hub.demo import make_scene
from cmac_hub.train.__main__ import build_parser
from cmac_hub.train.ablate import TABLES
from cmac_hub.train.evaluate.sets import as_table
from cmac_hub.train.recipe import load_recipe

ROOT = Path(__file__).resolve().parents[1]
README, TRAINING_PAGE, EXTENDING_PAGE, INFERENCE_PAGE, LOCALIZE_PAGE = (
    (ROOT / name).read_text(encoding="utf-8")
    for name in ("README.md", "docs/training.md", "docs/extending.md", "docs/inference.md", "docs/localize.md")
)
SNIPPETS = re.findall(r"```python\n(.*?)```", README + EXTENDING_PAGE + INFERENCE_PAGE + LOCALIZE_PAGE, re.DOTALL)
COMMANDS = re.findall(r"^\$ (cmac .*?)(?:\s+#.*)?$", README, re.MULTILINE)
TRAINING = re.findall(r"^\$ .*?-m cmac_hub\.train (.*?)(?:\s+#.*)?$", TRAINING_PAGE, re.MULTILINE)


@pytest.fixture(scope="module")
def videos(tmp_path_factory) -> Path:
    """A folder with dog.mp4 and videos/, whatever they show."""
    folder = tmp_path_factory.mktemp("readme")
    (folder / "videos").mkdir()
    scene = make_scene(1, seconds=3.0, width=160, height=96)
    write_drawn_scene(scene, folder / "dog.mp4", overwrite=False)
    write_drawn_scene(scene, folder / "videos" / "one.mp4", overwrite=False)
    return folder


def test_readme_has_what_this_file_runs():
    assert len(SNIPPETS) == 8 and len(COMMANDS) == 8 and len(TRAINING) == 34


def test_readme_is_read_in_three_minutes():
    assert len(README.splitlines()) <= 100


def test_the_sets_of_evaluations_are_those_of_their_table():
    assert as_table() in TRAINING_PAGE


@pytest.mark.parametrize("code", SNIPPETS)
def test_python(code, videos, monkeypatch, tmp_path):
    hub = "torch.hub" in code
    monkeypatch.chdir(ROOT if hub else videos)
    before = set(videos.iterdir())
    namespace: dict[str, object] = {}
    exec(code, namespace)
    if hub:
        assert type(namespace["model"]).__name__ == "CMAC"
    elif "heat" in namespace:
        assert namespace["heat"].shape == (96, 160) and namespace["joint"].ndim == 4
    elif "agreement" in namespace:
        assert namespace["agreement"].shape == (len(namespace["several"][0].times),)
    elif "features" in namespace:
        assert (videos / "dog_attention.mp4").stat().st_size > 1000
    for made in set(videos.iterdir()) - before:
        made.unlink()


@pytest.mark.parametrize("command", COMMANDS)
def test_command(command, videos, monkeypatch, capsys):
    monkeypatch.chdir(videos)
    assert main(shlex.split(command)[1:]) == 0
    assert capsys.readouterr().out


@pytest.mark.parametrize("command", TRAINING)
def test_a_training_command_is_one(command):
    """Data and hours are not at hand: the commands are parsed, and their recipes and tables exist."""
    options = build_parser().parse_args(shlex.split(command))
    if hasattr(options, "recipe"):
        assert load_recipe(options.recipe)
    if hasattr(options, "table"):
        assert options.table in TABLES


def test_links_lead_somewhere():
    docs = [(page, ROOT / "docs") for page in (TRAINING_PAGE, EXTENDING_PAGE, INFERENCE_PAGE, LOCALIZE_PAGE)]
    for page, folder in [(README, ROOT), *docs]:
        for target in re.findall(r"\]\((?!http)(.*?)\)", page):
            assert (folder / target).exists(), target


FIGURES = {
    "in 72 %, something else in 17 %, nothing in 12 %": ("as drawn", 1, "71.8, 16.7, 11.5"),
    "3, 5 and 92 %": ("as drawn", 2, "2.6, 5.1, 92.3"),
    "on the source in 81 %": ("joint: pointing | 80.8", 1, "80.8"),
    "middle of the picture: 68 %": ("joint: pointing | 80.8", 3, "middle of the picture 67.9"),
    "falls from 68 to 51 %": ("with a wrong sound", 1, "67.9, 51.2"),
    "mean cIoU 39.0, the disc's 36.8": ("joint: mean cIoU", 1, "39.0"),
    "`cmac-nano` finds 82 %": ("joint: pointing, things seen", 2, "82"),
    "`cmac-lite` 74 %": ("joint: pointing, things seen", 1, "74"),
    "53 % of things never seen": ("joint: pointing, things never", 2, "53"),
    "never seen (61 %)": ("joint: pointing, things never", 1, "61"),
}
"""What README says -> words of a row of the card's table of both networks, a column of it, and what stands there."""


@pytest.mark.parametrize("said", FIGURES)
def test_the_figures_are_those_of_the_model_card(said):
    words, column, value = FIGURES[said]
    assert said in " ".join(README.split())
    card = (ROOT / "MODEL_CARD.md").read_text(encoding="utf-8")
    rows = [line for line in card.splitlines() if line.startswith("| ") and words in line]
    assert [cell.strip() for cell in rows[0].strip("|").split("|")][column] == value
