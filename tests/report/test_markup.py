"""Names and links of files that anybody may have named."""

from __future__ import annotations

import os
from pathlib import Path
from urllib.parse import unquote_to_bytes, urljoin, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cmac_hub.report.markup import clock, escaped, isolated, link

NAMES = st.text(st.characters(exclude_characters="/\0", exclude_categories=()), min_size=1).filter(
    lambda name: name not in (".", "..")
)


@pytest.mark.parametrize(
    ("name", "written"),
    [
        ("<img src=x onerror=alert(1)>.mp4", "%3Cimg%20src%3Dx%20onerror%3Dalert%281%29%3E.mp4"),
        ("100%41 #1?.mp4", "100%2541%20%231%3F.mp4"),
        ("javascript:alert(1).mp4", "javascript%3Aalert%281%29.mp4"),
        ("a\"b'c.mp4", "a%22b%27c.mp4"),
        ("é\udcff.mp4", "%C3%A9%FF.mp4"),
    ],
)
def test_links_are_quoted_and_relative(name, written):
    assert link(Path("out") / name, Path("out")) == written
    assert link(Path("out") / "sub" / name, Path("out")) == f"sub/{written}"
    assert link(Path("other") / name, Path("out"), 2.5) == f"../other/{written}#t=2.50"


@given(NAMES)
def test_a_browser_finds_the_file(name):
    try:
        target = os.fsencode(f"/videos/{name}")
    except UnicodeEncodeError:
        return  # no name that a file can have
    address = urljoin("file:///page/report.html", link(Path(os.fsdecode(target)), Path("/page")))
    parts = urlsplit(address)
    assert (parts.scheme, parts.query, parts.fragment) == ("file", "", "")
    assert os.path.normpath(unquote_to_bytes(parts.path)) == os.path.normpath(target)


def test_text_is_escaped_and_legible():
    assert escaped("<a href=\"x\" title='&'>") == "&lt;a href=&quot;x&quot; title=&#x27;&amp;&#x27;&gt;"
    assert isolated("\u202egpj.\udce9<") == "<bdi>\u202egpj.é&lt;</bdi>"


@pytest.mark.parametrize(
    ("seconds", "shown"), [(0, "0:00.0"), (9.96, "0:10.0"), (59.99, "1:00.0"), (3723.44, "1:02:03.4"), (-1, "0:00.0")]
)
def test_clock(seconds, shown):
    assert clock(seconds) == shown
