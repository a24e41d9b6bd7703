"""Serves the page in a process of its own, and does what its visitors do."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)

SWITCHES = ["--no-sandbox", "--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream"]
"""A camera and a microphone that are none: a moving picture that beeps."""

NOWHERE = "http://127.0.0.1:9"

VIDEO = "document.querySelector('#overlay video')"


def wait_for(true: Callable[[], Any], seconds: float = 20.0) -> Any:
    until = time.monotonic() + seconds
    while not (answer := true()):
        assert time.monotonic() < until, "waited in vain"
        time.sleep(0.1)
    return answer


class Served:
    """`cmac demo --serve` as a process of its own, whose temporary files lie in a folder of their own."""

    def __init__(self, folder: Path) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.folder = folder
        self.log = folder.with_suffix(".log")
        self.refused = 0
        """Calls of others than the page, of which Gradio prints a traceback."""
        folder.mkdir()
        own = {"TMPDIR": str(folder), "PYTHONPATH": str(ROOT), "HTTP_PROXY": NOWHERE, "HTTPS_PROXY": NOWHERE}
        command = [sys.executable, "-m", "cmac_hub", "demo", "--serve", "--port", str(self.port)]
        with self.log.open("w") as log:
            self.process = subprocess.Popen(command, stdout=log, stderr=log, env=os.environ | own, cwd=folder)
        wait_for(self._answers, 120)

    def _answers(self) -> bool:
        assert self.process.poll() is None, self.log.read_text()
        try:
            return bool(urllib.request.build_opener(urllib.request.ProxyHandler({})).open(self.address, timeout=5))
        except OSError:
            return False

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def files(self) -> list[str]:
        return [str(path.relative_to(self.folder)) for path in self.folder.rglob("*") if path.is_file()]

    def end(self, number: int) -> int:
        self.process.send_signal(number)
        return self.process.wait(30)


def is_of(url: str, address: str) -> bool:
    return url.startswith((f"{address}/", "data:", f"blob:{address}/"))


def upload(page: Any, path: Path) -> None:
    page.set_input_files("#given input[type=file]", path)


def find(page: Any) -> None:
    """Waits for everything that a click on the button brings."""
    page.wait_for_selector("#inside p")
    page.click("#find")
    page.wait_for_selector("#figure img", timeout=120_000)


def told(page: Any, words: str) -> str:
    """What an error says that has these words."""
    return str(page.locator("[data-testid=toast-body]", has_text=words).first.inner_text(timeout=20_000))


ASK = """async ([path, network]) => {
  const config = await (await fetch('/config')).json();
  const find = config.dependencies.find(one => one.inputs.length === 5), session_hash = Math.random().toString();
  const clip = path && {path, meta: {_type: 'gradio.FileData'}};
  const body = {data: [clip, network, 'joint', 'overlay', 'absolute'], fn_index: find.id, session_hash};
  const headers = {'Content-Type': 'application/json'};
  await fetch('/gradio_api/queue/join', {method: 'POST', headers, body: JSON.stringify(body)});
  const stream = (await fetch(`/gradio_api/queue/data?session_hash=${session_hash}`)).body.getReader();
  for (let said = ''; ;) {
    const {done, value} = await stream.read();
    said += new TextDecoder().decode(value);
    if (done || said.includes('process_completed')) return said;
  }
}"""
"""What the button asks for, with a path and a network of one's own."""
