"""A Hub on this machine's loopback, for the real client over real HTTP: what huggingface.co answers to the requests
for repository info, trees, files, new repositories and branches, LFS and commits. It can break off, lie and refuse."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import unquote

COMMIT = "0123456789abcdef0123456789abcdef01234567"

LARGE = 100_000
"""Bytes from which on a file is one of LFS; safetensors always are."""


def etag(name: str, data: bytes) -> str:
    """What the Hub names a file's content: SHA-256 in LFS, Git's hash elsewhere."""
    if is_large(name, len(data)):
        return hashlib.sha256(data).hexdigest()
    return hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()


def is_large(name: str, size: int) -> bool:
    return size >= LARGE or name.endswith(".safetensors")


class Hub:
    """Repositories by name: revision -> file -> content."""

    def __init__(self) -> None:
        self.address = ""
        self.reset()

    def reset(self) -> None:
        """Empties it."""
        self.repositories: dict[str, dict[str, dict[str, bytes]]] = {}
        self.commits: dict[str, str] = {}
        """Commit -> the revision that it is of."""
        self.private: dict[str, bool] = {}
        self.pull_requests: list[str] = []
        self.requests: list[str] = []
        self.objects: dict[str, bytes] = {}
        """Of LFS, by their SHA-256."""
        self.break_off: list[int] = []
        """Bytes after which the next answers with a large file break off, and uploads of one."""
        self.refuse: dict[str, tuple[int, str]] = {}
        """Beginning of "METHOD path" -> status and X-Error-Code of each such request."""
        self.fail: dict[str, int] = {}
        """Beginning of "METHOD path" -> how many such requests fail with status 503 before one succeeds."""
        self.content: dict[str, bytes] = {}
        """File -> what is sent in its place, under the etag and announced size of the true one."""
        self.tokens: set[str] = set()
        """That were shown with requests."""
        self.token: str | None = None
        """That writing needs."""

    def add(self, repository: str, folder: Path, *revisions: str) -> None:
        """A repository with the files of a folder at each revision."""
        files = {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}
        self.repositories[repository] = {name: dict(files) for name in ("main", *revisions)}
        self.commits.update({self.commit_of("main"): "main"} | {self.commit_of(name): name for name in revisions})

    def commit_of(self, revision: str) -> str:
        return COMMIT if revision in ("main", "v1") else hashlib.sha1(revision.encode()).hexdigest()

    def files(self, repository: str, revision: str) -> dict[str, bytes] | None:
        found = self.repositories.get(repository, {})
        return found.get(revision) if revision in found else found.get(self.commits.get(revision, ""))


@contextmanager
def serving(hub: Hub) -> Iterator[Hub]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"hub": hub}))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    hub.address = f"http://127.0.0.1:{server.server_port}"
    try:
        yield hub
    finally:
        server.shutdown()
        server.server_close()


class _Handler(BaseHTTPRequestHandler):
    hub: Hub
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: object) -> None:
        pass

    def do_HEAD(self) -> None:
        self._serve()

    do_GET = do_POST = do_PUT = do_HEAD

    def _serve(self) -> None:
        path, _, query = self.path.partition("?")
        path = unquote(path)
        called = f"{self.command} {path}"
        self.hub.requests.append(called)
        if shown := self.headers.get("Authorization"):
            self.hub.tokens.add(shown)
        body = self._body(called)
        if body is None:
            return
        for begin, (status, code) in self.hub.refuse.items():
            if called.startswith(begin):
                self._send(status, {}, {"X-Error-Code": code} if code else {})
                return
        for begin, left in self.hub.fail.items():
            if called.startswith(begin) and left:
                self.hub.fail[begin] -= 1
                self._send(503, {})
                return
        if self.command in ("POST", "PUT") and "/api/validate-yaml" not in path and not self._allowed():
            self._send(401, {"error": "Invalid username or password."})
            return
        for pattern, answer in _ROUTES.items():
            if found := re.fullmatch(pattern, called):
                getattr(self, answer)(*found.groups(), body=body, query=query)
                return
        self._send(404, {}, {"X-Error-Code": "RepoNotFound"})

    def _allowed(self) -> bool:
        if self.path.startswith("/lfs/"):
            return True
        given = self.headers.get("Authorization", "")
        return self.hub.token is None or self.hub.token in given or self.hub.token in _basic(given)

    def _body(self, called: str) -> bytes | None:
        """All of a request; None where the connection is to break off in its middle."""
        left = int(self.headers.get("Content-Length", 0))
        if called.startswith("PUT /lfs/") and self.hub.break_off:
            self.rfile.read(min(left, self.hub.break_off.pop(0)))
            self.close_connection = True
            self.connection.shutdown(2)
            return None
        return self.rfile.read(left)

    def _send(self, status: int, values: Any, headers: dict[str, str] | None = None) -> None:
        self._raw(status, json.dumps(values).encode(), {"Content-Type": "application/json", **(headers or {})})

    def _raw(self, status: int, data: bytes, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in {"Content-Length": str(len(data)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data)

    def info(self, repository: str, what: str, revision: str, **_: Any) -> None:
        if repository not in self.hub.repositories:
            self._send(404, {}, {"X-Error-Code": "RepoNotFound"})
            return
        files = self.hub.files(repository, revision)
        if files is None:
            self._send(404, {}, {"X-Error-Code": "RevisionNotFound"})
        elif what == "tree":
            self._send(200, [_entry(name, data) for name, data in sorted(files.items())])
        else:
            commit = self.hub.commit_of(self.hub.commits.get(revision, revision))
            self._send(200, {"id": repository, "sha": commit, "siblings": [{"rfilename": name} for name in files]})

    def default(self, repository: str, **how: Any) -> None:
        self.info(repository, "revision", "main", **how)

    def resolve(self, repository: str, revision: str, name: str, **_: Any) -> None:
        if repository not in self.hub.repositories:
            self._send(404, {}, {"X-Error-Code": "RepoNotFound"})
            return
        files = self.hub.files(repository, revision)
        if files is None or name not in files:
            self._send(404, {}, {"X-Error-Code": "RevisionNotFound" if files is None else "EntryNotFound"})
            return
        true, sent = files[name], self.hub.content.get(name, files[name])
        commit = self.hub.commit_of(self.hub.commits.get(revision, revision))
        headers = {"ETag": f'"{etag(name, true)}"', "X-Repo-Commit": commit, "Accept-Ranges": "bytes"}
        if self.command == "HEAD":
            self._raw(200, b"", {**headers, "Content-Length": str(len(true))})
            return
        begin, status = 0, 200
        if wanted := re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", "")):
            begin, status = int(wanted[1]), 206
            headers["Content-Range"] = f"bytes {begin}-{len(sent) - 1}/{len(sent)}"
        if self.hub.break_off and is_large(name, len(true)):
            self.send_response(status)
            for key, value in {**headers, "Content-Length": str(len(sent) - begin)}.items():
                self.send_header(key, value)
            self.end_headers()
            self.wfile.write(sent[begin : begin + self.hub.break_off.pop(0)])
            self.wfile.flush()
            self.close_connection = True
            self.connection.shutdown(2)
            return
        self._raw(status, sent[begin:], headers)

    def create(self, body: bytes, **_: Any) -> None:
        given = json.loads(body)
        name = f"{given['organization']}/{given['name']}"
        if name in self.hub.repositories:
            self._send(409, {"url": f"{self.hub.address}/{name}", "error": "You already created this model repo"})
            return
        self.hub.repositories[name] = {"main": {}}
        self.hub.commits[self.hub.commit_of("main")] = "main"
        self.hub.private[name] = given.get("private", False) or given.get("visibility") == "private"
        self._send(200, {"url": f"{self.hub.address}/{name}", "name": name})

    def branch(self, repository: str, name: str, **_: Any) -> None:
        found = self.hub.repositories[repository]
        if name in found:
            self._send(409, {"error": "Reference already exists"})
            return
        found[name] = dict(found["main"])
        self._send(201, {})

    def preupload(self, repository: str, revision: str, body: bytes, **_: Any) -> None:
        there = self.hub.files(repository, revision)
        if there is None:
            self._send(404, {}, {"X-Error-Code": "RevisionNotFound"})
            return
        files = [
            {
                "path": one["path"],
                "uploadMode": "lfs" if is_large(one["path"], one["size"]) else "regular",
                "shouldIgnore": False,
                "oid": etag(one["path"], there[one["path"]]) if one["path"] in there else None,
            }
            for one in json.loads(body)["files"]
        ]
        self._send(200, {"files": files})

    def batch(self, repository: str, body: bytes, **_: Any) -> None:
        given = json.loads(body)
        objects = []
        for one in given["objects"]:
            upload = {"href": f"{self.hub.address}/lfs/{one['oid']}", "header": {}}
            needed = {} if one["oid"] in self.hub.objects else {"actions": {"upload": upload}}
            objects.append({"oid": one["oid"], "size": one["size"], "authenticated": True, **needed})
        assert "basic" in given["transfers"]
        self._send(200, {"transfer": "basic", "objects": objects})

    def put(self, oid: str, body: bytes, **_: Any) -> None:
        if hashlib.sha256(body).hexdigest() != oid:
            self._send(422, {"error": "another hash"})
            return
        self.hub.objects[oid] = body
        self._send(200, {})

    def yaml(self, **_: Any) -> None:
        self._send(200, {"errors": [], "warnings": []})

    def commit(self, repository: str, revision: str, body: bytes, query: str, **_: Any) -> None:
        target = dict(self.hub.repositories[repository][revision])
        for line in body.splitlines():
            one = json.loads(line)
            value = one["value"]
            if one["key"] == "file":
                target[value["path"]] = base64.b64decode(value["content"])
            elif one["key"] == "lfsFile":
                target[value["path"]] = self.hub.objects[value["oid"]]
        request = "create_pr=1" in query
        if request:
            self.hub.pull_requests.append(f"refs/pr/{len(self.hub.pull_requests) + 1}")
            revision = self.hub.pull_requests[-1]
        self.hub.repositories[repository][revision] = target
        url = f"{self.hub.address}/{repository}"
        number = len(self.hub.pull_requests)
        answer = {"success": True, "commitOid": COMMIT, "commitUrl": f"{url}/commit/{COMMIT}", "hookOutput": ""}
        self._send(200, answer | ({"pullRequestUrl": f"{url}/discussions/{number}"} if request else {}))


_REPOSITORY = r"([\w.-]+/[\w.-]+)"

_ROUTES = {
    rf"GET /api/models/{_REPOSITORY}/(tree|revision)/([^/]+|refs/pr/\d+)": "info",
    rf"GET /api/models/{_REPOSITORY}": "default",
    rf"(?:GET|HEAD) /{_REPOSITORY}/resolve/([^/]+)/(.+)": "resolve",
    r"POST /api/repos/create": "create",
    rf"POST /api/models/{_REPOSITORY}/branch/(.+)": "branch",
    rf"POST /api/models/{_REPOSITORY}/preupload/(.+)": "preupload",
    rf"POST /{_REPOSITORY}\.git/info/lfs/objects/batch": "batch",
    r"PUT /lfs/(\w+)": "put",
    r"POST /api/validate-yaml": "yaml",
    rf"POST /api/models/{_REPOSITORY}/commit/(.+)": "commit",
}
"""What is asked -> the method that answers."""


def _entry(name: str, data: bytes) -> dict[str, Any]:
    entry: dict[str, Any] = {"type": "file", "path": name, "size": len(data), "oid": etag(name, data)}
    if is_large(name, len(data)):
        entry["lfs"] = {"oid": etag(name, data), "size": len(data), "pointerSize": 130}
    return entry


def _basic(header: str) -> str:
    kind, _, value = header.partition(" ")
    return base64.b64decode(value).decode() if kind == "Basic" else ""
