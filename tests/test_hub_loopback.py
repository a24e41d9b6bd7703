"""Downloads from a Hub that runs on this machine's loopback: the real client over real HTTP."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest
from loopback import COMMIT, Hub, serving

NOWHERE = "http://127.0.0.1:9"

CODE = """
import json, sys
from contextlib import redirect_stdout
from io import StringIO
from cmac_hub import CMACError, hub, load_cmac
from cmac_hub.cli import main
hub.REGISTERED["cmac-later"] = hub.Source("hub", "owner/tiny", COMMIT)
for line in sys.stdin:
    name, how = json.loads(line)
    with redirect_stdout(StringIO()) as printed:
        try:
            if name.startswith("cmac "):
                said = [main(name.split()[1:]), printed]
            else:
                model = load_cmac(name, **how).model
                said = [model.config.name, model.training]
        except CMACError as error:
            said = str(error)
    print(json.dumps([one.getvalue() if one is printed else one for one in said] if type(said) is list else said))
    sys.stdout.flush()
""".replace("COMMIT", repr(COMMIT))


class Client:
    """A process with its own settings of the Hub's client, which reads them once; it loads one name after another."""

    def __init__(self, address, home, **environment):
        self.home = home
        environment = {**os.environ, "HF_ENDPOINT": address, "HF_HUB_OFFLINE": "0", "HF_HOME": str(home), **environment}
        environment |= {"HF_HUB_DISABLE_TELEMETRY": "1", "HF_HUB_DISABLE_XET": "1", "NO_PROXY": "127.0.0.1"}
        how = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True, "env": environment}
        self.process = subprocess.Popen([sys.executable, "-c", CODE], **how)

    def load(self, name, **how):
        """What `load_cmac` gave, as [name, training], or its error; of "cmac ...", its exit code and output."""
        self.process.stdin.write(json.dumps([name, how]) + "\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())

    def close(self):
        self.process.stdin.close()
        assert self.process.wait(60) == 0


@pytest.fixture(scope="module")
def served():
    with serving(Hub()) as one:
        yield one


@pytest.fixture
def hub(served, model_folder):
    """Serves `owner/tiny` at revisions main and v1, as huggingface.co does."""
    served.reset()
    served.add("owner/tiny", model_folder, "v1")
    return served


@pytest.fixture(scope="module")
def client(served, tmp_path_factory):
    one = Client(served.address, tmp_path_factory.mktemp("home"))
    yield one
    one.close()


@pytest.fixture(scope="module")
def lost(tmp_path_factory):
    """A client that reaches no Hub."""
    one = Client(NOWHERE, tmp_path_factory.mktemp("home"))
    yield one
    one.close()


TINY = ["tiny", False]


def test_a_download_is_cached_and_works_when_the_hub_is_gone(hub, client, lost, tmp_path):
    assert client.load("hf-hub:owner/tiny@v1", cache_dir=str(tmp_path)) == TINY
    paths = [line.split()[1] for line in hub.requests if line.startswith("GET")]
    assert sum("/revision/" in path for path in paths) == 1
    fetched = {path.rsplit("/", 1)[-1] for path in paths if "/resolve/" in path}
    assert fetched == {"config.json", "model.safetensors"}, "two files, and never a pickle"
    assert all(COMMIT in path for path in paths if "/resolve/" in path), "both of one commit"
    for revision in ("v1", COMMIT):
        assert lost.load(f"hf-hub:owner/tiny@{revision}", cache_dir=str(tmp_path)) == TINY


def test_every_kind_of_name_and_option(hub, client, tmp_path, model_folder):
    assert client.load("owner/tiny") == client.load(str(model_folder)) == client.load("cmac-later") == TINY
    assert (client.home / "hub" / "models--owner--tiny").is_dir(), "HF_HOME"
    assert client.load("owner/tiny", revision="v1", cache_dir=str(tmp_path / "other")) == TINY
    assert (tmp_path / "other" / "models--owner--tiny").is_dir()
    assert "has no revision 'v9'" in client.load("cmac-later", revision="v9")
    assert "it has no revision 'v1'; leave it out" in client.load("cmac-nano", revision="v1")
    hub.requests.clear()
    assert client.load("owner/tiny", local_files_only=True) == TINY
    said = client.load("owner/tiny", local_files_only=True, cache_dir=str(tmp_path / "empty"))
    assert "no network was to be used (local_files_only), and owner/tiny is not in the cache" in said
    assert not hub.requests


def test_the_commands_take_the_same(hub, client, tmp_path):
    where = f"--revision v1 --cache-dir {tmp_path}"
    code, printed = client.load(f"cmac download owner/tiny {where}")
    assert code == 0 and printed.startswith(str(tmp_path)) and printed.endswith(f"{COMMIT}\n")
    for command in (f"cmac info owner/tiny {where} --local-files-only", "cmac info cmac-later"):
        code, printed = client.load(command)
        assert code == 0 and printed.startswith("tiny: ")


def test_offline_is_said_with_its_switch(tmp_path):
    client = Client(NOWHERE, tmp_path, HF_HUB_OFFLINE="1")
    for name in ("owner/tiny", f"hf-hub:owner/tiny@{COMMIT}"):
        assert "no network was to be used (HF_HUB_OFFLINE)" in client.load(name)
    client.close()


def test_a_gated_repository_and_a_token(hub, client, tmp_path):
    hub.refuse["GET /api/models/owner/tiny"] = (403, "GatedRepo")
    said = client.load("owner/tiny", token="hf_secret", cache_dir=str(tmp_path))
    assert "owner/tiny is gated; ask for access on its page and log in: hf auth login" in said
    assert "hf_secret" not in said and hub.tokens == {"Bearer hf_secret"}


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("hf-hub:owner/other", "the Hub has no repository owner/other"),
        ("hf-hub:owner/tiny@v9", "has no revision 'v9'"),
    ],
)
def test_what_the_hub_lacks_is_one_line(hub, client, tmp_path, name, message):
    said = client.load(name, cache_dir=str(tmp_path))
    assert message in said and "\n" not in said


@pytest.mark.parametrize("revision", ["", f"@{COMMIT}"])
def test_no_hub_at_all_is_one_line_with_the_cause_first(lost, tmp_path, revision):
    """A commit too, for whose files the client would ask for half a minute."""
    said = lost.load(f"hf-hub:owner/tiny{revision}", cache_dir=str(tmp_path))
    assert "refused" in said.lower() and "\n" not in said
    assert "the Hub was not reached" in said or "could not be fetched" in said


def test_a_download_that_breaks_off_goes_on(hub, client, tmp_path):
    hub.break_off = [5000]
    for _ in range(2):
        # The client goes on by itself, or says that it broke off and goes on when it is asked again.
        said = client.load("owner/tiny", cache_dir=str(tmp_path))
    assert said == TINY and not hub.break_off


def test_another_content_is_not_loaded_and_not_kept(hub, client, tmp_path):
    true = hub.repositories["owner/tiny"]["main"]["model.safetensors"]
    hub.content["model.safetensors"] = true[:-1] + bytes([true[-1] ^ 1])
    said = client.load("owner/tiny", cache_dir=str(tmp_path))
    assert "model.safetensors of owner/tiny does not have the hash that the Hub tells" in said
    assert said.endswith("it was removed; fetch it again")
    hub.content.clear()
    assert client.load("owner/tiny", cache_dir=str(tmp_path)) == TINY


def test_a_file_larger_than_announced_is_refused(hub, client, tmp_path):
    hub.content["model.safetensors"] = hub.repositories["owner/tiny"]["main"]["model.safetensors"] + b"more"
    said = client.load("owner/tiny", cache_dir=str(tmp_path))
    assert "a file has another size than the Hub announced; try again, or another revision" in said


def test_a_network_of_another_library_is_one_line(hub, client, tmp_path):
    for files in hub.repositories["owner/tiny"].values():
        files["config.json"] = b'{"model_type": "bert"}'
    said = client.load("owner/tiny", cache_dir=str(tmp_path))
    assert "of another library or architecture; models for this package say library_name: cmac_hub" in said
