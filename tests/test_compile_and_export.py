"""docs/compile_and_export.md: its table is measured, its snippets run, and what it refuses is refused."""

from __future__ import annotations

import re
import subprocess
import sys
import warnings
from pathlib import Path

import pytest
import torch
from ways import PARTS, ROUNDING, WAYS, apart, as_table, compiled, compiled_copy, exported, inputs_of, traced

from cmac_hub import CMAC
from cmac_hub.visualizer import Visualizer

ROOT = Path(__file__).resolve().parents[1]
PAGE = (ROOT / "docs" / "compile_and_export.md").read_text(encoding="utf-8")
SNIPPETS = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)

WHOLE = PARTS[-1]
CELLS = [(name, way, part) for name in ROUNDING for way in WAYS for part in PARTS]
IN_CI = [
    (name, way, part)
    for name, way, part in CELLS
    # The whole network contains its encoders.
    if name == "cmac-nano" and not way.extras and (part == WHOLE or way.make not in (exported, traced))
]


@pytest.fixture(scope="module")
def networks() -> dict[str, CMAC]:
    return {name: CMAC.from_pretrained(name).requires_grad_(False) for name in ROUNDING}


@pytest.fixture(autouse=True)
def forgetting():
    """What the compiler learned of one network it would take for a reason to generalize the next."""
    torch._dynamo.reset()
    torch._dynamo.utils.counters.clear()


def check(network: CMAC, name: str, way, part: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # The tracer's deprecation, and the compiler's own.
        run = way.make(network, part, inputs_of(network, part, 2))
    bound = way.bounds[name][PARTS.index(part)]
    for batch in (1, 3):
        found = apart(network, part, run, way.dtype, batch)
        assert found.cosine >= bound.cosine and found.difference <= bound.difference, (batch, found)
        # Were it computed in fp32 after all, there would be less.
        assert way.bounds is ROUNDING or found.difference > 2e-4, (batch, found)


def test_the_table_of_the_page_is_the_one_that_is_measured():
    assert as_table() in PAGE


def named(one: object) -> str:
    return str(getattr(one, "name", one))


@pytest.mark.parametrize(("name", "way", "part"), IN_CI, ids=named)
def test_a_cell(networks, name, way, part):
    check(networks[name], name, way, part)


@pytest.mark.extras
@pytest.mark.parametrize(("name", "way", "part"), [cell for cell in CELLS if cell not in IN_CI], ids=named)
def test_a_cell_that_takes_long(networks, name, way, part):
    check(networks[name], name, way, part)


# Of the compiler the half that captures; what it makes of that needs a C++ compiler, see above.


def test_the_compiler_sees_the_whole_network_without_a_break(tiny):
    run = compiled("eager")(tiny, WHOLE, ())
    assert apart(tiny, WHOLE, run, torch.float32, 2).difference < 1e-7


def test_the_compiler_sees_a_copy_for_inference_without_a_break_and_then_any_batch(tiny):
    run = compiled_copy("eager")(tiny, "audio encoder", ())
    for batch in (2, 3, 5):
        assert apart(tiny, "audio encoder", run, torch.float32, batch).difference < 1e-5
    assert torch._dynamo.utils.counters["stats"]["unique_graphs"] == 2


def test_half_precision_is_for_files_as_well(tiny, model_folder, clip):
    expected = tiny.extract_features(clip).visual
    for dtype in (torch.float16, torch.bfloat16):
        network = CMAC.from_pretrained(model_folder, dtype=dtype)
        found = network.extract_features(clip).visual
        assert found.dtype == torch.float32
        assert 1e-5 < (found - expected).abs().max() / expected.abs().max() < 0.1
        assert len(list(Visualizer(network).heatmaps(clip, hop=1.0))) == 3


def counting_backend(seen: list[object]):
    def backend(graph, example):
        seen.append(graph)
        return graph.forward

    return backend


def test_files_are_computed_by_compiled_encoders_and_not_by_a_compiled_network(model_folder, clip):
    network, seen = CMAC.from_pretrained(model_folder), []
    torch.compile(network, backend=counting_backend(seen)).extract_features(clip)
    assert not seen
    network.audio_encoder.compile(backend=counting_backend(seen))
    network.extract_features(clip)
    assert len(seen) == 1


def test_what_does_not_work(tiny):
    example = inputs_of(tiny, WHOLE, 2)
    with pytest.raises(ValueError, match=r"instance of `torch\.nn\.Module`"):
        torch.export.export(tiny.attend, example)
    with pytest.raises((RuntimeError, ValueError)), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.jit.script(tiny)


@pytest.mark.extras
def test_the_network_itself_is_exported_and_not_stored(tiny, tmp_path):
    program = torch.export.export(tiny, inputs_of(tiny, WHOLE, 2))
    with pytest.raises(NotImplementedError, match="namedtuple"):
        torch.export.save(program, tmp_path / "never.pt2")


@pytest.mark.parametrize("code", SNIPPETS)
def test_python(code, clip, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "dog.mp4").write_bytes(clip.read_bytes())
    compiled = []
    # It would need a C++ compiler, and a minute.
    monkeypatch.setattr(torch.nn.Module, "compile", lambda module: compiled.append(module))
    exec(code, {})
    assert len(compiled) == code.count(".compile()")
    if "pt2" in code:
        opened = (
            "import sys, torch; maps = torch.export.load('cmac.pt2').module()(torch.randn(5, 3, 8, 96, 96), "
            "torch.randn(5, 1, 64, 100)); print(len(maps), len(maps[0]), 'cmac_hub' in sys.modules)"
        )
        done = subprocess.run([sys.executable, "-c", opened], capture_output=True, text=True, cwd=tmp_path, check=True)
        assert done.stdout.split() == ["6", "5", "False"]
