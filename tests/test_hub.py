"""A name -> a network, strictly; the Hub is played by a stand-in, the network is never used."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import torch
from huggingface_hub import errors
from safetensors.torch import load_file, save_file
from torch import nn
from torch.nn.utils import prune

import cmac_hub
from cmac_hub import CMAC, hub, load_cmac
from cmac_hub.config import FORMAT_VERSION
from cmac_hub.errors import CheckpointError
from cmac_hub.hub import Source, checkpoint_hash, parse_source


@pytest.fixture
def folder(tiny, tmp_path) -> Path:
    tiny.save_pretrained(tmp_path / "tiny")
    return tmp_path / "tiny"


def test_parse_source(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("cmac-nano").mkdir()
    Path("mine").mkdir()
    assert parse_source("cmac-nano") == Source("package", "cmac-nano")
    assert parse_source("./cmac-nano") == Source("folder", "./cmac-nano")
    assert parse_source("mine") == Source("folder", "mine")
    assert parse_source("local-dir:x/y") == Source("folder", "x/y")
    assert parse_source("hf-hub:a/b") == Source("hub", "a/b")
    assert parse_source("hf-hub:a/b@v1") == Source("hub", "a/b", "v1")


@pytest.mark.parametrize("name", ["resnet50", "hf-hub:alone", "hf-hub:", "a/b/c", "cmac-base"])
def test_unknown_names_list_what_is_accepted(name):
    with pytest.raises(CheckpointError) as caught:
        parse_source(name)
    assert "\n" not in str(caught.value)
    assert "hf-hub:" in str(caught.value)


def test_a_class_of_ones_own_gives_its_own_kind(tiny, folder):
    class Mine(CMAC):
        pass

    assert type(Mine.from_pretrained(folder)) is Mine and type(CMAC.from_pretrained(folder)) is CMAC


def test_round_trip(tiny, folder):
    again = CMAC.from_pretrained(folder)
    assert again.config == tiny.config
    assert not again.training
    for name, tensor in tiny.state_dict().items():
        torch.testing.assert_close(again.state_dict()[name], tensor, msg=name)
    assert sorted(p.name for p in folder.iterdir()) == ["README.md", "config.json", "model.safetensors"]
    card = (folder / "README.md").read_text()
    assert "library_name: cmac_hub" in card and "load_cmac(" in card
    assert "More Information Needed" not in card
    assert load_cmac(f"local-dir:{folder}").model.config == tiny.config
    half = CMAC.from_pretrained(folder, dtype=torch.bfloat16)
    assert half.heads["shared"].weight.dtype == torch.bfloat16
    assert len(checkpoint_hash(half)) == 12 and checkpoint_hash(half) != checkpoint_hash(again) == checkpoint_hash(tiny)


def test_the_three_parts_share_one_network():
    visual, audio, visualizer = parts = load_cmac()
    assert parts.model.visual_encoder is visual
    assert visualizer.model.audio_encoder is audio
    assert not visual.training
    assert not audio.training


def test_who_may_read_the_config_may_read_the_weights(folder):
    modes = {name: (folder / name).stat().st_mode for name in (hub.CONFIG, hub.WEIGHTS)}
    assert modes[hub.CONFIG] == modes[hub.WEIGHTS]


def test_half_precision_halves_the_file_and_is_loaded_as_float32(tiny, tmp_path):
    hub.save_checkpoint(tiny, tmp_path / "whole")
    hub.save_checkpoint(tiny, tmp_path / "half", half=True)
    whole, half = (tmp_path / name / hub.WEIGHTS for name in ("whole", "half"))
    assert half.stat().st_size < 0.6 * whole.stat().st_size
    again = CMAC.from_pretrained(tmp_path / "half").state_dict()
    for name, tensor in tiny.state_dict().items():
        assert again[name].dtype == tensor.dtype
        exact = tensor.ndim <= 1
        torch.testing.assert_close(again[name], tensor, rtol=0 if exact else 1e-3, atol=0 if exact else 1e-6)


def test_a_loaded_network_can_be_trained(folder):
    model = CMAC.from_pretrained(folder).train()
    out = model(torch.randn(2, 3, 8, 32, 32), torch.randn(2, 1, 64, 100))
    out.visual.embedding.sum().backward()
    assert model.visual_encoder.stem[0].weight.grad is not None


def change_weights(folder, change):
    state = load_file(folder / "model.safetensors")
    change(state)
    save_file(state, folder / "model.safetensors")


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda f: change_weights(f, lambda s: s.pop("heads.shared.weight")), "missing heads.shared.weight"),
        (lambda f: change_weights(f, lambda s: s.update(extra=torch.zeros(1))), "unknown extra"),
        (lambda f: change_weights(f, lambda s: s.update({"heads.shared.weight": torch.zeros(3, 3)})), "has shape"),
        (lambda f: (f / "model.safetensors").write_bytes(b"garbage"), "safetensors"),
        (lambda f: (f / "model.safetensors").unlink(), "has no model.safetensors"),
        (lambda f: (f / "config.json").unlink(), "has no config.json"),
        (lambda f: (f / "model.safetensors").rename(f / "pytorch_model.bin"), "pickle"),
        (
            lambda f: (f / "config.json").write_text(
                json.dumps({**json.loads((f / "config.json").read_text()), "format_version": FORMAT_VERSION + 1})
            ),
            "format version",
        ),
    ],
)
def test_a_damaged_checkpoint_is_refused(folder, damage, message):
    damage(folder)
    with pytest.raises(CheckpointError, match=message) as caught:
        CMAC.from_pretrained(folder)
    assert "\n" not in str(caught.value)


def test_a_truncated_file_is_refused(folder):
    whole = (folder / "model.safetensors").read_bytes()
    (folder / "model.safetensors").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(CheckpointError, match="safetensors"):
        CMAC.from_pretrained(folder)


def test_a_file_is_no_folder(tmp_path):
    (tmp_path / "weights.pt").write_bytes(b"x")
    with pytest.raises(CheckpointError, match="is a file"):
        CMAC.from_pretrained(tmp_path / "weights.pt")
    with pytest.raises(CheckpointError, match="no folder"):
        CMAC.from_pretrained("./nowhere")


def test_the_hub_is_asked_once_for_two_files_and_told_who_asks(folder, monkeypatch):
    asked = []

    def download(repository, **arguments):
        asked.append((repository, arguments["revision"], arguments["allow_patterns"], arguments["library_name"]))
        assert arguments["library_version"] == cmac_hub.__version__
        return str(folder)

    monkeypatch.setattr("huggingface_hub.snapshot_download", download)
    CMAC.from_pretrained("hf-hub:someone/cmac@v2")
    assert asked == [("someone/cmac", "v2", ["config.json", "model.safetensors"], "cmac_hub")]


def test_a_repository_is_meant_unless_there_is_such_a_folder(tmp_path, monkeypatch, recwarn):
    monkeypatch.chdir(tmp_path)
    assert parse_source("owner/repo") == Source("hub", "owner/repo")
    assert parse_source("owner/repo@v1") == Source("hub", "owner/repo", "v1")
    assert not recwarn.list
    Path("owner/repo").mkdir(parents=True)
    with pytest.warns(UserWarning, match="the folder of that name; .* hf-hub:owner/repo"):
        assert parse_source("owner/repo") == Source("folder", "owner/repo")


def test_a_repository_without_weights(tmp_path, monkeypatch):
    monkeypatch.setattr("huggingface_hub.snapshot_download", lambda *_, **__: str(tmp_path))
    with pytest.raises(CheckpointError, match=r"someone/cmac has no config\.json; .* never pickles"):
        CMAC.from_pretrained("someone/cmac")


def response(status: int):
    try:
        import httpx2 as httpx
    except ImportError:
        # What older clients of the Hub speak through.
        import httpx  # type: ignore[no-redef]

    return httpx.Response(status, request=httpx.Request("GET", "http://127.0.0.1"))


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (lambda: errors.GatedRepoError("x", response=response(403)), "gated"),
        (lambda: errors.RepositoryNotFoundError("x", response=response(404)), "no repository"),
        (lambda: errors.RevisionNotFoundError("x", response=response(404)), "no revision"),
        (lambda: errors.LocalEntryNotFoundError("x"), "not in the cache"),
        (lambda: errors.OfflineModeIsEnabled("offline"), "could not be fetched"),
    ],
)
def test_the_hubs_errors_are_one_line(monkeypatch, error, message):
    def download(*_, **__):
        raise error()

    monkeypatch.setattr("huggingface_hub.snapshot_download", download)
    with pytest.raises(CheckpointError, match=message) as caught:
        CMAC.from_pretrained("hf-hub:someone/cmac")
    assert "\n" not in str(caught.value)


def test_errors_below_the_hubs_client_are_one_line(monkeypatch):
    """Of httpx, which are neither OSError nor the client's own."""

    class ReadError(Exception):
        pass

    def fail(*_, **__):
        raise ReadError("connection reset\nby peer")

    monkeypatch.setattr("huggingface_hub.snapshot_download", fail)
    with pytest.raises(CheckpointError, match="owner/repo could not be fetched: connection reset by"):
        hub.fetch(hub.parse_source("hf-hub:owner/repo"))


@pytest.mark.parametrize("name", hub.REGISTERED)
def test_the_packaged_checkpoints_are_small_and_complete(name):
    folder = hub.fetch(parse_source(name))
    assert sum(p.stat().st_size for p in folder.iterdir()) < 14e6
    config = CMAC.from_pretrained(name).config
    assert config.name == name
    assert config.training
    assert config.license == "cc-by-nc-4.0", "they learned from recordings of ESC-50"


def test_save_leaves_a_good_checkpoint_when_the_disk_is_full(tiny, folder, monkeypatch):
    before = (folder / "model.safetensors").read_bytes()

    def full(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(hub, "save", full)
    with pytest.raises(OSError, match="disk is full"):
        hub.save_checkpoint(tiny, folder)
    assert (folder / "model.safetensors").read_bytes() == before
    assert not [p for p in folder.iterdir() if p.name.startswith(".")]
    shutil.rmtree(folder)


def test_a_run_folder_says_how_it_becomes_a_model(tmp_path):
    (tmp_path / "checkpoints").mkdir()
    with pytest.raises(CheckpointError, match=r"it is a run; first say python -m cmac_hub\.train release"):
        CMAC.from_pretrained(tmp_path)


@pytest.mark.parametrize("name", ["owner/tiny", "tiny"])
@pytest.mark.parametrize("has_card", [False, True])
def test_push_to_hub_uploads_safetensors_and_config_and_keeps_a_card(tiny, monkeypatch, has_card, name):
    """The mixin's own upload, its calls to the Hub recorded instead of sent."""
    uploaded: list[str] = []
    ignored: list[str] = []

    class Api:
        def __init__(self, **_):
            pass

        def create_repo(self, repo_id, **_):
            return type("Url", (), {"repo_id": f"owner/{repo_id.removeprefix('owner/')}"})()

        def file_exists(self, repo_id, name, revision):
            assert (repo_id, name, revision) == ("owner/tiny", "README.md", "v1")
            return has_card

        def upload_folder(self, *, folder_path, ignore_patterns, **_):
            ignored.extend([ignore_patterns] if isinstance(ignore_patterns, str) else ignore_patterns)
            uploaded.extend(sorted(p.name for p in Path(folder_path).iterdir()))
            return "https://hub/commit"

    monkeypatch.setattr("huggingface_hub.hub_mixin.HfApi", Api)
    monkeypatch.setattr("cmac_hub.model.HfApi", Api)
    tiny.push_to_hub(name, branch="v1", ignore_patterns="*.tmp")
    assert ignored == (["*.tmp", "README.md"] if has_card else ["*.tmp"])
    assert {"config.json", "model.safetensors"} <= set(uploaded)
    assert not [name for name in uploaded if name.endswith((".bin", ".pt"))]


def test_a_full_disk_is_told_with_its_remedy(monkeypatch):
    """However deep the client's error lies."""

    def fail(*_, **__):
        try:
            raise OSError(28, "No space left on device")
        except OSError as error:
            raise RuntimeError("download failed") from error

    monkeypatch.setattr("huggingface_hub.snapshot_download", fail)
    with pytest.raises(CheckpointError, match="the disk is full; make room, or choose another cache"):
        hub.fetch(hub.parse_source("hf-hub:owner/repo"))


def test_a_registered_name_may_lie_on_the_hub(folder, monkeypatch):
    """None does yet; its revision is the one of the table, unless another is asked for."""
    asked = []
    monkeypatch.setitem(hub.REGISTERED, "cmac-later", Source("hub", "owner/later", "v3"))
    monkeypatch.setattr(
        "huggingface_hub.snapshot_download",
        lambda repository, revision, **_: asked.append((repository, revision)) or str(folder),
    )
    CMAC.from_pretrained("cmac-later")
    CMAC.from_pretrained("cmac-later", revision="main")
    assert asked == [("owner/later", "v3"), ("owner/later", "main")]
    assert "cmac-later" in hub.accepted()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda one: one.add_module("fc", nn.Linear(4, 3)), "unknown fc.(bias|weight) .and 1 more"),
        (lambda one: prune.l1_unstructured(one.audio_encoder.stem[0], "weight", 0.5), "missing audio_encoder"),
        (lambda one: one.heads["shared"].bias.data.fill_(torch.nan), "heads.shared.bias holds NaN"),
    ],
)
def test_weights_that_could_not_be_loaded_are_saved_with_a_warning(tiny_config, tmp_path, change, message):
    network = CMAC(tiny_config)
    change(network)
    with pytest.warns(UserWarning, match=f"saved, but from_pretrained will refuse it: .*{message}"):
        network.save_pretrained(tmp_path)
    assert (tmp_path / "model.safetensors").exists()
    with pytest.raises(CheckpointError, match=message):
        CMAC.from_pretrained(tmp_path)


class WithHead(CMAC):
    """A class of one's own with a part of its own."""

    def __init__(self, config=None):
        super().__init__(config)
        self.fc = nn.Linear(4, 3)


def test_a_part_of_ones_own_is_told_how_it_gets_trained_weights(folder, tiny, tmp_path):
    with pytest.raises(CheckpointError, match=r"missing fc.weight.*WithHead has parts of its own: make it, then"):
        WithHead.from_pretrained(folder)
    (folder / "model.safetensors").write_bytes(b"no weights")
    with pytest.raises(CheckpointError, match="no complete safetensors file") as caught:
        WithHead.from_pretrained(folder)
    assert "parts of its own" not in str(caught.value)
    tiny.save_pretrained(folder)
    own = WithHead(tiny.config)
    own.load_state_dict(CMAC.from_pretrained(folder).state_dict(), strict=False)
    own.save_pretrained(tmp_path)
    torch.testing.assert_close(WithHead.from_pretrained(tmp_path).state_dict(), own.state_dict())
