"""Counts the package's imports by where they point: `python tests/arrows.py [PACKAGE FOLDER]`.

A layer is a module or a folder of the package; ORDER has them from the ground up. An arrow is a module that imports
another one, at its top or inside a function, for the type checker too; it points upward when the other one's layer
comes later in ORDER. A circle is a set of modules each of which can be reached from each other.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

PACKAGE = Path(__file__).parents[1] / "cmac_hub"

ORDER = (
    "version allocator errors checks cores ahead text streams command_line files registry encoders config_file config "
    "weights_file windows sides outputs geometry mel attention joint preprocessing eval_mode network optimize media "
    "inference features feature_folder drawing lit moments maps_file canvas rendering figure card download hub model "
    "visualizer pretrained report demo page train.scenes.layout "
    "train.arguments train.fields train.writing train.multiple_instance train.objective train.recipe "
    "train.augmentation train.stream train.scenes train.videos train train.evaluate.sets train.evaluate.toolbox "
    "train.evaluate train.ablate train.publish train.published train.release train.own_footage "
    "train.commands train.__main__ cli __main__ __init__"
).split()

Arrow = tuple[str, str]


def modules(package: Path) -> dict[str, Path]:
    """Module name inside the package ("media.reader") -> file; "" is the package itself."""
    found = {}
    for path in sorted(package.rglob("*.py")):
        parts = path.relative_to(package).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" and len(parts) > 1 else parts)] = path
    return found


def imports(name: str, path: Path, known: dict[str, Path], package: str) -> Iterator[str]:
    """Modules of the package that one of its files imports."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        else:
            continue
        for full in names:
            inside = full.removeprefix(f"{package}.")
            if inside == full:
                continue
            while inside and inside not in known:
                inside = inside.rpartition(".")[0]
            if inside and inside != name:
                yield inside


def arrows(package: Path = PACKAGE) -> set[Arrow]:
    """(module, imported module) of the whole package."""
    known = modules(package)
    return {(name, target) for name, path in known.items() for target in imports(name, path, known, package.name)}


def circles(found: set[Arrow]) -> list[list[str]]:
    """Sets of modules that import each other, directly or over others."""
    targets: dict[str, set[str]] = {}
    for source, target in found:
        targets.setdefault(source, set()).add(target)

    def reach(start: str) -> set[str]:
        seen: set[str] = set()
        waiting = [start]
        while waiting:
            for target in targets.get(waiting.pop(), set()) - seen:
                seen.add(target)
                waiting.append(target)
        return seen

    reached = {name: reach(name) for name in targets}
    rings = {frozenset(other for other in reached[name] if name in reached.get(other, set())) for name in targets}
    return [sorted(ring) for ring in rings if len(ring) > 1]


def layer(module: str) -> str:
    """The layer of a module: the longest of ORDER that it lies in."""
    return max((r for r in ORDER if module == r or module.startswith(f"{r}.")), key=len, default=module)


def upward(found: set[Arrow]) -> list[Arrow]:
    """Arrows from a lower layer to a higher one; the public face (`__init__`) imports whatever it shows."""
    rank = {name: i for i, name in enumerate(ORDER)}
    return sorted(
        (source, target)
        for source, target in found
        if layer(source) != layer(target) and rank.get(layer(target), len(ORDER)) > rank.get(layer(source), -1)
    )


if __name__ == "__main__":
    every = arrows(Path(sys.argv[1])) if len(sys.argv) > 1 else arrows()
    print(f"{len(every)} imports, {len(circles(every))} circles, {len(upward(every))} upward")
    for ring in circles(every):
        print("circle:", ", ".join(ring))
    for source, target in upward(every):
        print(f"upward: {source} -> {target}")
