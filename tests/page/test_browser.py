"""The page in a real browser: Debian's Chromium, driven by playwright, without a network.

By hand: `python -m pytest -m extras tests/page/test_browser.py`; screenshots lie in pytest's folder of temporary files.
"""

from __future__ import annotations

import re
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from browsing import ASK, CHROMIUM, ROOT, SWITCHES, VIDEO, Served, find, is_of, told, upload, wait_for
from making import tone, write_media

from cmac_hub.demo import make_scene
from cmac_hub.media import write_video
from cmac_hub.page.finding import draw_scene

pytestmark = pytest.mark.extras


@pytest.fixture(scope="module")
def served(tmp_path_factory) -> Iterator[Served]:
    page = Served(tmp_path_factory.mktemp("page") / "files")
    yield page
    page.process.kill()
    log = page.log.read_text()
    assert len(re.findall("^Traceback", log, re.MULTILINE)) == page.refused, log


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    if CHROMIUM is None:
        pytest.fail("no Chromium on this machine; install it: apt-get install chromium", pytrace=False)
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=CHROMIUM, args=SWITCHES)
        yield running
        running.close()


@pytest.fixture
def visit(browser, served) -> Iterator[Callable[..., Any]]:
    """Opens the page as somebody else each time; in the end everybody leaves, and nothing of theirs stays."""
    visitors, outside = [], []

    def open_page(width: int = 1280, height: int = 900) -> Any:
        context = browser.new_context(viewport={"width": width, "height": height}, permissions=["camera", "microphone"])
        visitors.append(context)
        page = context.new_page()
        page.on("request", lambda one: outside.append(one.url) if not is_of(one.url, served.address) else None)
        page.goto(served.address)
        page.wait_for_selector("#find")
        return page

    yield open_page
    for context in visitors:
        context.close()
    assert outside == [], "asked elsewhere"
    wait_for(lambda: not served.files())


@pytest.fixture(scope="module")
def bird(tmp_path_factory) -> Path:
    return draw_scene("bird, flute", tmp_path_factory.mktemp("scene"))


def test_an_upload_comes_back_with_sound_and_a_moment_can_be_chosen(visit, bird, tmp_path):
    page = visit()
    upload(page, bird)
    page.wait_for_selector("#inside p")
    assert page.inner_text("#inside") == "6.0 s, 640 x 360 pixels, with sound"
    assert page.locator("#given [aria-label^='Trim']").is_hidden(), "it would load a program from elsewhere"
    page.click("#find")
    page.wait_for_selector("text=Looking and listening")
    page.wait_for_selector("#figure img", timeout=120_000)
    assert re.match(r"Highest at \d\.\d\d s: 0\.\d\d, at x \d+, y \d+. Something is lit in", page.inner_text("#words"))
    page.evaluate(f"{VIDEO}.play()")
    page.wait_for_function(f"{VIDEO}.currentTime > 1 && {VIDEO}.webkitAudioDecodedByteCount > 0")
    assert not page.evaluate(f"{VIDEO}.muted") and page.evaluate(f"{VIDEO}.duration") == pytest.approx(6, abs=0.1)
    page.wait_for_function("parseFloat(document.querySelector('.curve i').style.left) > 10")
    page.evaluate(f"{VIDEO}.pause()")
    page.screenshot(path=tmp_path / "page.png", full_page=True)

    moment, figure = page.locator("#moment input[type=number]"), page.locator("#figure img")
    before = figure.get_attribute("src")
    box = page.locator(".curve .plot").first.bounding_box()
    page.mouse.click(box["x"] + 0.75 * box["width"], box["y"] + 30)
    page.wait_for_function("before => document.querySelector('#figure img').src !== before", arg=before)
    assert float(moment.input_value()) == pytest.approx(4.5, abs=0.06)
    assert page.evaluate(f"{VIDEO}.currentTime") == pytest.approx(4.5, abs=0.06)

    before = figure.get_attribute("src")
    page.locator("#moment input[type=range]").focus()
    page.keyboard.press("ArrowLeft")
    page.wait_for_function("before => document.querySelector('#figure img').src !== before", arg=before)
    assert float(moment.input_value()) < 4.5


def test_a_recording_is_heard(visit):
    page = visit()
    page.click("#given button[aria-label='Capture from camera']")
    page.click("text=Click to Access Webcam")
    page.click("#given button:has-text('Record')")
    time.sleep(3)
    page.click("#given button:has-text('Stop')")
    find(page)
    assert "with sound" in page.inner_text("#inside")
    page.evaluate(f"{VIDEO}.play()")
    page.wait_for_function(f"{VIDEO}.currentTime > 0.5 && {VIDEO}.webkitAudioDecodedByteCount > 0")


def test_a_drawn_scene_at_the_width_of_a_phone(visit, tmp_path):
    page = visit(390, 844)
    page.click("#scene input")
    page.click("[role=option]:has-text('a flute sounds')")
    find(page)
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    page.screenshot(path=tmp_path / "phone.png", full_page=True)
    assert page.locator("[data-testid=toast-body]").count() == 0


def test_what_is_refused_is_said_in_words(visit, served, tmp_path):
    broken, large, long = tmp_path / "broken & <b>.mp4", tmp_path / "large.mp4", tmp_path / "long.mp4"
    broken.write_text("no video")
    with large.open("wb") as file:
        file.truncate(201 << 20)
    write_media(long, times=np.arange(124) / 2, size=(32, 32), sound=tone(62.0))
    page = visit()
    page.click("#find")
    assert "there is no clip yet" in told(page, "clip")
    for path, words in ((broken, "is no media file"), (large, "maximum allowed size of 200"), (long, "takes 60")):
        page = visit()
        upload(page, path)
        said = told(page, words)
        assert str(served.folder) not in said and path.stem.split()[0] in said


def test_who_does_not_use_the_page_gets_no_more(visit, served, bird):
    page = visit()
    assert "there is no clip yet" in page.evaluate(ASK, [None, "cmac-nano"])
    for asked in ([str(bird), "cmac-nano"], [None, str(ROOT / "cmac_hub" / "weights" / "cmac-nano")]):
        served.refused += 1
        said = page.evaluate(ASK, asked)
        assert '"success":false' in said and "no clip" not in said and "_attention" not in said
    own = served.folder / "own.txt"
    own.write_text("not for visitors")
    for path in (own, ROOT / "README.md", "/etc/passwd"):
        assert page.evaluate("async path => (await fetch(`/gradio_api/file=${path}`)).status", str(path)) == 403
    own.unlink()


def test_two_visitors_do_not_meet(visit, bird, served):
    one, two = visit(), visit()
    for page in (one, two):
        upload(page, bird)
        page.wait_for_selector("#inside p")
    two.click("text=prediction")
    one.click("#find")
    two.click("#find")
    for page in (one, two):
        page.wait_for_selector("#figure img", timeout=120_000)
    assert "Agreement" in one.inner_text("#curve") and "The map at its peak" in two.inner_text("#curve")
    assert one.get_attribute("#overlay video", "src") != two.get_attribute("#overlay video", "src")
    one.context.close()
    wait_for(lambda: len([name for name in served.files() if name.endswith("_attention.mp4")]) == 1)
    # Both had given the same file.
    figure = two.get_attribute("#figure img", "src")
    two.click("#find")
    two.wait_for_function("before => document.querySelector('#figure img').src !== before", arg=figure)


def test_who_leaves_midway_is_not_worked_for(visit, served, bird, tmp_path):
    scene, long = make_scene(1, seconds=50.0), tmp_path / "long.mp4"
    write_video(long, scene.frames(), scene.frame_rate, scene.waveform, scene.sample_rate, size=(640, 360))
    page, next_one = visit(), visit()
    upload(page, long)
    page.wait_for_selector("#inside p")
    page.click("#find")
    page.wait_for_selector("text=Looking and listening")
    page.context.close()
    wait_for(lambda: not served.files(), 10)
    upload(next_one, bird)
    find(next_one)


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 0), (signal.SIGTERM, 143)])
def test_the_end_leaves_nothing(browser, bird, tmp_path, number, code):
    page = Served(tmp_path / "files")
    visitor = browser.new_page()
    visitor.goto(page.address)
    upload(visitor, bird)
    visitor.wait_for_selector("#inside p")
    assert page.files()
    assert page.end(number) == code
    visitor.close()
    # PyTorch makes a folder for its compiler.
    left = [path.name for path in page.folder.iterdir() if not path.name.startswith("torchinductor")]
    assert left == page.files() == [] and "Traceback" not in page.log.read_text()
