import json

from cmac_hub.train.__main__ import main


def test_results_are_joined(model_folder, shots, own_folder, tmp_path):
    for name, command in (
        ("clips", ["retrieve", "--on", "clips", "--data", str(shots)]),
        ("scenes", ["localize", "--scenes", "4", "--split", "validation", "--data", str(own_folder)]),
    ):
        out = tmp_path / name / f"{name}.json"
        assert main([*command, "--model", str(model_folder), "-o", str(out)]) == 0
        found = json.loads(out.read_text())
        assert found["checkpoint"] and found["environment"]["torch"] and "|" in found["table"]
    report = tmp_path / "report.md"
    written = [str(tmp_path / name / f"{name}.json") for name in ("clips", "scenes")]
    assert main(["report", *written, "-o", str(report)]) == 0
    text = report.read_text()
    assert text.index("Audio to visual and back, real shots") < text.index("Composed scenes")
    assert text.index("split test.") < text.index("split validation.")
    assert "| 2 queries among 2 |" in text and "| CMAC: audio to visual |" in text


def test_what_is_no_result_is_one_line(tmp_path, capsys):
    (tmp_path / "other.json").write_text("[1]")
    for name in ("other.json", "none.json"):
        assert main(["report", str(tmp_path / name), "-o", str(tmp_path / "r.md")]) == 1
        error = capsys.readouterr().err
        assert "is no result of localize" in error and error.count("\n") == 1
