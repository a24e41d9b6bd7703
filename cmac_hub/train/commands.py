"""The work of each command that makes something; imports are inside, so that `--help` is quick."""

from __future__ import annotations

import argparse
import json
import sys
from typing import Any

from cmac_hub.errors import CMACError


def overrides(texts: list[str]) -> dict[str, Any]:
    """["steps=300", "bf16=false"] -> {"steps": 300, "bf16": False}; what is no JSON is text."""
    found: dict[str, Any] = {}
    for text in texts:
        key, sign, value = text.partition("=")
        if not sign:
            raise CMACError(f"--set got {text!r}; expected KEY=VALUE")
        try:
            found[key] = json.loads(value)
        except ValueError:
            found[key] = value
    return found


def index(options: argparse.Namespace) -> int:
    """Writes a manifest, and says what was left out and why."""
    from cmac_hub.train.videos.cut import Cut
    from cmac_hub.train.videos.dataset_layouts import find_candidates
    from cmac_hub.train.videos.index import index as write_manifest

    candidates = find_candidates(options.source, options.videos, options.split)
    cut = None if options.cut is None else Cut(options.cut, options.size)
    counts = write_manifest(candidates, options.output, cut=cut, workers=options.workers)
    print(f"{options.output}: {counts['']} of {counts.total()} videos")
    for reason, count in counts.most_common():
        if reason:
            print(f"  {count} left out: {reason}")
    if not counts[""]:
        raise CMACError(f"no video can be trained on; see {options.output.with_suffix('.skipped.csv')}")
    return 0


def pack(options: argparse.Namespace) -> int:
    """Writes a small copy of the data, and says what is in it."""
    from cmac_hub.train.scenes.pack import pack as write_pack

    how = {"splits": options.split, "size": options.size, "bit_rate": options.bit_rate}
    counts = write_pack(options.data, options.output, **how)
    size = sum(path.stat().st_size for path in options.output.rglob("*") if path.is_file())
    print(f"{options.output}: {size / 2**20:.1f} MiB; " + ", ".join(f"{n} {kind}" for kind, n in counts.items() if n))
    return 0


def pretrain(options: argparse.Namespace) -> int:
    """Trains, or prints what training would be."""
    from cmac_hub.train.recipe import RecipeError, load_recipe

    recipe = load_recipe(options.recipe, **overrides(options.set))
    if options.dry_run:
        from cmac_hub.train.distributed import pick_device
        from cmac_hub.train.estimate import describe, estimate
        from cmac_hub.train.videos.manifest import Manifest

        named = options.data is not None and options.data.suffix == ".csv"
        videos = len(Manifest.load(options.data)) if named else None
        for key, setting in recipe.to_dict().items():
            print(f"{key:<20} {setting}")
        print(describe(recipe, estimate(recipe, pick_device(options.device)), videos))
        return 0
    if options.output is None:
        raise RecipeError("no run folder was given; say -o runs/NAME")
    from cmac_hub.train.distributed import join_world
    from cmac_hub.train.interrupts import StoppedError
    from cmac_hub.train.networks import load_network
    from cmac_hub.train.pretrain import pretrain as train
    from cmac_hub.train.start import begin_with_parts

    _settle(options.threads)
    initial = None
    if options.initial is not None:
        if options.visual_from is not None or options.audio_from is not None:
            raise RecipeError("--from gives both encoders; leave out --visual-from and --audio-from, or --from")
        initial = load_network(options.initial, "cpu")
    elif options.visual_from is not None or options.audio_from is not None:
        initial = begin_with_parts(recipe, options.visual_from, options.audio_from)
    with join_world(options.device) as world:
        try:
            how = {"resume": options.resume, "initial": initial, "world": world}
            if recipe.held_out:
                from cmac_hub.train.own_footage import as_table, finetune

                report = finetune(recipe, options.data, options.output, **how)
                if world.first:
                    print(as_table(report))
                    print(options.output / "released")
            else:
                train(recipe, options.data, options.output, **how)
        except StoppedError as stopped:
            # Somebody asked for it and nothing is lost: no failure.
            print(f"cmac_hub.train: {stopped}; go on with --resume", file=sys.stderr)
    return 0


def distill(options: argparse.Namespace) -> int:
    """Teaches an audio encoder, or prints what that would be."""
    from cmac_hub.train.distillation.settings import DistillSettings
    from cmac_hub.train.distillation.teacher import YAMNet
    from cmac_hub.train.fields import RecipeError, flatten, unflatten

    settings, teacher = unflatten(DistillSettings, overrides(options.set)), YAMNet(options.teacher)
    if options.output is None and not options.dry_run:
        raise RecipeError("no run folder was given; say -o runs/NAME")
    from cmac_hub.train.distillation.distill import distill as train
    from cmac_hub.train.distillation.distill import find_latest
    from cmac_hub.train.distillation.estimate import describe
    from cmac_hub.train.distillation.recordings import load_recordings
    from cmac_hub.train.distributed import pick_device
    from cmac_hub.train.interrupts import StoppedError

    _settle(options.threads)
    device = pick_device(options.device)
    if options.dry_run:
        for key, setting in flatten(settings).items():
            print(f"{key:<20} {setting}")
        print(describe(settings, options.data, teacher, device))
        return 0
    find_latest(options.output, options.resume)  # an error now, not after the recordings are read
    recordings = load_recordings(options.data, settings.notes)
    try:
        train(settings, recordings, teacher, options.output, resume=options.resume, device=device)
    except StoppedError as stopped:
        print(f"cmac_hub.train: {stopped}; go on with --resume", file=sys.stderr)
    return 0


def ablate(options: argparse.Namespace) -> int:
    """Trains the rows of a table and prints it."""
    from cmac_hub.train.ablate import ablate as train_table
    from cmac_hub.train.distributed import join_world
    from cmac_hub.train.interrupts import StoppedError

    _settle(options.threads)
    with join_world(options.device) as world:
        try:
            text = train_table(
                options.table,
                options.data,
                options.output,
                base=options.base,
                seeds=tuple(options.seeds),
                esc50=options.esc50,
                overrides=overrides(options.set),
                world=world,
            )
        except StoppedError as stopped:
            print(f"cmac_hub.train: {stopped}; the same command goes on", file=sys.stderr)
            return 0
        if world.first:
            print(text)
    return 0


def _settle(threads: int) -> None:
    """What a process does once before it trains."""
    import torch

    if threads:
        torch.set_num_threads(threads)


def scenes(options: argparse.Namespace) -> int:
    """Writes scenes as files."""
    from cmac_hub.train.scenes.library import Library
    from cmac_hub.train.scenes.readers import load_library
    from cmac_hub.train.scenes.write import settings_of, write_scenes

    settings = settings_of(
        options.level,
        options.size,
        options.seconds,
        options.frame_rate,
        options.offscreen,
        options.blur,
        options.distractors and tuple(options.distractors),
        options.background_level and tuple(options.background_level),
    )
    if options.data is None:
        if options.things != "known":
            raise CMACError("--things new are of a library; give its folder: --data")
        library = Library.of_drawings(options.split)
    else:
        library = load_library(options.data, options.split, options.things, clip_size=options.size)
    print(write_scenes(library, settings, options.count, options.output, options.seed, options.frame_rate))
    return 0


def convert(options: argparse.Namespace) -> int:
    """Writes the folder of a published checkpoint."""
    from cmac_hub.train.publish.folder import write_folder
    from cmac_hub.train.published.convert import convert as read
    from cmac_hub.train.published.convert import tell_differences

    model = read(options.origin, options.file)
    write_folder(model, options.output)
    tell_differences(model)
    print(options.output)
    return 0


def release(options: argparse.Namespace) -> int:
    """Writes a folder that users load, and uploads it where that was asked."""
    from cmac_hub.train.distributed import pick_device
    from cmac_hub.train.publish.push import as_list, check_repository, files_of, push
    from cmac_hub.train.release import release as write_release

    if options.push is None and (options.dry_run or options.create_pr or options.public or options.revision):
        raise CMACError("--dry-run, --public, --revision and --create-pr are of an upload; give --push owner/repo")
    if options.push is not None:
        check_repository(options.push)
    write_release(
        options.checkpoint,
        options.output,
        options.data,
        options.note,
        license=options.license,
        half=options.half,
        device=pick_device(options.device),
        reports=options.report,
        license_file=options.license_file,
        repository=options.push,
    )
    print(options.output)
    if options.push is not None:
        listed = as_list(files_of(options.output), options.push)
        if options.dry_run:
            print(listed)
            return 0
        print(listed, file=sys.stderr)
        how = {"private": not options.public, "revision": options.revision, "create_pr": options.create_pr}
        print(push(options.output, options.push, **how))
    return 0
