"""What the site has beside the pages of this folder, made when it is built (mkdocs calls the functions `on_...`).

README.md and other files of the repository become pages; both command lines are described by their own `--help`, the
public names by their docstrings; a source file that a page links to comes along. Links between all of these are set
right, so that they work in the repository and on the site. A new page in docs/ is found by itself.
"""

from __future__ import annotations

import argparse
import os
import posixpath
import re
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING
from unittest import mock

if TYPE_CHECKING:
    from mkdocs.config.defaults import MkDocsConfig
    from mkdocs.structure.files import Files
    from mkdocs.structure.pages import Page

ROOT = Path(__file__).resolve().parents[1]

OF_REPOSITORY = {
    "index.md": "README.md",
    "model_card.md": "MODEL_CARD.md",
    "speeds.md": "benchmarks/README.md",
    "changelog.md": "CHANGELOG.md",
    "security.md": "SECURITY.md",
}
"""Page -> the file of the repository that it shows."""

FIRST, LAST = ["training.md", "inference.md", "extending.md"], ["paper.md", "releasing.md"]
"""Pages of this folder that have a place; others stand between them."""

NAMES = {
    "Networks": ["load_cmac", "Pretrained", "CMAC", "Visualizer"],
    "What they give": ["Features", "FeaturesDataset", "Attention"],
    "Of your own": ["CMACConfig", "VisualConfig", "AudioConfig", "register_encoder"],
    "Errors": ["CMACError", "CheckpointError", "MediaError", "MissingPartError", "OutputError"],
}
"""Heading -> names of `cmac_hub`."""

COLUMNS = {"COLUMNS": "100", "NO_COLOR": "1"}
"""How wide argparse writes its help."""

LINK = re.compile(r"(?<=\]\()(?!https?:|mailto:|#)([^)#\s]+)(#[^)\s]*)?(?=\))")
QUOTE = re.compile(r"\]\(([^)#\s]+\.py)(?=\), `([^`]+)`:\n\n```py\n(.+?)\n)")
"""A link to a source file, the name of a function, the first line that is quoted of it."""


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """The table of contents."""
    others = sorted({page.name for page in (ROOT / "docs").glob("*.md")} - {*FIRST, *LAST})
    config.nav = [
        {"Quick start": "index.md"},
        {"Guides": [*FIRST, *others, *LAST]},
        {"Reference": ["command_line.md", "train_command_line.md", "python.md", "media.md"]},
        {"Measured": ["model_card.md", "speeds.md"]},
        {"Project": ["changelog.md", "security.md"]},
    ]
    return config


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Adds all pages that are not in this folder."""
    from mkdocs.structure.files import File

    from cmac_hub.cli import build_parser
    from cmac_hub.train.__main__ import build_parser as build_train_parser

    pages = {name: (ROOT / path).read_text(encoding="utf-8") for name, path in OF_REPOSITORY.items()}
    texts = [(path, pages[name]) for name, path in OF_REPOSITORY.items()]
    texts += [(f"docs/{one.src_uri}", one.content_string) for one in files.documentation_pages()]
    pages |= {
        "command_line.md": helps("Command line", build_parser),
        "train_command_line.md": helps("Command line of training", build_train_parser),
        "python.md": python_page(),
        "media.md": media_page(),
    }
    for path in sorted({found for origin, text in texts for found in sources(text, origin)}):
        pages[source_page(path)] = listing(path)
    for name, text in pages.items():
        files.append(File.generated(config, name, content=text))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Sets the links of a page right."""
    name = page.file.src_uri
    if not page.file.generated_by:
        return links_on_site(markdown, f"docs/{name}", name)
    return links_on_site(markdown, OF_REPOSITORY[name], name) if name in OF_REPOSITORY else markdown


def links_on_site(text: str, origin: str, name: str) -> str:
    """Links as they work in the repository -> as they work on the site; a quoted line is linked to itself.

    Args:
        text: Markdown.
        origin: the file that it stands in, from the root of the repository.
        name: the page that it becomes.
    """
    homes = {path: page for page, path in OF_REPOSITORY.items()}

    def to_line(found: re.Match[str]) -> str:
        text = (ROOT / in_repository(found[1], origin)).read_text(encoding="utf-8")
        return f"]({found[1]}#__codelineno-0-{line_number(text, found[2], found[3])}"

    def to_page(found: re.Match[str]) -> str:
        path = in_repository(found[1], origin)
        if path in homes:
            there = homes[path]
        elif path.startswith("docs/"):
            there = path.removeprefix("docs/")
        else:
            there = source_page(path) if (ROOT / path).exists() else path
        return posixpath.relpath(there, posixpath.dirname(name) or ".") + (found[2] or "")

    return outside_of_code(lambda prose: LINK.sub(to_page, prose), QUOTE.sub(to_line, text))


def line_number(text: str, function: str, line: str) -> int:
    """Where a line of a function stands in a source; the function by its dotted name."""
    place = 0
    for part in function.split("."):
        match = re.compile(rf"^ *(?:class|def) {part}\b", re.MULTILINE).search(text, place)
        place = match.end() if match else len(text)
    return text.count("\n", 0, text.index(line, place)) + 1


def outside_of_code(change: Callable[[str], str], text: str) -> str:
    """Changes a text, but for its fenced blocks."""
    parts = re.split(r"(^```.*?^```)", text, flags=re.MULTILINE | re.DOTALL)
    return "".join(part if number % 2 else change(part) for number, part in enumerate(parts))


def in_repository(target: str, origin: str) -> str:
    """A link's target, from the root of the repository."""
    return posixpath.normpath(posixpath.join(posixpath.dirname(origin), target))


def sources(text: str, origin: str) -> list[str]:
    """Files and folders that a page links to, and that are no pages or pictures themselves."""
    found = {in_repository(match[1], origin) for match in LINK.finditer(re.sub(r"(?ms)^```.*?^```", "", text))}
    return [one for one in found - {*OF_REPOSITORY.values()} if not one.startswith("docs/") and (ROOT / one).exists()]


def source_page(path: str) -> str:
    """Where a source file or a folder of them is shown."""
    return f"source/{path.replace('.', '_')}.md"


def listing(path: str) -> str:
    """A page with a source file, or with all of a folder; in them, lines have numbers."""
    place = ROOT / path
    files = sorted(place.rglob("*.py")) if place.is_dir() else [place]
    parts = [f"# {path}"]
    for one in files:
        parts += [f"## {one.relative_to(ROOT).as_posix()}"] if place.is_dir() else []
        kind = {".py": "py", ".cff": "yaml", ".yml": "yaml"}.get(one.suffix, "text")
        parts += [f'~~~~~~~~{kind} linenums="1"\n{one.read_text(encoding="utf-8").rstrip()}\n~~~~~~~~']
    return "\n\n".join(parts)


def helps(title: str, build: Callable[[], argparse.ArgumentParser]) -> str:
    """A page with the help of a program and of each of its commands."""
    with mock.patch.dict(os.environ, COLUMNS):
        parser = build()
        (commands,) = [one for one in parser._actions if isinstance(one, argparse._SubParsersAction)]
        parts = [f"# {title}", parser.description or "", block(parser.format_help())]
        for name, command in commands.choices.items():
            parts += [f"## {parser.prog} {name}", block(command.format_help())]
    return "\n\n".join(parts)


def block(text: str) -> str:
    """A text as it stands."""
    return f"~~~~~~~~text\n{text.rstrip()}\n~~~~~~~~"


def python_page() -> str:
    """The public names of `cmac_hub`."""
    parts = ["# Python", "What `import cmac_hub` offers. [Media files](media.md) are read by `cmac_hub.media`."]
    for heading, names in NAMES.items():
        parts += [f"## {heading}", *(f"::: cmac_hub.{name}" for name in names)]
    return "\n\n".join(parts)


def media_page() -> str:
    """The public names of `cmac_hub.media`."""
    import cmac_hub.media as media

    return "\n\n".join(["# Media files", media.__doc__ or "", *(f"::: cmac_hub.media.{one}" for one in media.__all__)])
