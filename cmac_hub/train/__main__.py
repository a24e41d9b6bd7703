"""`python -m cmac_hub.train COMMAND`."""

from __future__ import annotations

import argparse
import dataclasses
import json
import sys
from pathlib import Path

from cmac_hub.errors import CMACError


def main(arguments: list[str] | None = None) -> int:
    """Runs one command; errors are one line on stderr. Returns the exit code."""
    options = _parser().parse_args(arguments)
    try:
        return int(options.run(options) or 0)
    except (CMACError, OSError) as error:
        print(f"cmac_hub.train: {' '.join(str(error).split())}", file=sys.stderr)
        return 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m cmac_hub.train", description="Train and evaluate CMAC.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    pretrain = commands.add_parser("pretrain", help="train a network, or go on with a run")
    pretrain.add_argument("--recipe", default="nano", help="a name, or a path to a .json")
    pretrain.add_argument("--set", nargs="*", default=[], metavar="KEY=VALUE", help="override keys of the recipe")
    pretrain.add_argument("--data", type=Path, help="folder laid out like shared/data; without it, drawn scenes alone")
    pretrain.add_argument("-o", "--output", type=Path, help="run folder; an existing run is resumed")
    pretrain.add_argument("--threads", type=int, default=0, help="of the training process; 0 leaves PyTorch's choice")
    pretrain.add_argument("--dry-run", action="store_true", help="print the resolved recipe and stop")
    pretrain.set_defaults(run=_pretrain)

    localize = commands.add_parser("localize", help="pointing accuracy on composed scenes, beside trivial baselines")
    localize.add_argument("--model", default="cmac-nano", help="a name, folder, or training checkpoint .pt")
    localize.add_argument("--data", type=Path, required=True)
    localize.add_argument("--split", choices=["test", "validation"], default="test")
    localize.add_argument("--scenes", type=int, default=500, help="of each kind")
    localize.add_argument("-o", "--output", type=Path, help="a .json to write")
    localize.set_defaults(run=_localize)

    release = commands.add_parser("release", help="turn a training checkpoint into a folder that users load")
    release.add_argument("checkpoint", type=Path)
    release.add_argument("-o", "--output", type=Path, required=True)
    release.add_argument("--data", type=Path, help="measures how maps are drawn, on validation scenes")
    release.add_argument("--note", default="", help="one line for the config's training summary")
    release.set_defaults(run=_release)
    return parser


def _pretrain(options: argparse.Namespace) -> int:
    from cmac_hub.train.recipe import RecipeError, load_recipe

    overrides = {}
    for text in options.set:
        key, sign, value = text.partition("=")
        if not sign:
            raise RecipeError(f"--set got {text!r}; expected KEY=VALUE")
        try:
            overrides[key] = json.loads(value)
        except ValueError:
            overrides[key] = value
    recipe = load_recipe(options.recipe, **overrides)
    if options.dry_run:
        for key, setting in dataclasses.asdict(recipe).items():
            print(f"{key:<20} {setting}")
        return 0
    if options.output is None:
        raise RecipeError("no run folder was given; say -o runs/NAME")
    import torch

    from cmac_hub.train.pretrain import pretrain

    if options.threads:
        torch.set_num_threads(options.threads)
    pretrain(recipe, options.data, options.output)
    return 0


def _localize(options: argparse.Namespace) -> int:
    from cmac_hub.hub import load_model
    from cmac_hub.train.evaluate.localization import as_table, evaluate
    from cmac_hub.train.release import load_checkpoint

    model = load_checkpoint(Path(options.model))[0] if options.model.endswith(".pt") else load_model(options.model)
    report = evaluate(model, options.data, options.split, options.scenes)
    if options.output:
        options.output.write_text(json.dumps(report, indent=2) + "\n")
    print(as_table(report))
    return 0


def _release(options: argparse.Namespace) -> int:
    from cmac_hub.train.release import release

    release(options.checkpoint, options.output, options.data, options.note)
    print(options.output)
    return 0


if __name__ == "__main__":
    sys.exit(main())
