"""The page as a whole: self-contained, harmless whatever a video is called, small, and there after Ctrl-C."""

from __future__ import annotations

import dataclasses
import html
import re
import tracemalloc
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote

import numpy as np
import pytest
from peaks import peak

from cmac_hub.errors import OutputError
from cmac_hub.media import probe
from cmac_hub.moments import observe
from cmac_hub.report import About, Hottest, Video, writing_report

NASTY = [
    "<img src=x onerror=alert(1)>.mp4",
    "\"'><script>alert(1)</script>.mp4",
    "</style></title>-->.mp4",
    "javascript:alert(1).mp4",
    "&lt;b&gt; 100%41 #?.mp4",
    "é \u202egpj\udcff.mp4",
]

VOID = {"meta", "img", "br"}
SHAPES = {"rect", "path", "polyline"}


class Checker(HTMLParser):
    """Every tag that is opened is closed, in order; what a page may not have is noted."""

    def __init__(self):
        super().__init__()
        self.open, self.links, self.text, self.wrong, self.ids = [], [], [], [], []

    def handle_starttag(self, tag, attributes):
        if tag not in VOID:
            self.open.append(tag)
        for name, value in attributes:
            if name.startswith("on") or name in ("style", "srcset", "action"):
                self.wrong.append((tag, name, value))
            if name == "src" and not value.startswith("data:image/jpeg;base64,"):
                self.wrong.append((tag, name, value))
            if name == "href":
                self.links.append(value)
            if name == "id":
                self.ids.append(value)
        if tag in ("script", "link", "iframe", "object", "base", "form", "video"):
            self.wrong.append((tag, "", ""))

    def handle_startendtag(self, tag, attributes):
        assert tag in SHAPES
        self.handle_starttag(tag, attributes)
        self.open.pop()

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text.append(data)


def checked(path):
    checker = Checker()
    text = path.read_text(encoding="utf-8")
    checker.feed(text)
    checker.close()
    assert checker.open == [] and checker.wrong == []
    assert '<meta http-equiv="Content-Security-Policy" content="default-src \'none\'' in text
    assert "http:" not in text and "https:" not in text
    return checker


@pytest.fixture(scope="module")
def about(tiny_config):
    return About("<model>", tiny_config, "joint", "absolute", 1.0, 0.25)


@pytest.fixture(scope="module")
def hottest(tiny, clip):
    found = Hottest()
    for moment in observe(tiny, probe(clip), "joint"):
        found(moment)
    return found.moment


@pytest.fixture
def video(clip, hottest):
    def make(name="a.mp4", folder=Path("out"), peaks=None, **other):
        if peaks is None:
            peaks = [peak(0.5 + i / 4, agreement=i / 10, lit=i < 4) for i in range(10)]
        given = {"info": probe(clip), "hottest": hottest, "which": "joint", "window": 1.0, **other}
        return Video(name=name, drawn=folder / name, peaks=peaks, **given)

    return make


def test_names_are_text_and_links_lead_to_the_files(about, video, tmp_path):
    with writing_report(tmp_path / "report.html", about) as report:
        for name in NASTY:
            report.add(video(name, tmp_path / "sub"))
            report.fail(name, f"{name} cannot be read: <b>")
    page = checked(tmp_path / "report.html")
    text = "".join(page.text)
    for name in NASTY[:-1]:
        assert text.count(name) == 4, "its part, what is unlit, and twice where it failed"
    assert "é \u202egpjÿ.mp4" in text and "<model>" in text
    outward = {link for link in page.links if not link.startswith("#")}
    assert {unquote(link.partition("#")[0], errors="surrogateescape") for link in outward} == {
        f"sub/{n}" for n in NASTY
    }
    assert {link[1:] for link in page.links if link.startswith("#")} <= set(page.ids)


def test_moments_are_those_of_the_players_clock(about, video, clip, tmp_path):
    info = dataclasses.replace(probe(clip), start=100.0)
    agreements = [0.2, 0.3, 0.9, 0.1, 0.4]
    peaks = [peak(100.5 + i, agreement=a, lit=i not in (1, 2)) for i, a in enumerate(agreements)]
    with writing_report(tmp_path / "report.html", about) as report:
        report.add(video(peaks=peaks, info=info, hottest=None))
    text = (tmp_path / "report.html").read_text()
    assert re.findall(r"#t=([\d.]+)", text) == ["2.50", "4.50", "1.50", "3.50", "0.50", "1.00"]
    assert "1:40" not in text and "no picture" in text
    assert ">0:01.0 to 0:03.0<" in text and "the source is not in the picture, or was missed" in text
    assert "lit 60 % while it sounds" in text


def test_what_does_not_hear_says_nothing_of_sound(about, video, video_only, tmp_path):
    mute = [peak(i, audible=False, agreement=None, sound_level=None, lit=False) for i in range(3)]
    silent = [peak(i, audible=False, lit=False) for i in range(3)]
    with writing_report(tmp_path / "report.html", about) as report:
        report.add(video("mute.mp4", peaks=mute, info=probe(video_only), which="prediction"))
        report.add(video("silent.mp4", peaks=silent))
        report.add(video("prediction.mp4", which="prediction"))
    page = checked(tmp_path / "report.html")
    text = " ".join(page.text)
    assert "no sound track" in text and "nothing to hear" in text and "lit 0 % of the time" in text
    assert "the source is not in the picture, or was missed" not in text
    assert text.count("sound level") == 1 + 2 and text.count("matches best") == 1


def test_failures_stand_at_its_end_with_their_reasons(about, tmp_path):
    with writing_report(tmp_path / "report.html", about) as report:
        report.fail("b.mp4", "b.mp4 is empty")
    page = checked(tmp_path / "report.html")
    text = "".join(page.text)
    assert "0 videos, 1 failed." in text and text.rstrip().endswith("b.mp4 is empty")
    assert "#failed" in page.links and "failed" in page.ids


def test_an_interrupt_keeps_what_was_done(about, video, tmp_path):
    with pytest.raises(KeyboardInterrupt), writing_report(tmp_path / "report.html", about) as report:
        report.add(video())
        raise KeyboardInterrupt
    text = "".join(checked(tmp_path / "report.html").text)
    assert "1 video." in text and "interrupted" in text
    with pytest.raises(ValueError, match="a bug"), writing_report(tmp_path / "other.html", about):
        raise ValueError("a bug")
    with pytest.raises(OutputError, match="exists already"), writing_report(tmp_path / "report.html", about):
        pass
    assert [one.name for one in tmp_path.iterdir()] == ["report.html"]


def test_a_hundred_hours_are_small_and_take_no_memory(about, video, tmp_path):
    """Fifty kilobytes a video, and of a video no more is kept than that it had something unlit."""
    rng = np.random.default_rng(0)
    hour = [
        peak(i / 4, agreement=float(a), lit=bool(a > 0.1), score=float(a), sound_level=float(a))
        for i, a in enumerate(rng.uniform(0, 1, 14400))
    ]
    one = video(peaks=hour)
    with writing_report(tmp_path / "report.html", about) as report:
        report.add(one)
        tracemalloc.start()
        for _ in range(3):
            report.add(one)
        first = tracemalloc.get_traced_memory()[0]
        for _ in range(3):
            report.add(one)
        grown = tracemalloc.get_traced_memory()[0] - first
        tracemalloc.stop()
    assert (tmp_path / "report.html").stat().st_size < 7 * 50_000
    assert grown < 20_000
    assert html.unescape((tmp_path / "report.html").read_text()).count("<article") == 7
