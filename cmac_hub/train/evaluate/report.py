"""One report of several evaluations: what each measured, on which weights, and its table."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from cmac_hub.errors import CMACError
from cmac_hub.hub import checkpoint_hash
from cmac_hub.model import CMAC
from cmac_hub.text import read_json
from cmac_hub.train.evaluate.sets import SETS
from cmac_hub.train.runlog import environment


def about(measure: str, on: str, name: str, model: CMAC) -> dict[str, Any]:
    """What a result was measured with."""
    return {
        "measure": measure,
        "on": on,
        "model": name,
        "checkpoint": checkpoint_hash(model),
        "training": model.config.training,
        "environment": environment(),
    }


def read_result(path: Path) -> dict[str, Any]:
    """What an evaluation wrote.

    Raises:
        CMACError: a file that is missing or was not written by an evaluation.
    """
    try:
        one = read_json(path)
        if not all(isinstance(one[name], str) for name in ("model", "checkpoint", "table")):
            raise ValueError("its model, checkpoint and table are no texts")
        titled(one)
        one["training"].get("clips")
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise CMACError(f"{path} is no result of localize, probe, retrieve or finetune ({error})") from error
    return one


def titled(result: dict[str, Any]) -> str:
    """The heading of a result: what was measured, and on which split."""
    title = SETS[result["measure"]][result["on"]].title
    return f"{title}, split {result['split']}" if "split" in result else title


def join(results: Sequence[Path]) -> str:
    """Markdown of several results, in the order given. Raises CMACError as `read_result` does."""
    parts = ["# Results", ""]
    for path in results:
        one = read_result(path)
        weights = f"`{one['model']}`, checkpoint {one['checkpoint']}, {one['training'].get('clips', 'no')} clips"
        split = f", split {one['split']}" if "split" in one else ""
        parts += [f"## {SETS[one['measure']][one['on']].title}", "", f"{weights}{split}.", "", one["table"], ""]
    return "\n".join(parts)
