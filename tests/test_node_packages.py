"""Where something is missing, tests that need it are skipped; in CI they fail."""

from pathlib import Path

import pytest

from tests.node_packages import installed


@pytest.mark.parametrize(("variable", "outcome"), [("", pytest.skip.Exception), ("true", pytest.fail.Exception)])
def test_without_node_tests_are_skipped_and_fail_in_ci(
    variable: str, outcome: type[BaseException], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
):
    monkeypatch.setenv("CI", variable)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(outcome, match="node and npm not found"):
        installed(tmp_path)
