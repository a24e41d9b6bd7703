"""What SECURITY.md promises of the source: nothing runs what a file says."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SOURCES = [path for name in ("cmac_hub", "examples", "benchmarks") for path in sorted((ROOT / name).rglob("*.py"))]
SOURCES.append(ROOT / "hubconf.py")

MODULES = {
    "pickle",
    "cPickle",
    "_pickle",
    "dill",
    "cloudpickle",
    "joblib",
    "marshal",
    "shelve",
    "yaml",
    "code",
    "runpy",
}
"""Modules that run what they read."""

BUILTINS = {"eval", "exec", "compile", "__import__"}

ALLOWED = {
    ("cmac_hub/train/start.py", "pickle.UnpicklingError"),
    ("cmac_hub/train/published/convert.py", "pickle.UnpicklingError"),
    ("cmac_hub/cli/workers.py", "pickle.loads"),
    ("cmac_hub/cli/workers.py", "pickle.dumps"),
}
"""An error that is caught; and whether an error of our own can be sent from one process to another."""


def dangers(text: str, name: str = "") -> list[str]:
    """Calls and imports of a source that may run what a file says."""
    found = []
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.ImportFrom) and (node.module or "").partition(".")[0] in MODULES:
            found.append(f"from {node.module}")
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id in MODULES:
            found.append(f"{node.value.id}.{node.attr}")
        if isinstance(node, ast.Import):
            aliases = [one for one in node.names if one.name.partition(".")[0] in MODULES]
            found += [f"{one.name} as {one.asname}" for one in aliases if one.asname]
        if not isinstance(node, ast.Call):
            continue
        called = ast.unparse(node.func)
        given = {one.arg: ast.unparse(one.value) for one in node.keywords}
        if called in BUILTINS:
            found.append(called)
        if called == "torch.load" and given.get("weights_only") != "True":
            found.append("torch.load without weights_only=True")
        if called in ("np.load", "numpy.load", "np.fromregex") and given.get("allow_pickle", "False") != "False":
            found.append("np.load with allow_pickle")
        if called in ("os.system", "os.popen", "subprocess.getoutput") or given.get("shell") == "True":
            found.append(f"{called} of a shell")
    return [one for one in found if (name, one) not in ALLOWED]


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_no_source_runs_what_a_file_says(path):
    assert dangers(path.read_text(encoding="utf-8"), path.relative_to(ROOT).as_posix()) == []


@pytest.mark.parametrize(
    "text",
    [
        "import pickle\npickle.load(f)", "from pickle import load", "import pickle as p", "torch.load(f)", "eval(x)",
        "torch.load(f, weights_only=False)", "np.load(f, allow_pickle=True)", "import yaml\nyaml.load(f)", "exec(x)",
        "subprocess.run(x, shell=True)", "np.load(f, allow_pickle=what)",
    ],
)  # fmt: skip
def test_what_would_be_found(text):
    assert dangers(text)


def test_what_is_fine():
    assert dangers("torch.load(f, weights_only=True); np.load(f); model.eval(); re.compile(x)") == []


def test_the_promise_is_in_the_source_archive():
    assert "SECURITY.md" in (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    assert "weights_only" in (ROOT / "SECURITY.md").read_text(encoding="utf-8")
