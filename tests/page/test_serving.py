"""`cmac demo --serve` before there is a page: wrong calls, a port that is taken, Gradio that is not there."""

import re
import socket
import sys
from pathlib import Path

import pytest

from cmac_hub.cli import main
from cmac_hub.page import serving

ROOT = Path(__file__).parents[2]


@pytest.fixture
def said(monkeypatch, capsys):
    """What `cmac demo` says, in one line; nothing is served."""
    for name in (*serving.SETTINGS, "NO_PROXY", "GRADIO_TEMP_DIR"):
        monkeypatch.setenv(name, "")

    def run(*arguments):
        assert main(["demo", *arguments]) == 1
        err = capsys.readouterr().err
        assert err.count("\n") == 1
        return err

    return run


def test_without_gradio_there_is_one_line(said, monkeypatch):
    for name in [name for name in sys.modules if name.startswith(("cmac_hub.page.layout", "cmac_hub.page.clicks"))]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "gradio", None)
    line = "cmac: the page needs gradio; install it: pip install 'cmac-hub[page]'\n"
    assert said("--serve") == line


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--port", "8000"], "give --serve as well"),
        (["--serve", "-o", "x"], "leave out --output"),
        (["--serve", "--seed", "0", "--overwrite"], "leave out --seed, --overwrite"),
        (["--serve", "--port", "0"], "accepted are 1 to 65535"),
        (["--serve", "--port", "70000"], "accepted are 1 to 65535"),
    ],
)
def test_what_does_not_go_together(said, arguments, words):
    assert words in said(*arguments)


def test_a_port_that_is_taken_is_one_line(said):
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        line = said("--serve", "--port", str(port))
    assert f"port {port} of 127.0.0.1 cannot be used" in line and "--port" in line


def test_help_tells_of_it(capsys):
    with pytest.raises(SystemExit) as caught:
        main(["demo", "--help"])
    out = capsys.readouterr().out
    assert caught.value.code == 0 and "--serve" in out and "7860" in out


def test_the_space_is_the_page():
    app = (ROOT / "examples" / "space" / "app.py").read_text(encoding="utf-8")
    assert "from cmac_hub.page import serve" in app
    assert "cmac-hub[page]" in (ROOT / "examples" / "space" / "requirements.txt").read_text(encoding="utf-8")
    header = (ROOT / "examples" / "space" / "README.md").read_text(encoding="utf-8").split("---")[1]
    assert "sdk: gradio" in header and "app_file: app.py" in header
    pinned = re.search(r"sdk_version: (\d+)\.(\d+)", header)
    extra = re.search(r"gradio>=(\d+)\.(\d+)", (ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    assert pinned and extra and tuple(map(int, pinned.groups())) >= tuple(map(int, extra.groups()))
