"""How far long work is, where somebody looks on."""

import sys
from io import StringIO

import pytest

from detent.cli.progress import progress


class Terminal(StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize("total", [3, None])
def test_a_terminal_shows_it_and_output_goes_where_it_went(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], total: int | None
):
    terminal = Terminal()
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr(sys, "stderr", terminal)
    with progress("upgrade", total) as advance:
        advance(2)
        print("a row")
    assert "upgrade" in terminal.getvalue()
    assert "2/" in terminal.getvalue()
    assert capsys.readouterr().out == "a row\n"


def test_nobody_is_told_who_does_not_look(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delenv("FORCE_COLOR", raising=False)
    for stream, quiet in ((StringIO(), False), (Terminal(), True)):
        monkeypatch.setattr(sys, "stderr", stream)
        with progress("upgrade", 3, quiet=quiet) as advance:
            advance(3)
        assert stream.getvalue() == ""
