"""The pages in docs/, and the site that is made of them and of the docstrings (`make docs`)."""

import ast
import re
import textwrap
from pathlib import Path

import pytest

from cmac_hub.train.recipe import load_recipe

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
PAGES = sorted(DOCS.glob("*.md"))
PAPER = (DOCS / "paper.md").read_text(encoding="utf-8")

QUOTED = re.findall(r"^\[`(.+?)`\]\((.+?)\), `(.+?)`:\n\n```py\n(.+?)```", PAPER, re.MULTILINE | re.DOTALL)
"""File, link to it, function, lines of it."""


def function_source(path: Path, name: str) -> str:
    """The lines of a function or a method, found by its dotted name; nothing is imported."""
    text = path.read_text(encoding="utf-8")
    found: ast.AST = ast.parse(text)
    for part in name.split("."):
        found = next(
            one for one in ast.iter_child_nodes(found) if isinstance(one, ast.stmt) and getattr(one, "name", "") == part
        )
    return ast.get_source_segment(text, found, padded=True) or ""


@pytest.mark.parametrize(("file", "link", "function", "lines"), QUOTED)
def test_the_lines_that_implement_the_paper_are_still_there(file, link, function, lines):
    assert (DOCS / link).resolve() == ROOT / file
    source = textwrap.dedent(function_source(ROOT / file, function))
    stripped = [line.strip() for line in source.splitlines()]
    quoted = [line.strip() for line in lines.splitlines()]
    assert any(stripped[start : start + len(quoted)] == quoted for start in range(len(stripped)))


def test_every_equation_has_a_line():
    sections = re.split(r"^## ", PAPER, flags=re.MULTILINE)[1:]
    with_lines = " ".join(one.partition("\n")[0] for one in sections if "```py" in one)
    numbers = {int(number) for said in re.findall(r"Eq\. ([\d and]+)", with_lines) for number in re.findall(r"\d", said)}
    assert numbers == set(range(1, 9))
    # Each block was understood: a link whose function is misspelled would otherwise never be looked at.
    assert len(QUOTED) == PAPER.count("```py")


def test_the_numbers_are_those_of_the_recipe():
    recipe = load_recipe("kinetics400")
    config = recipe.config
    rows = re.findall(r"^\| [^|]+ \| (`[^|]+) \| ([^|]+) \|$", PAPER, re.MULTILINE)
    assert len(rows) == 12
    for names, values in rows:
        for name, value in zip(re.findall(r"`(.+?)`", names), values.split(", "), strict=True):
            owner: object = recipe.objective if hasattr(recipe.objective, name) else recipe
            if "." in name or name == "window":
                owner = config
            for part in name.split("."):
                owner = getattr(owner, part)
            assert str(owner) == value.strip(), name


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_a_page_has_a_title_and_its_links_lead_somewhere(page):
    text = page.read_text(encoding="utf-8")
    assert re.match(r"# \w", text)
    prose = re.sub(r"^```.*?^```", "", text, flags=re.MULTILINE | re.DOTALL)
    for target in re.findall(r"\]\((?!http|#)(.*?)(?:#.*?)?\)", prose):
        assert (DOCS / target).exists(), target
