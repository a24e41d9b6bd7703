"""Checkpoints that lie: one line, little memory, and nothing of them is run."""

from __future__ import annotations

import json
import pickle
import resource
import struct
import zipfile
from pathlib import Path

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file

from cmac_hub.errors import CheckpointError
from cmac_hub.model import CMAC
from cmac_hub.train.networks import load_checkpoint
from cmac_hub.weights_file import check_numbers, read_weights

MOST = 200 * 2**20
"""Bytes by which the process may grow; the lies below are of terabytes."""


@pytest.fixture
def folder(tiny, tmp_path):
    tiny.save_pretrained(tmp_path / "lie")
    return tmp_path / "lie"


def refused(folder: Path, message: str) -> None:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(CheckpointError, match=message) as caught:
        CMAC.from_pretrained(folder)
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 700
    assert (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024 < MOST


def rewrite(folder: Path, change) -> None:
    """Puts another header before the same numbers."""
    path = folder / "model.safetensors"
    data = path.read_bytes()
    size = struct.unpack("<Q", data[:8])[0]
    header = json.loads(data[8 : 8 + size])
    text = change(header)
    text = json.dumps(header).encode() if text is None else text
    path.write_bytes(struct.pack("<Q", len(text)) + text + data[8 + size :])


def first_two(header):
    return [name for name in header if header[name].get("shape")][:2]


def grown(header):
    one, _ = first_two(header)
    header[one]["shape"], header[one]["data_offsets"] = [10**10 // 4], [0, 10**10]


def overlapping(header):
    one, two = first_two(header)
    header[two]["data_offsets"] = header[one]["data_offsets"]


def backwards(header):
    one, _ = first_two(header)
    header[one]["data_offsets"] = header[one]["data_offsets"][::-1]


def another_type(header):
    one, _ = first_two(header)
    header[one]["dtype"] = "F64"


def unknown_type(header):
    one, _ = first_two(header)
    header[one]["dtype"] = "PICKLE"


def overflowing(header):
    one, _ = first_two(header)
    header[one]["shape"] = [2**62, 2**62]


def misshapen(header):
    name = next(n for n, one in header.items() if n != "__metadata__" and len(one["shape"]) == 1)
    header[name]["shape"] = [1, *header[name]["shape"]]


@pytest.mark.parametrize(
    "change",
    [
        grown, overlapping, backwards, another_type, unknown_type, overflowing,
        lambda header: b"[" * 100_000, lambda header: b"{}", lambda header: b"\xff" * 100, lambda header: b"",
    ],
)  # fmt: skip
def test_headers_that_lie(folder, change):
    rewrite(folder, change)
    refused(folder, "is no complete safetensors file|does not fit its config: missing")


def test_a_shape_that_is_not_the_configs(folder):
    rewrite(folder, misshapen)
    refused(folder, r"has shape \(1, \d+\), the config asks for")


@pytest.mark.parametrize("size", [0, 7, 10 * 2**30, 2**63, 2**64 - 1])
def test_a_header_of_a_size_that_is_not_there(folder, size):
    path = folder / "model.safetensors"
    path.write_bytes(struct.pack("<Q", size) + path.read_bytes()[8:])
    refused(folder, "is no complete safetensors file")


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_any_broken_byte_of_the_header_is_one_line(tiny, tmp_path, data):
    path = tmp_path / "broken.safetensors"
    save_file({name: tensor.contiguous() for name, tensor in tiny.state_dict().items()}, path)
    whole = bytearray(path.read_bytes())
    place = data.draw(st.integers(0, struct.unpack("<Q", whole[:8])[0] + 7))
    whole[place] = data.draw(st.integers(0, 255))
    path.write_bytes(whole)
    try:
        read_weights(path, tiny.state_dict())
    except CheckpointError as error:
        lines = str(error).splitlines()
    else:
        lines = ["as good as before"]
    assert len(lines) == 1


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda one: one.fill_(float("nan")), "holds NaN or infinite numbers"),
        (lambda one: one.fill_(float("-inf")), "holds NaN or infinite numbers"),
        (lambda one: one.to(torch.int8), "is of int8; accepted are F64, F32, F16, BF16"),
        (lambda one: one.to(torch.float8_e4m3fn), "is of float8_e4m3fn; accepted are"),
        (lambda one: one > 0, "is of bool; accepted are"),
    ],
)
def test_numbers_that_are_none(folder, change, message):
    path = folder / "model.safetensors"
    state = load_file(path)
    name = next(name for name, tensor in state.items() if tensor.ndim > 1)
    state[name] = change(state[name])
    save_file(state, path)
    refused(folder, f"{name} {message}")


def test_counts_are_whole_numbers():
    with pytest.raises(CheckpointError, match="a: n is of float32; expected int64"):
        check_numbers({"n": torch.ones(())}, {"n": torch.ones((), dtype=torch.int64)}, "a")


@pytest.mark.parametrize("dtype", [torch.float64, torch.float16, torch.bfloat16])
def test_other_floating_types_are_read(folder, dtype):
    path = folder / "model.safetensors"
    save_file({k: v.to(dtype) if v.is_floating_point() else v for k, v in load_file(path).items()}, path)
    assert CMAC.from_pretrained(folder).state_dict()["heads.shared.weight"].dtype == torch.float32


@pytest.mark.parametrize(
    ("part", "changes"),
    [
        ("visual", {"width": 10**6}), ("visual", {"width": 10**9}), ("audio", {"width": 10**9}),
        ("visual", {"middle_multiple": 10**9}), ("attention", {"filter_channels": 10**9}),
        ("attention", {"filter_channels": 10**9, "embedding": 10**9, "saliency_channels": 10**9}),
        ("visual", {"stage_strides": [10**9] * 4}),
    ],
)  # fmt: skip
def test_a_network_of_terabytes_takes_no_memory(folder, part, changes):
    path = folder / "config.json"
    values = json.loads(path.read_text())
    values[part] |= changes
    path.write_text(json.dumps(values))
    if "stage_strides" in changes:
        # No weight has another shape for it.
        assert CMAC.from_pretrained(folder)
        return
    refused(folder, "does not fit its config|describes no network that can be made")


@pytest.fixture
def trained(tiny, tmp_path):
    """The state of a training checkpoint, and how to write it."""
    state = {"recipe": {}, "config": tiny.config.to_dict(), "step": 1, "model": tiny.state_dict(), "format_version": 2}

    def write(**changes) -> Path:
        torch.save(state | changes, tmp_path / "step_00000001.pt")
        return tmp_path / "step_00000001.pt"

    return write


def test_training_checkpoints_that_lie(trained, tiny):
    assert load_checkpoint(trained())[0].config.name == "tiny"
    weights = tiny.state_dict()
    name = "visual_encoder.stem.0.weight" if "visual_encoder.stem.0.weight" in weights else next(iter(weights))
    huge = tiny.config.to_dict()
    huge["attention"] |= {"filter_channels": 10**6, "embedding": 10**6}
    wide = {n: torch.zeros(1).expand(10**6, 10**6) if n == "heads.shared.weight" else t for n, t in weights.items()}
    for changes, message in (
        ({"model": weights | {name: torch.full_like(weights[name], float("nan"))}}, "holds NaN or infinite numbers"),
        ({"model": {name: weights[name]}}, "does not fit its own config: missing"),
        ({"model": [1]}, "holds no weights by name"),
        ({"model": wide, "config": huge}, "of more numbers than it has bytes for"),
        ({"config": huge}, "does not fit its own config: .* has shape"),
        ({"config": [1]}, "the config is a list"),
    ):
        with pytest.raises(CheckpointError, match=message) as caught:
            load_checkpoint(trained(**changes))
        assert "\n" not in str(caught.value)


def test_training_checkpoints_run_nothing_and_unpack_to_no_more(trained, tmp_path):
    class Evil:
        def __reduce__(self):
            return (Path.touch, (tmp_path / "was run",))

    for write in (lambda path: path.write_bytes(pickle.dumps(Evil())), lambda path: torch.save({"step": Evil()}, path)):
        write(tmp_path / "evil.pt")
        with pytest.raises(CheckpointError, match="is no training checkpoint"):
            load_checkpoint(tmp_path / "evil.pt")
    assert not (tmp_path / "was run").exists()
    path, bomb = trained(), tmp_path / "bomb.pt"
    with zipfile.ZipFile(path) as given, zipfile.ZipFile(bomb, "w", zipfile.ZIP_DEFLATED) as made:
        for one in given.infolist():
            made.writestr(one.filename, bytes(2**24) if "/data/0" in one.filename else given.read(one))
    with pytest.raises(CheckpointError, match="unpacks to more than it is"):
        load_checkpoint(bomb)
