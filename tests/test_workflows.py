"""What of .github/workflows can be tried without GitHub: their grammar, what they call, and the check of a tag."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

# A dependency of the Hub's client; the workflows are our own files.
import yaml

from cmac_hub.version import __version__

ROOT = Path(__file__).parents[1]
FILES = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
PARSED = {path.stem: yaml.safe_load(path.read_text(encoding="utf-8")) for path in FILES}
STEPS = [(name, step) for name, flow in PARSED.items() for job in flow["jobs"].values() for step in job["steps"]]
RELEASE = PARSED["release"]["jobs"]


def scripts() -> list[str]:
    return [step["run"] for _, step in STEPS if "run" in step]


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_a_workflow_says_that_it_was_never_run(path):
    assert "Never run yet" in path.read_text(encoding="utf-8").partition("name:")[0]


@pytest.mark.parametrize("script", scripts())
def test_scripts_are_ones_and_call_what_there_is(script):
    subprocess.run(["bash", "-n"], input=script, text=True, check=True)
    for path in re.findall(r"(?:\./)?(?:\.ci|tests|cmac_hub|docs)/[\w./]+|CHANGELOG\.md|CITATION\.cff", script):
        assert (ROOT / path).is_file(), path
    options = subprocess.run(
        [sys.executable, ROOT / "tests" / "fresh_machine.py", "--help"], capture_output=True, text=True, check=True
    ).stdout
    for line in script.splitlines():
        if "fresh_machine.py" in line:
            assert all(option in options for option in re.findall(r"--[a-z]+", line))


def test_what_is_published_was_tested_and_nothing_else_may_publish():
    # YAML 1.1 reads the key `on` as true.
    assert PARSED["release"][True] == {"push": {"tags": ["v[0-9]+.[0-9]+.[0-9]+"]}}
    assert RELEASE["publish"]["needs"] == ["test", "fresh-machine"] and RELEASE["fresh-machine"]["needs"] == "build"
    may = [name for flow in PARSED.values() for name, job in flow["jobs"].items() if "permissions" in job]
    assert may == ["publish"] and RELEASE["publish"]["permissions"] == {"id-token": "write"}
    assert all(flow["permissions"] == {"contents": "read"} for flow in PARSED.values())
    publishing = [step for _, step in STEPS if "pypi-publish" in step.get("uses", "")]
    assert publishing == RELEASE["publish"]["steps"][-1:]
    assert not [one for one in scripts() if "${{" in one], "scripts are given what a tag is called in variables only"


@pytest.mark.parametrize(
    ("tag", "heading", "cited", "accepted"),
    [
        ("v0.3.1", "0.3.1 (2027-01-31)", "0.3.1", True),
        ("v0.3.0", "0.3.1 (2027-01-31)", "0.3.1", False),
        ("v0.3.1", "0.3.1 (unreleased)", "0.3.1", False),
        ("v0.3.1", "0.3.1 (2027-01-31)", "0.3.0", False),
    ],
)
def test_a_tag_is_checked(tmp_path, tag, heading, cited, accepted):
    (tmp_path / "cmac_hub").mkdir()
    (tmp_path / "cmac_hub" / "version.py").write_text('__version__ = "0.3.1"\n')
    (tmp_path / "CHANGELOG.md").write_text(f"# Changelog\n\n## {heading}\n")
    (tmp_path / "CITATION.cff").write_text(f"title: CMAC Hub\nversion: {cited}\n")
    (script,) = (step["run"] for step in RELEASE["build"]["steps"] if step.get("name", "").startswith("the tag"))
    given = {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}", "GITHUB_REF_NAME": tag}
    done = subprocess.run(["bash", "-e"], input=script, text=True, cwd=tmp_path, env=given)
    assert (done.returncode == 0) == accepted


def test_the_repository_has_one_version():
    assert f"\nversion: {__version__}\n" in (ROOT / "CITATION.cff").read_text(encoding="utf-8")
    assert f"\n## {__version__} (" in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
