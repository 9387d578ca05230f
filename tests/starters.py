"""Projects that `detent new` begins, for tests of the packages that they are made with."""

import subprocess
import sys
from pathlib import Path

from click.testing import CliRunner

from detent.cli.main import main


def begun(framework: str) -> Path:
    """A project `corner-shop` in the working directory."""
    result = CliRunner().invoke(main, ["new", "corner-shop", f"--{framework}"])
    assert result.exit_code == 0, result.output
    assert "corner-shop/corner_shop/app.py" in result.stdout
    return Path("corner-shop").resolve()


def called(project: Path, program: str, *arguments: str) -> str:
    """What a program of this environment prints that is called in the project, which has to end well."""
    command = [str(Path(sys.executable).with_name(program)), *arguments]
    result = subprocess.run(  # noqa: S603 - our own project
        command, cwd=project, capture_output=True, text=True, timeout=120, check=False
    )
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout
