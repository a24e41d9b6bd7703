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


def join(results: Sequence[Path]) -> str:
    """Markdown of several results, in the order given.

    Raises:
        CMACError: a file that is missing or was not written by an evaluation.
    """
    parts = ["# Results", ""]
    for path in results:
        try:
            one = read_json(path)
            title = SETS[one["measure"]][one["on"]].title
            weights = f"`{one['model']}`, checkpoint {one['checkpoint']}, {one['training'].get('clips', 'no')} clips"
            split = f", split {one['split']}" if "split" in one else ""
            parts += [f"## {title}", "", f"{weights}{split}.", "", one["table"], ""]
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise CMACError(f"{path} is no result of localize, probe, retrieve or finetune ({error})") from error
    return "\n".join(parts)
