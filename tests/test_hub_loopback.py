"""Downloads from a Hub that runs on this machine's loopback: the real client over real HTTP."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

COMMIT = "0123456789abcdef0123456789abcdef01234567"


@pytest.fixture
def hub(model_folder):
    """Serves `owner/tiny` at revisions main and v1, as huggingface.co does; yields (address, requests)."""
    requests: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_HEAD(self) -> None:
            self.answer(body=False)

        def do_GET(self) -> None:
            self.answer(body=True)

        def answer(self, body: bool) -> None:
            requests.append(f"{self.command} {self.path}")
            parts = self.path.split("?")[0].strip("/").split("/")
            if parts[:4] == ["api", "models", "owner", "tiny"] and parts[5] in ("main", "v1", COMMIT):
                files = sorted(model_folder.iterdir())
                siblings = [{"rfilename": path.name} for path in files]
                tree = [{"type": "file", "path": p.name, "size": p.stat().st_size, "oid": "0" * 40} for p in files]
                found = tree if parts[4] == "tree" else {"id": "owner/tiny", "sha": COMMIT, "siblings": siblings}
                data = json.dumps(found).encode()
                self.send_response(200)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)
                return
            known = parts[:3] == ["owner", "tiny", "resolve"] or parts[:4] == ["api", "models", "owner", "tiny"]
            parts = parts if parts[0] != "api" else ["owner", "tiny", "resolve", parts[5], "-"]
            if not known or parts[3] not in ("main", "v1", COMMIT) or not (model_folder / parts[4]).is_file():
                code = "RepoNotFound" if not known else "EntryNotFound"
                code = "RevisionNotFound" if known and parts[3] not in ("main", "v1", COMMIT) else code
                self.send_response(404)
                self.send_header("X-Error-Code", code)
                self.send_header("Content-Length", "0")
                self.end_headers()
                return
            data = (model_folder / parts[4]).read_bytes()
            self.send_response(200)
            self.send_header("ETag", f'"{hashlib.sha256(data).hexdigest()}"')
            self.send_header("X-Repo-Commit", COMMIT)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            if body:
                self.wfile.write(data)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}", requests
    server.shutdown()


CODE = """
import json, sys
from cmac_hub import CMACError, load_cmac
try:
    model = load_cmac(sys.argv[1]).model
    print(json.dumps([model.config.name, model.training]))
except CMACError as error:
    print(json.dumps(str(error)))
"""


def load(address, name, cache):
    environment = {**os.environ, "HF_ENDPOINT": address, "HF_HUB_OFFLINE": "0", "HF_HOME": str(cache)}
    environment |= {"HF_HUB_DISABLE_TELEMETRY": "1", "NO_PROXY": "127.0.0.1"}
    done = subprocess.run(
        [sys.executable, "-c", CODE, name], env=environment, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    assert "Retry" not in done.stderr
    return json.loads(done.stdout)


def test_a_download_is_cached_and_works_when_the_hub_is_gone(hub, tmp_path):
    address, requests = hub
    assert load(address, "hf-hub:owner/tiny@v1", tmp_path) == ["tiny", False]
    paths = [line.split()[1].split("?")[0] for line in requests if line.startswith("GET")]
    assert sum("/revision/" in path for path in paths) == 1
    fetched = {path.rsplit("/", 1)[-1] for path in paths if "/resolve/" in path}
    assert fetched == {"config.json", "model.safetensors"}, "two files, and never a pickle"
    assert all(COMMIT in path for path in paths if "/resolve/" in path), "both of one commit"
    for revision in ("v1", COMMIT):
        assert load("http://127.0.0.1:9", f"hf-hub:owner/tiny@{revision}", tmp_path) == ["tiny", False]


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("hf-hub:owner/other", "the Hub has no repository owner/other"),
        ("hf-hub:owner/tiny@v9", "has no revision 'v9'"),
    ],
)
def test_what_the_hub_lacks_is_one_line(hub, tmp_path, name, message):
    said = load(hub[0], name, tmp_path)
    assert message in said and "\n" not in said


@pytest.mark.parametrize("revision", ["", f"@{COMMIT}"])
def test_no_hub_at_all_is_one_line_with_the_cause_first(tmp_path, revision):
    """A commit too, for whose files the client would ask for half a minute."""
    said = load("http://127.0.0.1:9", f"hf-hub:owner/tiny{revision}", tmp_path)
    assert "refused" in said.lower() and "\n" not in said
    assert "the Hub was not reached" in said or "could not be fetched" in said
