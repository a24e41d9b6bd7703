"""The pages in docs/, and the site that is made of them and of the docstrings (`make docs`)."""

import argparse
import ast
import html
import inspect
import os
import re
import subprocess
import sys
import textwrap
from html.parser import HTMLParser
from pathlib import Path

import pytest

import cmac_hub
import cmac_hub.media
from cmac_hub.cli import build_parser as cli_parser
from cmac_hub.train.__main__ import build_parser as train_parser
from cmac_hub.train.evaluate.sets import SETS
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
    titles = [one.partition("\n")[0] for one in sections if "```py" in one]
    numbers = [number for title in titles if title.startswith("Eq.") for number in re.findall(r"\d", title)]
    assert numbers == list("12345678")
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


def test_readers_of_sets_take_what_the_page_says():
    page = (DOCS / "extending.md").read_text(encoding="utf-8")
    told = dict(re.findall(r"^\| `(\w+)` \| (`.+?`) \|", page, re.MULTILINE))
    assert told.keys() == SETS.keys()
    for command, sets in SETS.items():
        readers = [one.function() for one in sets.values() if one.reader]
        assert readers
        for reader in readers:
            # `data` has another name in each reader: what it is.
            assert len(inspect.signature(reader).parameters) == told[command].count("`, `") + 1


def test_a_part_of_ones_own_is_made_as_the_page_says(tmp_path):
    page = (DOCS / "extending.md").read_text(encoding="utf-8")
    (code,) = (
        block for block in re.findall(r"^```python\n(.*?)^```", page, re.MULTILINE | re.DOTALL) if "Head" in block
    )
    scope: dict = {}
    exec(code, scope)
    scope["network"].save_pretrained(tmp_path)
    again = scope["WithHead"].from_pretrained(tmp_path)
    assert again.head.weight.equal(scope["network"].head.weight)
    name = "visual_encoder.stem.0.weight"
    assert again.state_dict()[name].equal(scope["trained"].state_dict()[name])


@pytest.fixture(scope="module")
def site(tmp_path_factory) -> Path:
    """The site, built by a process that may open no connection."""
    folder = tmp_path_factory.mktemp("site")
    code = "import socket; socket.socket.connect = None; from mkdocs.__main__ import cli; cli()"
    command = [sys.executable, "-c", code, "build", "--strict", "--site-dir", str(folder)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, env=os.environ | {"PYTHONPATH": str(ROOT)})
    assert done.returncode == 0, done.stderr
    return folder


class Seen(HTMLParser):
    """What a page names, links to, and has a browser load."""

    LOADING = ("script", "img", "iframe", "source", "link", "video", "audio", "object", "embed")

    def __init__(self, text: str) -> None:
        super().__init__()
        self.names: set[str] = set()
        self.links: list[str] = []
        self.loads: list[str] = []
        self.classes: set[str] = set()
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = {key: value or "" for key, value in attrs}
        self.names.add(found.get("id", ""))
        self.classes |= set(found.get("class", "").split())
        if tag == "a":
            self.links.append(found.get("href", ""))
        if tag in self.LOADING:
            self.loads += [found[key] for key in ("src", "href", "data", "srcset") if key in found]


@pytest.mark.extras
def test_the_site_loads_nothing_of_others(site):
    pages = {path: Seen(path.read_text(encoding="utf-8")) for path in site.rglob("*.html")}
    assert len(pages) > 20
    for path, page in pages.items():
        # The search page of a missing address names files from the site's root.
        folder = site if path.name == "404.html" else path.parent
        for target in page.loads:
            assert not re.match(r"\w+:|//", target), f"{path}: {target}"
            assert (folder / target.lstrip("/").partition("?")[0]).exists(), f"{path}: {target}"
        # The theme's own script fetches a library of diagrams where one is drawn, and no page has one.
        assert "mermaid" not in page.classes
    for style in site.rglob("*.css"):
        assert not re.search(r"url\([\"']?(?:https?:)?//|@import", style.read_text(encoding="utf-8")), style


@pytest.mark.extras
def test_links_of_the_site_lead_to_a_place_that_there_is(site):
    names = {path: Seen(path.read_text(encoding="utf-8")).names for path in site.rglob("*.html")}
    count = 0
    for path in names:
        if path.name == "404.html":
            continue
        for link in Seen(path.read_text(encoding="utf-8")).links:
            target, _, place = link.partition("#")
            if re.match(r"https?:|mailto:", link):
                continue
            there = (path.parent / target).resolve() if target else path
            assert there.is_file(), f"{path}: {link}"
            assert not place or there.suffix != ".html" or place in names[there], f"{path}: {link}"
            count += 1
    assert count > 1000


def test_every_public_name_is_to_be_on_the_site():
    """Which the test below sees on the site itself, where that can be built."""
    source = (ROOT / "docs" / "generate.py").read_text(encoding="utf-8")
    assert [name for name in cmac_hub.__all__ if f'"{name}"' not in source] == []


@pytest.mark.extras
def test_every_public_name_command_and_page_is_on_the_site(site):
    python, media = (Seen((site / page).read_text(encoding="utf-8")).names for page in ("python.html", "media.html"))
    assert not {f"cmac_hub.{name}" for name in cmac_hub.__all__} - python
    assert not {f"cmac_hub.media.{name}" for name in cmac_hub.media.__all__} - media
    for page, parser in (("command_line", cli_parser()), ("train_command_line", train_parser())):
        text = html.unescape((site / f"{page}.html").read_text(encoding="utf-8"))
        (commands,) = (one.choices for one in parser._actions if isinstance(one, argparse._SubParsersAction))
        for name, command in commands.items():
            assert f"usage: {parser.prog} {name} " in text
            assert all(option in text for action in command._actions for option in action.option_strings)
    first = Seen((site / "index.html").read_text(encoding="utf-8"))
    assert not {page.with_suffix(".html").name for page in PAGES} - set(first.links)


@pytest.mark.extras
def test_a_quoted_line_is_linked_to_itself(site):
    page = (site / "paper.html").read_text(encoding="utf-8")
    anchors = re.findall(r'href="(source/[\w/]+)_py\.html#__codelineno-0-(\d+)"', page)
    assert len(anchors) == len(QUOTED)
    for (path, number), (file, _, _, lines) in zip(anchors, QUOTED, strict=True):
        assert f"{path.removeprefix('source/')}.py" == file
        there = (ROOT / file).read_text(encoding="utf-8").splitlines()[int(number) - 1]
        assert there.strip() == lines.splitlines()[0].strip()
