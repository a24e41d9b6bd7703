"""The card of a release: what config.json says, and figures, which come from the reports of evaluations alone."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from cmac_hub.errors import CMACError
from cmac_hub.model import CMAC
from cmac_hub.text import read_text
from cmac_hub.train.evaluate.report import read_result, titled

FIGURE = re.compile(r"\d+\.\d+")
"""A number with a fraction, in a cell of a table that holds numbers alone: "61.8 +- 0.8", not "CC BY 4.0"."""

NUMBERS_ALONE = re.compile(r"[\d.,/+\-%*_± ]+")

METRIC = re.compile(r"^\s*-?\s*value:\s*([\d.]+)", re.MULTILINE)
"""A metric in the head of a card (model-index)."""


class Report(NamedTuple):
    """What an evaluation wrote."""

    path: Path
    result: dict[str, Any]


def read_reports(paths: Sequence[Path], hashes: set[str]) -> list[Report]:
    """Reports of `localize`, `probe`, `retrieve` or `finetune`.

    Args:
        paths: the .json files that their `-o` wrote.
        hashes: of the weights that are released, see `cmac_hub.hub.checkpoint_hash`.

    Raises:
        CMACError: a file that is missing, is no report, or measured other weights.
    """
    found = []
    for path in paths:
        result = read_result(path)
        if result["checkpoint"] not in hashes:
            raise CMACError(
                f"{path} measured other weights (checkpoint {result['checkpoint']}) than these "
                f"({', '.join(sorted(hashes))}); measure what is released"
            )
        found.append(Report(path, result))
    return found


def write_card(model: CMAC, reports: Sequence[Report], repository: str | None = None) -> str:
    """The text of README.md."""
    card = str(model.generate_model_card(repo_id=repository))
    millions = sum(one.numel() for one in model.parameters()) / 1e6
    parts = [card.rstrip(), "", "## Figures", ""]
    if not reports:
        parts += ["None were measured.", ""]
    for path, result in reports:
        name = path.name.replace("`", "")
        parts += [f"### {titled(result)}", "", result["table"], "", f"From `{name}`, {_with(result)}.", ""]
    made = json.dumps(model.config.training, indent=2, ensure_ascii=False)
    parts += ["## How it was made", "", f"{millions:.2f} M parameters.", "", "```json", made, "```", ""]
    parts += [
        "## Files",
        "",
        "`config.json` and `model.safetensors` are the network; `LICENSE` is that of the code, `LICENSE-WEIGHTS` that",
        "of the weights; `example/` has an input and the features that the network gives for it;",
        "`sha256sum -c SHA256SUMS` says whether all of it came whole.",
        "",
    ]
    return "\n".join(parts)


def check_figures(card: Path, reports: Sequence[Report]) -> None:
    """Raises CMACError for a figure in a card of somebody's own that no report has."""
    known = {number for report in reports for number in FIGURE.findall(report.result["table"])}
    text = read_text(card)
    head = re.match(r"---\n.*?\n---\n", text, re.DOTALL)
    figures = METRIC.findall(head[0]) if head else []
    for line in text.splitlines():
        if line.lstrip().startswith("|"):
            cells = [cell.strip() for cell in line.strip().strip("|").split("|")]
            figures += [one for cell in cells if NUMBERS_ALONE.fullmatch(cell) for one in FIGURE.findall(cell)]
    for figure in figures:
        if figure not in known:
            raise CMACError(
                f"{card} has the figure {figure}, which no report has; give the evaluation's --report FILE, or take it "
                "out"
            )


def _with(result: dict[str, Any]) -> str:
    versions = result.get("environment", {})
    known = [f"{name} {versions[name]}" for name in ("torch", "cmac_hub") if isinstance(versions.get(name), str)]
    return f"checkpoint {result['checkpoint']}" + (f", {', '.join(known)}" if known else "")
