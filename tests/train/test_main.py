from cmac_hub.train import commands
from cmac_hub.train.__main__ import main


def test_an_interrupt_is_one_line_and_exit_code_130(monkeypatch, capsys):
    def interrupted(options):
        raise KeyboardInterrupt

    monkeypatch.setattr(commands, "pretrain", interrupted)
    assert main(["pretrain"]) == 130
    (line,) = capsys.readouterr().err.splitlines()
    assert "interrupted" in line
