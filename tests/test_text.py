"""Tables, lists and JSON of whatever editor or spreadsheet."""

import ast
import json
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cmac_hub.errors import CMACError
from cmac_hub.text import DEEPEST, Table, decode, legible, lines_of, named_file, read_json, read_text

PACKAGE = Path(__file__).parents[1] / "cmac_hub"
WORDS = "path,label\nv/café.mp4,für\n"


@pytest.mark.parametrize("encoding", "utf-8 utf-8-sig utf-16 utf-16-le utf-16-be utf-32 latin-1 cp1252".split())
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_every_encoding_and_line_end_gives_the_same_rows(tmp_path, encoding, end):
    table = tmp_path / "a.csv"
    table.write_bytes(WORDS.replace("\n", end).encode(encoding))
    rows = list(Table(table))
    assert [{key: legible(value) for key, value in row.items()} for row in rows] == [
        {"path": "v/café.mp4", "label": "für"}
    ]
    assert [legible(line) for line in lines_of(table)] == WORDS.split()


@given(st.binary(max_size=40))
def test_no_bytes_are_refused(data):
    assert isinstance(legible(decode(data)), str)


def test_every_letter_of_windows_is_read():
    for code in range(0x80, 0x100):
        letter = bytes([code]).decode("cp1252", "ignore") or chr(code)
        assert legible(decode(b"a%cb" % code)) == f"a{letter}b"


@pytest.mark.parametrize("sign", [";", "\t"])
def test_other_signs_between_cells(tmp_path, sign):
    (tmp_path / "a.csv").write_text(f"path{sign}label\na,b.mp4{sign}x\n")
    assert list(Table(tmp_path / "a.csv")) == [{"path": "a,b.mp4", "label": "x"}]


def test_a_file_is_named_by_its_bytes_or_by_what_they_mean(tmp_path):
    (tmp_path / "list.txt").write_bytes(b"caf\xe9.mp4\n")
    named = tmp_path / lines_of(tmp_path / "list.txt")[0]
    assert named_file(named) == named, "there is neither"
    (tmp_path / "café.mp4").touch()
    assert named_file(named) == tmp_path / "café.mp4"
    Path(os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9.mp4")).touch()
    assert named_file(named) == named


def test_what_is_no_csv_is_one_line(tmp_path):
    table = tmp_path / "a.csv"
    table.write_text("a,b\n" + "x" * 200_000 + ",y\n")
    with pytest.raises(CMACError, match=r"a.csv, line 2 is no csv \(field larger"):
        list(Table(table))
    table.write_text("")
    assert Table(table).columns == [] and list(Table(table)) == []


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[" * 100_000, "lie inside each other"),
        ("[" * (DEEPEST + 2) + "]" * (DEEPEST + 2), "lie inside each other"),
        ('{"a":' * 200 + "1" + "}" * 200, "lie inside each other"),
        ("[" + "1," * 600 + "1]", "at most 1,000 are read"),
        ("{", "Expecting"),
    ],
)
def test_json_that_is_not_read(tmp_path, text, message):
    (tmp_path / "a.json").write_text(text)
    with pytest.raises(ValueError, match=message):
        read_json(tmp_path / "a.json", **({"most": 1000} if "most" in message else {}))


def test_json_of_a_windows_editor(tmp_path):
    for encoding in ("utf-8-sig", "utf-16"):
        (tmp_path / "a.json").write_text(json.dumps({"a": "é"}, ensure_ascii=False), encoding=encoding)
        assert read_json(tmp_path / "a.json") == {"a": "é"}
    assert read_text(tmp_path / "a.json").startswith("{")
    (tmp_path / "a.json").write_text("[" * DEEPEST + "]" * DEEPEST)
    assert read_json(tmp_path / "a.json")


OWN = {
    "train/ablate.py": "log.csv and measured.json of its own runs",
    "train/runlog.py": "log.csv of its own run",
    "train/skipped.py": "skipped.csv of its own run",
    "download.py": "bytes, to hash them",
    "train/publish/folder.py": "bytes, to hash them",
    "train/published/convert.py": "bytes, to hash them",
    "train/publish/licenses.py": "the license in the package's own metadata",
    "train/start.py": "start.json of its own run",
    "train/scenes/write.py": "settings.json of its own folder",
    "train/videos/index.py": "the .partial.csv of its own call",
    "train/evaluate/boxes.py": "tables of the package",
    "report/page.py": "the style sheet of the package",
    "train/scenes/splits.py": "tables of the package",
}
"""Modules that open text without `cmac_hub.text`, and what: files that the package itself wrote."""


def test_text_of_others_is_read_in_one_place():
    found = set()
    for path in sorted(PACKAGE.rglob("*.py")):
        name = path.relative_to(PACKAGE).as_posix()
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Name | ast.Attribute):
                continue
            called = node.func.id if isinstance(node.func, ast.Name) else node.func.attr
            writes = any(isinstance(one, ast.Constant) and one.value in ("w", "wb", "a", "a+b") for one in node.args)
            owner = ast.unparse(node.func.value) if isinstance(node.func, ast.Attribute) else ""
            opens = called == "open" and not writes and owner not in ("av", "Image", "os")
            if opens or (called == "read_text" and owner):
                found.add(name)
    assert found == set(OWN)
