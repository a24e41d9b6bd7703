"""What visitors read: no folders of the server, no options of the command line."""

import dataclasses
import re
from pathlib import Path

import pytest
from peaks import peak

from cmac_hub.errors import MediaError, OutputError
from cmac_hub.media import probe
from cmac_hub.page.words import OPTIONS, in_words, what_is_in, what_is_not_heard, what_was_found

PACKAGE = Path(__file__).parents[2] / "cmac_hub"
ROOT = Path("/srv/cmac-page-x")


def test_a_file_has_its_own_name_only():
    error = MediaError(f"{ROOT}/0a/my clip.mp4 is broken; see {ROOT}/visits/1/found-2/my clip_attention.mp4")
    assert in_words(error, ROOT) == "my clip.mp4 is broken; see my clip_attention.mp4"
    assert in_words(OSError(28, "No space left on device", f"{ROOT}/visits/a.mp4"), ROOT).endswith("device: 'a.mp4'")


@pytest.mark.parametrize("option", OPTIONS)
def test_options_of_the_command_line_are_said_in_other_words(option):
    sources = "".join(path.read_text(encoding="utf-8") for path in PACKAGE.rglob("*.py") if path.parent.name != "page")
    assert option in sources, "nothing says so any more"
    words = in_words(OutputError(f"a{option}"), ROOT)
    assert not re.search(r"overwrite|map=|\(--", words)


def peaks(scores, audible=None, padded=False):
    heard = audible or [True] * len(scores)
    return [
        peak(i / 4, x=10.0 * i, y=5.0, score=score, audible=heard[i], padded=padded, lit=score > 0.3)
        for i, score in enumerate(scores)
    ]


def test_what_was_found():
    said = what_was_found(peaks([0.2, 0.8, 0.4]), "joint", 0.3)
    assert said == "Highest at 0.25 s: 0.80, at x 10, y 5. Something is lit in 2 of 3 windows."
    assert "relative" in what_was_found(peaks([0.2, 0.1]), "joint", 0.3)
    assert "lit" not in what_was_found(peaks([0.2, 0.1]), "joint", None)
    assert "shorter than a window" in what_was_found(peaks([0.2], padded=True), "joint", None)
    partly = what_was_found(peaks([0.2, 0.9], audible=[True, False]), "joint", None)
    assert partly == "Highest at 0.00 s: 0.20, at x 0, y 5. In 1 there is nothing to hear."
    assert "nothing is lit" in what_was_found(peaks([0.2], audible=[False]), "joint", 0.1)
    assert "Highest" in what_was_found(peaks([0.2], audible=[False]), "prediction", 0.1)


def test_what_is_in_a_clip(clip, video_only):
    assert what_is_in(probe(clip)) == "3.0 s, 96 x 64 pixels, with sound"
    assert "without sound" in what_is_in(probe(video_only))
    other = dataclasses.replace(probe(clip), path=Path("a.AVI"), duration=None, audio_codec="ac3")
    assert what_is_in(other).startswith("of unknown length") and "may not show" in what_is_in(other)
    assert what_is_not_heard(probe(clip)) == [] and "ac3" in what_is_not_heard(other)[0]
