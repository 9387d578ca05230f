"""The `detent` command, called as a person would, in a directory of its own."""

from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from detent.cli.main import main

Detent = Callable[..., Result]

SOUND = '{"name": "order", "initial_state": "new", "states": {"new": {"events": {"Close": {"target": "closed"}}}, "closed": {}}}'


@pytest.fixture
def detent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Detent:
    """Calls `detent` in a directory that holds `order.json`; a traceback fails the test."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.syspath_prepend(tmp_path)
    Path("order.json").write_text(SOUND)

    def call(*arguments: str, stdin: str | bytes | None = None) -> Result:
        result = CliRunner().invoke(main, arguments, input=stdin)
        assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
        return result

    return call
