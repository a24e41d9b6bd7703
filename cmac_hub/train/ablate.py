"""`train ablate`: the rows of one table of the paper, each trained alike, some seeds each, and what came out.

    python -m cmac_hub.train ablate table1 --base nano_drawn --seeds 0 1 2 --esc50 DATA/esc50 -o runs/ablations

A row is a recipe of `recipes/ablation/`. With `--base` its keys are laid over that recipe instead of the paper's
settings. Every run is a run folder of its own, so a second call goes on where the first one stopped, and tables that
share a folder share the rows that they have in common. Unless the data are videos, each network is measured on scenes
(`evaluate/summary.py`); "Scratch" are random weights.
"""

from __future__ import annotations

import csv
import json
import statistics
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cmac_hub.errors import CMACError
from cmac_hub.files import make_folder
from cmac_hub.hub import checkpoint_hash, config_hash
from cmac_hub.model import CMAC
from cmac_hub.train.checkpoint import Checkpoints, read_checkpoint
from cmac_hub.train.distributed import World
from cmac_hub.train.evaluate.summary import SUMMARY, esc50_of, summarize
from cmac_hub.train.evaluate.toolbox.requirements import require_scikit_learn
from cmac_hub.train.evaluate.toolbox.sounds import find_sounds
from cmac_hub.train.evaluate.toolbox.untrained import random_weights
from cmac_hub.train.fields import flat_fields
from cmac_hub.train.pretrain import pretrain
from cmac_hub.train.recipe import Recipe, RecipeError, load_recipe, read, upgrade
from cmac_hub.train.writing import write_json, writing


@dataclass(frozen=True)
class Row:
    """One line of a table: its recipe, and the paper's top-1 accuracy on UCF101 and HMDB51."""

    recipe: str
    title: str
    ucf101: float | None = None
    hmdb51: float | None = None


TABLES: dict[str, tuple[Row, ...]] = {
    "table1": (
        Row("", "Scratch", 73.2, 23.7),
        Row("single_modality", "Single Modality", 82.5, 47.3),
        Row("without_lcl", "CMAC w/o Lcl", 76.4, 25.1),
        Row("without_lac", "CMAC w/o Lac", 85.5, 56.4),
        Row("base", "CMAC", 87.2, 57.8),
    ),
    "table2": (
        Row("none_1", "None, 1 scale", 85.8, 57.0),
        Row("softmax_1", "softmax, 1 scale", 86.6, 57.4),
        Row("cosine_1", "cosine, 1 scale", 87.0, 57.6),
        Row("base", "cosine, 2 scales", 87.2, 57.9),
        Row("cosine_3", "cosine, 3 scales", 86.9, 57.8),
    ),
    "table3": (
        Row("cross_only", "neither", 86.5, 57.0),
        Row("base", "w/i Neg", 87.2, 57.8),
        Row("within_positives", "w/i Pos", 86.2, 56.4),
        Row("within_both", "w/i Neg and Pos", 86.7, 57.5),
    ),
    "lambda": (
        Row("without_lac", "lambda 0", 85.5),
        Row("lambda_0.5", "lambda 0.5"),
        Row("lambda_1", "lambda 1"),
        Row("base", "lambda 1.5", 87.2),
        Row("lambda_2", "lambda 2"),
    ),
    "heads": (Row("base", "shared head"), Row("separate_heads", "separate heads")),
    "consistency": (
        Row("without_lac", "without Lac"),
        Row("consistency_mean", "mean over positions"),
        Row("base", "sum over positions"),
        Row("consistency_both_ways", "sum, gradients through the target"),
    ),
}
"""The paper's tables and Fig. 4, of which the text gives the end points; "heads" and "consistency" are our own."""

LOGGED = ("contrastive", "consistency", "accuracy")
"""Of the last line of a run's log; accuracy is retrieval among the negatives. Losses and negatives differ from row to
row, so these say that a run is sound, not which row is better; a table shows them where nothing was measured."""


def row_recipe(row: Row, base: str | None, overrides: dict[str, Any]) -> Recipe:
    """The recipe of one row: the paper's, or the row's keys over `base`."""
    if base is None:
        return load_recipe(f"ablation/{row.recipe}", **overrides)
    paper, fields = load_recipe("ablation/base").to_dict(), flat_fields(Recipe)
    keys = {key: value for key, value in paper.items() if fields[key].metadata["ablated"]}
    if row.recipe != "base":
        keys |= {key: value for key, value in read(f"ablation/{row.recipe}").items() if key != "extends"}
    return load_recipe(base, **{"name": f"{base}/{row.recipe}", **keys, **overrides})


def ablate(
    table: str,
    data: Path | None,
    folder: Path,
    *,
    base: str | None = None,
    seeds: tuple[int, ...] = (0,),
    esc50: Path | None = None,
    overrides: dict[str, Any] | None = None,
    progress: bool = True,
    world: World = World(),  # noqa: B008
) -> str:
    """Trains what is not trained yet, and writes TABLE.csv (all runs), TABLE.md and TABLE.json into the folder.

    Args:
        table: of `TABLES`.
        data: see `pretrain`.
        folder: of the runs and tables; give several tables the same one, and a row of two is trained once.
        base: a recipe over which each row's keys are laid; None takes the paper's settings.
        seeds: of the runs of each row.
        esc50: folder of ESC-50, to probe the sound features; None takes `esc50` in the data, if it is there.
        overrides: keys of the recipe, alike for all rows.
        progress: show progress bars on stderr.
        world: of `join_world`; its first process measures and writes.

    Returns:
        the table in Markdown; empty on the other processes.

    Raises:
        RecipeError: an unknown table, a recipe that is not valid, or a seed among the overrides.
        CMACError: the folder holds runs of another length; recordings of `esc50` are missing; there are some to probe
            with, and scikit-learn is not installed.
    """
    if table not in TABLES:
        raise RecipeError(f"unknown table {table!r}; accepted are {', '.join(TABLES)}")
    if "seed" in (overrides or {}):
        raise RecipeError("recipe key 'seed' is of each run; give --seeds")
    esc50 = esc50 or esc50_of(data)
    if esc50 is not None:
        # What is missing is an error before hours of training, not after them.
        require_scikit_learn("the table's last column")
        find_sounds("esc50", esc50)
    results: list[dict[str, Any]] = []
    for row in TABLES[table]:
        for seed in seeds:
            if not row.recipe:
                if world.first:
                    config = row_recipe(TABLES[table][-1], base, overrides or {}).config
                    scratch = random_weights(config, seed, world.device)
                    found = _measured(folder / f"scratch_seed{seed}", scratch, data, esc50)
                    results.append({"row": row.title, "seed": seed, **found})
                continue
            recipe = row_recipe(row, base, {**(overrides or {}), "seed": seed})
            run = folder / f"{row.recipe}_seed{seed}"
            model = pretrain(recipe, data, run, resume=_has_begun(run, recipe), progress=progress, world=world)
            if not world.first:
                continue
            with (run / "log.csv").open(newline="") as file:
                last = list(csv.DictReader(file))[-1]
            figures = {name: float(last[name]) for name in LOGGED} | _measured(run, model, data, esc50)
            results.append({"row": row.title, "seed": seed, **figures})
    if not world.first:
        return ""
    make_folder(folder)
    with writing(folder / f"{table}.csv") as file:
        writer = csv.DictWriter(file, ["row", "seed", *LOGGED, *SUMMARY])
        writer.writeheader()
        writer.writerows(results)
    write_json(folder / f"{table}.json", {"table": table, "base": base, "overrides": overrides, "results": results})
    text = as_table(table, results)
    with writing(folder / f"{table}.md") as file:
        file.write(text + "\n")
    return text


def _has_begun(run: Path, recipe: Recipe) -> bool:
    """Whether the folder holds a run to go on with. Raises CMACError for one of another length: `pretrain` would train
    it further, and the row would not be what its table says."""
    if (latest := Checkpoints(run).latest()) is None:
        return False
    # The checkpoint says of which version its recipe is, recipe.json does not.
    state = read_checkpoint(latest)
    began = upgrade(state["recipe"], state.get("format_version", 1))
    for key, value in recipe.to_dict().items():
        if flat_fields(Recipe)[key].metadata["length"] and began[key] != value:
            raise CMACError(f"{run} has {key} {began[key]}, not {value}; choose another folder")
    return True


def _measured(run: Path, model: CMAC, data: Path | None, esc50: Path | None) -> dict[str, float]:
    """The summary of one network; it is kept in the run folder and measured anew for other weights or data."""
    kept = run / "measured.json"
    asked = {
        "weights": checkpoint_hash(model),
        "config": config_hash(model.config),
        "data": str(data or ""),
        "esc50": str(esc50 or ""),
    }
    if kept.exists():
        found = json.loads(kept.read_text(encoding="utf-8"))
        if {name: found.get(name) for name in asked} == asked:
            return dict(found["figures"])
    figures = summarize(model, data, esc50)
    if figures:
        make_folder(run)
        write_json(kept, {**asked, "figures": figures})
    return figures


def as_table(table: str, results: list[dict[str, Any]]) -> str:
    """Mean and standard deviation over seeds. The paper's columns are another experiment: top-1 after finetuning."""
    rows = TABLES[table]
    columns = [name for name in SUMMARY if any(name in one for one in results)] or list(LOGGED)
    papers = {"UCF101": [row.ucf101 for row in rows], "HMDB51": [row.hmdb51 for row in rows]}
    papers = {name: values for name, values in papers.items() if any(values)}
    lines = ["| | " + " | ".join([*columns, "seeds", *(f"the paper: {name}" for name in papers)]) + " |"]
    lines.append("| --- " * (len(columns) + 2 + len(papers)) + "|")
    for number, row in enumerate(rows):
        runs = [one for one in results if one["row"] == row.title]
        cells = []
        for name in columns:
            values = [one[name] for one in runs if name in one]
            spread = f" +- {statistics.stdev(values):.3f}" if len(values) > 1 else ""
            cells.append(f"{statistics.mean(values):.3f}{spread}" if values else "-")
        published = [values[number] for values in papers.values()]
        paper = ["-" if value is None else f"{value:.1f}" for value in published]
        lines.append(f"| {row.title} | " + " | ".join([*cells, str(len(runs)), *paper]) + " |")
    return "\n".join(lines)
