"""examples/tour.ipynb runs, cell by cell in CI and in a kernel of its own."""

import json
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

EXAMPLES = Path(__file__).resolve().parents[1] / "examples"
NOTEBOOK = json.loads((EXAMPLES / "tour.ipynb").read_text(encoding="utf-8"))


def test_the_notebook_runs(monkeypatch, tmp_path, capsys):
    """Cell by cell, without the packages of notebooks."""
    import matplotlib

    shown = []
    display = SimpleNamespace(Video=lambda path, embed: shown.append(Path(path).stat().st_size))
    monkeypatch.setitem(sys.modules, "IPython.display", display)
    monkeypatch.chdir(tmp_path)
    matplotlib.use("agg")
    names: dict[str, object] = {}
    for cell in NOTEBOOK["cells"]:
        if cell["cell_type"] == "code":
            exec("".join(cell["source"]), names)
    assert capsys.readouterr().out.count("agreement") == 3
    assert shown and shown[0] > 1000
    assert names["heatmap"].shape == (192, 320)
    names["plt"].close("all")


def test_the_notebook_is_stored_without_outputs():
    assert NOTEBOOK["nbformat"] == 4 and (EXAMPLES / "tour.ipynb").stat().st_size < 10_000
    for cell in NOTEBOOK["cells"]:
        assert cell["cell_type"] == "markdown" or (cell["outputs"] == [] and cell["execution_count"] is None)
    assert len({cell["id"] for cell in NOTEBOOK["cells"]}) == len(NOTEBOOK["cells"])


@pytest.mark.extras
def test_the_notebook_runs_in_a_kernel(monkeypatch, tmp_path):
    import nbclient
    import nbformat

    monkeypatch.setenv("PYTHONPATH", str(EXAMPLES.parent))
    notebook = nbformat.read(EXAMPLES / "tour.ipynb", 4)
    nbformat.validate(notebook)
    nbclient.NotebookClient(notebook, timeout=300, resources={"metadata": {"path": tmp_path}}).execute()
    kinds = [kind for cell in notebook.cells for output in cell.get("outputs", []) for kind in output.get("data", {})]
    assert kinds.count("image/png") == 2 and "text/html" in kinds
