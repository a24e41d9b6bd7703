"""Uploads to a Hub that runs on this machine's loopback, with the real client."""

import json
import os
import subprocess
import sys
from contextlib import contextmanager

import pytest
from loopback import Hub, serving

from cmac_hub.train.__main__ import main
from cmac_hub.train.checkpoint import Checkpoints
from cmac_hub.train.publish.folder import FILES, SUMS
from cmac_hub.train.recipe import Recipe


@pytest.fixture(scope="module")
def run_folder(tiny, tmp_path_factory):
    state = {"format_version": 2, "recipe": Recipe().to_dict(), "config": tiny.config.to_dict(), "step": 7}
    run = tmp_path_factory.mktemp("runs") / "run"
    Checkpoints(run).save({**state, "model": tiny.state_dict()}, 7)
    return run


CODE = """
import json, os, sys
from contextlib import redirect_stderr, redirect_stdout
from io import StringIO
from cmac_hub.train.__main__ import main
for line in sys.stdin:
    arguments, os.environ["HF_TOKEN"] = json.loads(line)
    with redirect_stdout(StringIO()) as out, redirect_stderr(StringIO()) as err:
        code = main(arguments)
    print(json.dumps([code, out.getvalue(), err.getvalue()]), flush=True)
"""


@contextmanager
def client(address, home, offline="0"):
    """A process whose Hub is at an address; gives a function that runs one command in it."""
    environment = {**os.environ, "HF_HUB_OFFLINE": offline, "HF_HOME": str(home), "HF_ENDPOINT": address}
    environment |= {"HF_HUB_DISABLE_XET": "1", "HF_HUB_DISABLE_TELEMETRY": "1", "NO_PROXY": "127.0.0.1"}
    how = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True, "env": environment}
    with subprocess.Popen([sys.executable, "-c", CODE], **how) as process:

        def release(run, folder, *options, token="hf_good"):
            process.stdin.write(json.dumps([["release", str(run), "-o", str(folder), *options], token]) + "\n")
            process.stdin.flush()
            code, out, err = json.loads(process.stdout.readline())
            assert "Traceback" not in err
            return code, out, err

        yield release


def test_an_upload_is_one_commit_private_and_goes_on_where_it_broke_off(run_folder, tmp_path):
    out = tmp_path / "out"
    with serving(Hub()) as hub, client(hub.address, tmp_path / "home") as release:
        hub.token = "hf_good"
        hub.break_off, hub.fail = [3000], {"PUT /lfs": 1, "POST /api/models/owner/tiny/preupload": 1}
        out.mkdir()
        (out / "notes.txt").write_text("secret")
        for _ in range(3):
            code, printed, err = release(run_folder, out, "--push", "owner/tiny")
            if code == 0:
                break
            # Older clients ask some things once; what had arrived is not sent again.
            assert "owner/tiny was not uploaded: " in err and err.endswith("The same command goes on\n")
            assert not hub.repositories["owner/tiny"]["main"]
        assert code == 0, err
        assert printed.splitlines()[0] == str(out) and "/owner/tiny/commit/" in printed.splitlines()[1]
        assert hub.private == {"owner/tiny": True} and not hub.break_off and not any(hub.fail.values())
        files = hub.repositories["owner/tiny"]["main"]
        assert sorted(files) == sorted([*FILES, SUMS]), "and nothing else of the folder"
        assert all((out / name).read_bytes() == data for name, data in files.items())
        assert sum("/commit/" in line for line in hub.requests) == 1

        hub.requests.clear()
        code, printed, err = release(run_folder, out, "--push", "owner/tiny", "--create-pr", "--note", "second")
        assert code == 0, err
        assert "/discussions/1" in printed and hub.pull_requests == ["refs/pr/1"]
        assert files == hub.repositories["owner/tiny"]["main"] != hub.repositories["owner/tiny"]["refs/pr/1"]
        assert not [line for line in hub.requests if line.startswith("PUT")], "the weights are there"

        code, _, err = release(run_folder, out, "--push", "owner/tiny", "--revision", "v2", "--public")
        assert code == 0, err
        assert "v2" in hub.repositories["owner/tiny"] and hub.private["owner/tiny"], "as it was"
        code, _, err = release(run_folder, out, "--push", "owner/new", "--public")
        assert code == 0 and not hub.private["owner/new"], err
        code, _, err = release(run_folder, out, "--push", "owner/newer", token="hf_bad")
        assert code == 1 and "does not know this token; say hf auth login" in err
        hub.refuse["POST /api/repos/create"] = (403, "")
        code, _, err = release(run_folder, out, "--push", "another/tiny")
        assert code == 1 and "this token may not write there; take one that may, or another owner" in err
        assert "another/tiny" not in hub.repositories


def test_a_dry_run_lists_and_uploads_nothing(run_folder, tmp_path, capsys):
    out = tmp_path / "out"
    assert main(["release", str(run_folder), "-o", str(out), "--push", "owner/tiny", "--dry-run"]) == 0
    listed = capsys.readouterr().out
    for name in (*FILES, SUMS):
        assert f"{(out / name).stat().st_size:,} bytes  {name}\n" in listed
    assert listed.splitlines()[-1].endswith(f"bytes in {len(FILES) + 1} files for owner/tiny")
    assert 'load_cmac("owner/tiny")' in (out / "README.md").read_text()


def test_what_cannot_be_an_upload_is_said_before_anything_is_written(run_folder, tmp_path, capsys):
    for options, message in (
        (["--push", "tiny"], "expected owner/repo"),
        (["--push", "owner/tiny@v1"], "a branch is --revision"),
        (["--dry-run"], "give --push owner/repo"),
    ):
        assert main(["release", str(run_folder), "-o", str(tmp_path / "out"), *options]) == 1
        error = capsys.readouterr().err
        assert message in error and error.count("\n") == 1
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("offline", "message"), [("0", "nothing of it is seen there"), ("1", "HF_HUB_OFFLINE forbids the network")]
)
def test_no_network_is_one_line(run_folder, tmp_path, offline, message):
    with client("http://127.0.0.1:9", tmp_path / "home", offline) as release:
        code, _, err = release(run_folder, tmp_path / "out", "--push", "owner/tiny")
    assert code == 1 and "owner/tiny was not uploaded: " in err.splitlines()[-1]
    assert message in err.splitlines()[-1]
